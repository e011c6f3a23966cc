"""Python processes of their own: for signals, forks, environments and memory peaks."""

import os
import subprocess
import sys
import textwrap

import pytest

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


def run_python(code, **environment):
    """Run code in a new interpreter and return what it printed; variables set to None are taken away."""
    merged = {name: value for name, value in (os.environ | environment).items() if value is not None}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=merged, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds_to_interrupt(setup, work, *, after, **environment):
    """Send Ctrl-C to some work that many seconds after its start; return how long it takes to end."""
    code = f"""
        import os, signal, threading, time
        import numpy as np
        import otfast as otf

        otf.set_num_threads(1)
        rng = np.random.default_rng(0)
        {setup}
        sent = []

        def interrupt():
            time.sleep({after})
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            {work}
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - sent[0], flush=True)
        else:
            print("finished", 0, flush=True)
        os._exit(0)  # a thread that a solver leaves to itself is not waited for
    """
    outcome, seconds = run_python(code, **environment).split()
    assert outcome == "interrupted", "the work was too short for the test"
    return float(seconds)
