"""The command line: exit codes, the lines a user reads, and what a workflow reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlgate
from mlgate import cli
from support import MINIMAL_CONFIG, make_repository

PACKAGE = str(Path(mlgate.__file__).parent.parent)


def mlgate_command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    env = {**inherited, "PYTHONPATH": PACKAGE, **environment}
    command = [sys.executable, "-m", "mlgate.cli", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_help_names_every_stage_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n    {stage}") for stage in cli.STAGE_HELP]
    assert places == sorted(places)


@pytest.mark.parametrize("stage", list(cli.STAGE_HELP))
def test_no_configuration_is_one_line_and_exit_code_two(tmp_path: Path, stage: str) -> None:
    ended = mlgate_command(stage, cwd=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr == "✗ mlgate.yaml: no such file; write one, or let 'mlgate init' propose it\n"
    assert ended.stdout == ""


def test_a_misspelt_key_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG + "gaet: {}\n")

    ended = mlgate_command("check", cwd=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr == "✗ mlgate.yaml: gaet: unknown key; did you mean 'gate'?\n"


def test_on_github_an_error_is_also_an_annotation_that_cannot_start_another(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG + '"a\\n::set-output name=x::y\\n##[add-mask]z": {}\n')

    ended = mlgate_command("check", cwd=tmp_path, GITHUB_ACTIONS="true")

    assert ended.returncode == 2
    assert ended.stdout.startswith("::error title=mlgate::mlgate.yaml: a ::set-output name=x::y # [add-mask]z: unknown key")
    assert len(ended.stdout.splitlines()) == 1
    assert all(not line.strip().startswith("::") and "##[" not in line for line in ended.stderr.splitlines())


def test_the_configuration_and_the_folder_may_come_from_the_environment(tmp_path: Path) -> None:
    make_repository(tmp_path / "models" / "digits", {"gate.yaml": MINIMAL_CONFIG})

    ended = mlgate_command("setup", cwd=tmp_path, MLGATE_CONFIG="gate.yaml", MLGATE_WORKING_DIRECTORY="models/digits")

    assert (ended.returncode, ended.stdout) == (0, "✓ gate.yaml: model digits\n")


def test_setup_tells_the_workflow_the_models_name(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    mlgate_command("setup", cwd=root, GITHUB_OUTPUT=str(tmp_path / "output"))

    assert (tmp_path / "output").read_text() == "model=digits\nconfig=mlgate.yaml\n"


def test_a_stage_tells_the_workflow_its_status_and_where_its_evidence_lies(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "checks: ['exit 3']\n"})

    ended = mlgate_command("check", cwd=root, GITHUB_OUTPUT=str(tmp_path / "output"))

    assert ended.returncode == 1
    assert (tmp_path / "output").read_text() == "status=failed\nverdict=\nevidence=.mlgate/digits/evidence/check.json\n"
    assert json.loads((root / ".mlgate/digits/evidence/check.json").read_text())["status"] == "failed"
    assert ended.stdout.splitlines()[-1].startswith("✗ ")


class TestSeveralStages:
    def test_run_in_the_order_of_a_pull_request_and_the_gate_decides_whatever_came_before(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "checks: ['exit 3']\n"})

        ended = mlgate_command("run", "report", "gate", "pull-data", "check", cwd=root, GITHUB_OUTPUT=str(tmp_path / "output"))

        assert ended.returncode == 1
        assert [line for line in ended.stderr.splitlines() if line.startswith("▸")] == [
            "▸ running your tests",
            "▸ deciding",
            "▸ writing the report",
        ]
        assert (tmp_path / "output").read_text() == "status=failed\nverdict=\nevidence=.mlgate/digits/evidence/gate.json\n"

    def test_may_come_from_the_environment_and_work_on_what_earlier_ones_left(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "checks: ['exit 3']\n"})
        mlgate_command("check", cwd=root)

        ended = mlgate_command("run", cwd=root, MLGATE_STAGES="gate")

        assert ended.returncode == 1
        assert ended.stdout == "✗ gate closed: Nothing was trained: 'exit 3' failed (exit 3)\n"

    def test_that_pass_say_so_in_the_last_ones_name(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "checks: ['true']\n"})

        ended = mlgate_command("run", "check", cwd=root, GITHUB_OUTPUT=str(tmp_path / "output"))

        assert ended.returncode == 0
        assert (tmp_path / "output").read_text() == "status=passed\nverdict=\nevidence=.mlgate/digits/evidence/check.json\n"

    def test_need_their_right_names(self, tmp_path: Path) -> None:
        root = make_repository(tmp_path / "r")

        ended = mlgate_command("run", "evalute", cwd=root)

        assert (ended.returncode, ended.stderr) == (2, "✗ 'evalute' is no stage; did you mean 'evaluate'?\n")


def test_outputs_cannot_smuggle_in_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    cli._set_outputs(model="digits\nverdict=better\r\nstatus=passed")

    assert (tmp_path / "output").read_text() == "model=digits verdict=better status=passed\n"


@pytest.mark.parametrize("of", ["config", *cli.STAGE_HELP])
def test_every_schema_can_be_printed(of: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", of]) == 0

    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_an_unknown_command_says_which_there_are(tmp_path: Path) -> None:
    ended = mlgate_command("deploi", cwd=tmp_path)

    assert ended.returncode == 2
    assert "invalid choice: 'deploi'" in ended.stderr


def test_output_that_the_terminals_encoding_cannot_show_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG + "ключ: 1\n", encoding="utf-8")

    ended = mlgate_command("check", cwd=tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C")

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "unknown key" in ended.stderr

    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)
    assert mlgate_command("setup", cwd=tmp_path, PYTHONIOENCODING="ascii").stdout == "\\u2713 mlgate.yaml: model digits\n"
