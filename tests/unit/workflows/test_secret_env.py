"""The secret `env`: what users may write, what reaches later steps, and that nothing of it reaches the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import InputError
from mlgate.stages.job import secret_env


def read_back(github_env: Path) -> dict[str, str]:
    """As the runner reads GITHUB_ENV."""
    found: dict[str, str] = {}
    lines = iter(github_env.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        if not line:
            continue
        name, _, end = line.partition("<<")
        value = []
        for value_line in lines:
            if value_line == end:
                break
            value.append(value_line)
        found[name] = "\n".join(value)
    return found


def test_lines_become_variables():
    text = '\n# the remote\nAWS_ACCESS_KEY_ID=AKIA\nQUOTED="with = and # inside"\n  SPACED = \nEMPTY=\n'
    with pytest.raises(InputError, match="line 5: expected KEY=value"):
        secret_env.parse(text)
    assert secret_env.parse(text.replace("  SPACED = \n", "")) == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "QUOTED": "with = and # inside",
        "EMPTY": "",
    }


def test_a_value_of_several_lines_keeps_them(tmp_path):
    key = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\nx=1\\n"\n}'
    variables = secret_env.parse(f"A=1\nGCP_KEY<<END\n{key}\nEND\nB=2\n")
    assert variables == {"A": "1", "GCP_KEY": key, "B": "2"}
    secret_env.export(variables, tmp_path / "env")
    assert read_back(tmp_path / "env") == {**variables, "MLGATE_SECRET_NAMES": "A GCP_KEY B"}
    masked = "\n".join(secret_env.masks(variables))
    assert '::add-mask::"type": "service_account",' in masked
    assert "::add-mask::{" not in masked.splitlines()  # one brace would black out the log


def test_a_value_cannot_define_another_variable(tmp_path):
    github_env = tmp_path / "env"
    secret_env.export({"A": "x\nmlgate_0\nPATH=/evil\nB<<C\nd\nC"}, github_env)
    assert set(read_back(github_env)) == {"A", "MLGATE_SECRET_NAMES"}


@given(
    st.dictionaries(st.from_regex(r"\A[B-F][A-Z0-9_]{4,20}\Z"), st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=40))
)
def test_every_single_line_value_comes_through(tmp_path_factory, variables):
    text = "".join(f'{name}="{value}"\n' for name, value in variables.items())
    assert secret_env.parse(text) == variables
    github_env = tmp_path_factory.mktemp("env") / "env"
    secret_env.export(variables, github_env)
    assert read_back(github_env).items() >= variables.items()
    masked = secret_env.masks(variables)
    assert all(f"::add-mask::{value.strip().replace('%', '%25')}" in masked for value in variables.values() if len(value.strip()) >= 3)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "path",
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "BASH_ENV",
        "GITHUB_TOKEN",
        "RUNNER_TEMP",
        "MLGATE_STORE_URL",
    ],
)
def test_names_that_change_what_runs_are_refused(name):
    with pytest.raises(InputError, match=rf"line 2: '{name}' is refused"):
        secret_env.parse(f"FINE=1\n{name}=s3cret\n")


def test_names_that_only_look_alike_are_fine():
    assert set(secret_env.parse("LDAP_PASSWORD=a\nPATHS=b\nSTATEMENT=c\nCI_KEY=d\nENVIRONMENT=e")) == {
        "LDAP_PASSWORD", "PATHS", "STATEMENT", "CI_KEY", "ENVIRONMENT",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["s3cret", "OK=1\n=s3cret", "K<<END\ns3cret", "BAD NAME=s3cret", "1ST=s3cret"])
def test_a_mistake_names_its_line_and_never_its_text(text):
    with pytest.raises(InputError, match=r"secret env: line \d+: ") as caught:
        secret_env.parse(text)
    assert "s3cret" not in str(caught.value)


def test_what_commands_print_is_kept_without_the_secrets(tmp_path):
    environ = {"MLGATE_SECRET_NAMES": "SHORT KEY PREFIX GONE", "SHORT": "ab", "KEY": "first line\nsecond line", "PREFIX": "first"}
    log = tmp_path / "train.log"
    log.write_bytes(b"ab: first line, then second line\xff first\n")
    secret_env.hide_in(log, environ)
    assert log.read_bytes() == b"ab: ***, then ***\xff ***\n"
    secret_env.hide_in(tmp_path / "absent.log", environ)
    assert secret_env.hidden("first", {}) == "first"
