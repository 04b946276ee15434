"""What counts as a secret of a job where nobody declared it one, and where it is masked."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mlgate import evidence as e
from mlgate.environment import user_environment
from mlgate.stages.baseline import worktree
from mlgate.stages.baseline.worktree import BaselineNotRunError
from mlgate.stages.job import secret_env
from mlgate.workspace import Workspace
from support import make_repository

SECRET = "s3cret-w0rd"


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "HF_TOKEN",
        "WANDB_API_KEY",
        "OPENAI_APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "AZURE_STORAGE_CONNECTION_STRING",
    ],
)
def test_a_variable_that_is_named_like_a_secret(name: str) -> None:
    assert secret_env.hidden(f"said {SECRET}.", {name: SECRET}) == "said ***."


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "AWS_WEB_IDENTITY_TOKEN_FILE", "SSH_AUTH_SOCK", "KEY_COLUMN", "MODEL"])
def test_one_that_is_not(name: str) -> None:
    assert secret_env.hidden(f"said {SECRET}.", {name: SECRET}) == f"said {SECRET}."


def test_a_switch_is_no_secret() -> None:
    assert secret_env.hidden("it is true", {"USE_TOKEN": "true"}) == "it is true"


def test_a_password_in_a_url_and_the_lines_of_our_own_secrets() -> None:
    environ = {"DATABASE_URL": f"postgresql://ada:{SECRET}@db/x", "MLGATE_NOTIFY_ENV": "HOOK=https://hooks.example/T0/B0/xyz"}
    assert secret_env.hidden(f"{SECRET} at https://hooks.example/T0/B0/xyz", environ) == "*** at ***"


def test_a_header_that_was_said_back() -> None:
    header = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    assert secret_env.hidden(f"refused Basic {header}", {}) == "refused Basic ***"
    assert secret_env.hidden("a basic understanding", {}) == "a basic understanding"


def test_evidence_keeps_its_names_and_hashes() -> None:
    run = e.CommandRun(command="train --seed 1", exit_code=1, duration_s=1.0, tail=f"{SECRET}\nend")
    found = e.CheckFindings(commands=[run])
    masked = secret_env.hidden_in(found, {"MY_TOKEN": SECRET, "OTHER_TOKEN": "train --seed 1"})
    assert masked.commands[0].tail == "***\nend"
    assert masked.commands[0].command == "train --seed 1"
    assert secret_env.hidden_in(found, {}) is found


def test_the_users_commands_are_told_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("MLGATE_GITHUB_TOKEN", "MLGATE_ENV", "MLGATE_SECRET_ENV", "MLGATE_NOTIFY_ENV")
    for name in (*ours, "GITHUB_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    assert [name for name, value in user_environment().items() if value == SECRET] == ["GITHUB_TOKEN"]


def test_what_a_command_of_the_baseline_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    workspace = Workspace.open(make_repository(tmp_path / "r"), "mlgate.yaml", {})
    with pytest.raises(BaselineNotRunError) as failed:
        worktree.run(workspace, "echo no entry for $SERVICE_TOKEN; exit 3", workspace.root, "predict.log", None)
    assert str(failed.value).endswith("(exit 3): no entry for ***")
    assert (workspace.files / "baseline/predict.log").read_text() == "no entry for ***\n"
