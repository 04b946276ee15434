"""The token goes to the run's own server and nowhere else; programs that need none of our secrets are told none."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from mlgate import git, git_token, own_secrets
from mlgate.context import RunContext

TOKEN = "ghs_planted"
RUN = RunContext(event="push", repository="octo/models", server_url="https://github.example:8443", token=TOKEN)


@pytest.mark.parametrize(
    "url", ["https://github.example:8443/octo/models", "https://ada@github.example:8443/octo/models.git", "https://GITHUB.example:8443/x"]
)
def test_the_runs_own_server_gets_the_token(url: str) -> None:
    value = git_token.authorization(url, RUN)
    assert value is not None
    assert base64.b64decode(value.removeprefix("basic ")).decode() == f"x-access-token:{TOKEN}"
    assert {key for key, _ in git_token.header(url, value)} == {"http.https://github.example:8443/.extraheader"}


@pytest.mark.parametrize(
    "url",
    [
        "https://github.example/octo/models",
        "http://github.example:8443/octo/models",
        "https://github.example:8443@elsewhere.example/octo/models",
        "https://elsewhere.example/https://github.example:8443/",
        "git@github.example:octo/models.git",
        "ssh://github.example:8443/octo/models",
        "/srv/git/models",
        "",
    ],
)
def test_no_other_server_gets_it(url: str) -> None:
    assert git_token.authorization(url, RUN) is None


def test_without_a_token_nobody_gets_one() -> None:
    assert git_token.authorization("https://github.com/octo/models", RunContext()) is None


def test_settings_come_behind_those_that_the_user_has_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada"}.items():
        monkeypatch.setenv(name, value)
    made = git_token.environment([("core.abbrev", "9"), ("core.abbrev", "12")])
    assert git.run(tmp_path, "config", "user.name", env=made) == b"Ada\n"
    assert git.run(tmp_path, "config", "core.abbrev", env=made) == b"12\n"


@pytest.mark.parametrize("name", ["MLGATE_GITHUB_TOKEN", "MLGATE_SECRET_ENV", "MLGATE_NOTIFY_ENV", "MLGATE_ENV", "MLGATE_STORE_PASSWORD"])
def test_our_secrets_are_known_by_their_names(name: str) -> None:
    assert own_secrets.is_one(name)
    assert own_secrets.without({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["MLGATE_ENVIRONMENT", "MLGATE_STAGES", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_MLGATE_GITHUB_TOKEN"])
def test_other_variables_are_none_of_them(name: str) -> None:
    assert not own_secrets.is_one(name)


def test_git_is_told_none_of_them_but_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_NOTIFY_ENV", "HOOK=https://hooks.example/x")
    monkeypatch.setenv("MLGATE_GITHUB_TOKEN", TOKEN)
    (tmp_path / "git").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    told = git.run(tmp_path, "status", env={"GIVEN": "yes"}).decode()
    assert "GIVEN=yes" in told
    assert TOKEN not in told
    assert "HOOK" not in told
