"""The command line: what it prints, what it returns, and how it misses packages."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import otfast as otf
from otfast import comparison
from otfast.cli import main


def test_info_tells_what_is_in_use(capsys):
    otf.set_num_threads(2)
    assert main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["otfast"] == otf.__version__
    assert lines["kernels"].split()[0] in ("base", "v3", "v4")
    assert lines["threads"].split()[0] == "2"
    assert lines["CUDA"] == "not part of this build"


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"otfast {otf.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["demo", "--fast"]])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: otfast" in capsys.readouterr().err


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "otfast", "info"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"otfast   {otf.__version__}" in done.stdout


@pytest.mark.parametrize("package", ["matplotlib", "sklearn", "PIL"])
def test_a_missing_package_is_named_with_its_remedy(package, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["demo", "--out", str(tmp_path / "pictures")]) == 1
    error = capsys.readouterr().err
    assert package in error
    assert "python -m pip install 'otfast[demo]'" in error
    assert not (tmp_path / "pictures").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert main(["demo", "--quick", "--out", str(file / "pictures")]) == 1
    assert os.fspath(file) in capsys.readouterr().err


def test_bench_compares_certified_answers(capsys):
    otf.set_num_threads(2)
    assert main(["bench", "--quick"]) == 0
    assert otf.get_num_threads() == 2
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if "n = 500" in line]
    assert len(rows) == 5
    assert all(float(row[-1]) <= 1e-9 for row in rows)
    errors = [float(line.split()[-2]) for line in printed.splitlines() if "eps = " in line]
    assert len(errors) == 6
    assert all(error <= 1.05e-6 for error in errors)
    errors = [float(line.split()[-2]) for line in printed.splitlines() if "measures of" in line]
    assert len(errors) == 1
    assert errors[0] <= comparison.multimarginal.TOLERANCE


@pytest.fixture
def _few_problems(monkeypatch):
    """Let tables be short where only one line of them matters."""
    monkeypatch.setattr(comparison.table, "pot_is_installed", lambda: False)
    for room in (comparison.exact, comparison.entropic, comparison.barycenters):
        monkeypatch.setattr(room, "pot_is_installed", lambda: False)


@pytest.mark.usefixtures("_few_problems")
def test_bench_reports_a_wrong_answer(monkeypatch, capsys):
    monkeypatch.setattr(comparison.exact, "scipy_assignment", lambda problem, C: 0.5)
    assert main(["bench", "--quick"]) == 1
    printed = capsys.readouterr().out.splitlines()
    wrong = [line for line in printed if "WRONG" in line]
    assert len(wrong) == 3
    assert not any("eps = " in line for line in wrong)


@pytest.mark.usefixtures("_few_problems")
def test_bench_reports_an_entropic_answer_with_wrong_marginals(monkeypatch, capsys):
    def spoiled(problem, epsilon):
        f, g, n_iter = solve(problem, epsilon)
        return comparison.entropic.Potentials(f + 1e-5, g, n_iter)

    solve = comparison.entropic.otfast_sinkhorn
    monkeypatch.setattr(comparison.entropic, "otfast_sinkhorn", spoiled)
    assert not comparison.entropic.compare(quick=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if "eps = " in line]
    assert [line.endswith("WRONG") for line in lines] == [True] * 6


def test_bench_reports_a_plan_between_many_measures_with_wrong_marginals(monkeypatch, capsys):
    def spoiled(points, weights):
        return lambda: [f + 1e-3 for f in solver(points, weights)()]

    solver = comparison.multimarginal.otfast_solver
    monkeypatch.setattr(comparison.multimarginal, "otfast_solver", spoiled)
    monkeypatch.setattr(comparison.multimarginal, "ott_is_installed", lambda: False)
    assert not comparison.multimarginal.compare(quick=True)
    assert capsys.readouterr().out.splitlines()[-1].endswith("WRONG")


def test_bench_reports_a_barycenter_that_is_not_that_of_pot(monkeypatch, capsys):
    pytest.importorskip("ot")
    case = comparison.barycenters.cases(quick=True)["images 32², logs"]

    def check(case):
        monkeypatch.setattr(comparison.barycenters, "cases", lambda quick: {"images": case})
        right = comparison.barycenters.compare(quick=True)
        return right, capsys.readouterr().out.splitlines()[-1]

    right, line = check(case)
    assert right
    assert float(line.split()[-1]) <= 1e-9
    right, line = check(replace(case, otfast=lambda n_iter: np.full((32, 32), 1 / 1024)))
    assert not right
    assert line.endswith("WRONG")
    # What goes elsewhere does not count, for the ratio or against us.
    right, line = check(replace(case, pot=lambda n_iter: np.eye(32) / 32, goes_elsewhere=True))
    assert right
    assert "  - " in line


def test_a_peer_far_from_the_tolerance_gives_no_ratio(capsys):
    table = comparison.table.Table(("otfast", "one", "two"), ("error",))
    table.print_line("first", {"otfast": 1.0, "one": 3.0, "two": 2.0}, [1e-7], True, failed=["two"])
    table.print_line("second", {"otfast": 1.0, "two": 2.0}, [None], True, failed=["two"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["first", "1.0000", "3.0000", "2.0000", "3.0", "1.0e-07"]
    assert second.split() == ["second", "1.0000", "-", "2.0000", "-", "-"]
