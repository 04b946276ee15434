"""Where a pull request could have code of its own run in the job that holds the write token."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, open_workspace, project
from mlgate import config, git, stages
from mlgate.errors import InputError
from support import MINIMAL_CONFIG
from support import git as run_git

TRACE = "import pathlib\npathlib.Path({trace!r}).touch()\n"


def test_no_module_of_the_checkout_is_imported_for_the_report_even_where_pythonpath_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, trace = project(tmp_path / "repository"), tmp_path / "executed"
    for name in ("json", "html", "pickle", "matplotlib", "numpy", "sitecustomize", "usercustomize", "mlgate"):
        (root / f"{name}.py").write_text(TRACE.format(trace=str(trace)))
    (root / "matplotlibrc").write_text("backend: module://evil\n")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)))
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", str(root))
    for stage in ("gate", "report"):
        assert stages.run(stage, workspace).exit_code == 0
    assert (workspace.state / "report.html").exists()
    assert not trace.exists()


def test_git_is_not_told_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "repository")
    for name in ("MLGATE_GITHUB_TOKEN", "MLGATE_SECRET_ENV"):
        monkeypatch.setenv(name, "ghs_secret")
    run_git(root, "config", "alias.told", "!env")
    assert b"ghs_secret" not in git.run(root, "told")


@pytest.mark.parametrize("attributes", ["* filter=lfs diff=evil merge=evil ident text eol=crlf", "*.py working-tree-encoding=UTF-16"])
def test_attributes_that_a_pull_request_commits_run_nothing_and_stop_nothing(tmp_path: Path, attributes: str) -> None:
    root = project(tmp_path / "repository")
    (root / ".gitattributes").write_text(attributes + "\n")
    (root / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% executed\n\tupdate = !touch executed\n')
    run_git(root, "checkout", "--quiet", "-b", "feature")
    run_git(root, "add", ".gitattributes", ".gitmodules")
    run_git(root, "commit", "--quiet", "-m", "attributes")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), classified(*labels(900)), baseline_commit=run_git(root, "rev-parse", "main"))
    assert stages.run("gate", workspace).exit_code == 0
    assert not (root / "executed").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model: !!python/object/apply:os.system [touch executed]\n",
        "model: &a [x, x]\nchecks: [*a, *a]\n",
        "a: " + "[" * 50_000,
        MINIMAL_CONFIG + "a: " + "x" * 2_000_000,
        MINIMAL_CONFIG.replace("train.py}", f"train.py, timeout: '1d{' ' * 20_000}x'}}"),
    ],
    ids=["python", "aliases", "deep", "large", "slow"],
)
def test_a_hostile_configuration_is_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError):
        config.parse(text.encode(), "mlgate.yaml")
    assert time.perf_counter() - started < 5
