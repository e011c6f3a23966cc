"""Python processes of their own: for signals, forks, environments and memory peaks."""

import os
import subprocess
import sys
import textwrap


def run_python(code, **environment):
    """Run code in a new interpreter and return what it printed; variables set to None are taken away."""
    merged = {name: value for name, value in (os.environ | environment).items() if value is not None}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=merged, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
