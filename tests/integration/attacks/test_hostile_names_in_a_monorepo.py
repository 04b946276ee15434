"""Folders of models named to be taken for something else, in what a workflow makes jobs of and in what a person reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlgate import cli
from mlgate.context import RunContext
from mlgate.notify import message
from mlgate.stages.doctor.findings import Diagnosis, problem
from mlgate.stages.monorepo import aggregate
from support import MINIMAL_CONFIG, commit_files, git, make_repository

FOLDERS = [
    "$(touch pwned)`touch pwned`",
    "a\n::error::owned\nmatrix=[]\nany=false",
    "b%0A::set-output name=any::false",
    "c<<EOF\nx\nEOF",
    '"},{"model":"x','"]}',
    "##[add-mask]y",
    "\x1b[31m\u202egnp\u200b",
    " two  blanks ",
    "@octocat <img src=x>|x|",
]  # fmt: skip
UNSEEN = set("\x1b\u202e\u200b\r")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model in each folder; all of them changed."""
    names = [f"models/{folder.replace('/', '-')}/mlgate.yaml" for folder in FOLDERS]
    configs = {name: MINIMAL_CONFIG.replace("digits", f"model-{number}") for number, name in enumerate(names)}
    root = make_repository(tmp_path / "r", configs)
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {f"{name.removesuffix('mlgate.yaml')}$(touch pwned)\n##[error]x.py": "1" for name in names}, "change")
    return root


def outputs(path: Path) -> dict[str, str]:
    """As the runner reads the file: `name=value`, or `name<<END` and lines until END."""
    found, lines = {}, iter(path.read_text().splitlines())
    for line in lines:
        equals, here = line.find("="), line.find("<<")
        if here >= 0 and (equals < 0 or here < equals):
            raise AssertionError(f"a value of several lines: {line}")
        found[line[:equals]] = line[equals + 1 :]
    return found


def test_the_matrix_has_each_folder_as_it_is_and_nothing_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert cli.main(["changed", "--json", "-C", str(root)]) == 0
    printed = capsys.readouterr()
    found = outputs(tmp_path / "output")
    assert list(found) == ["matrix", "models", "changed", "any"]
    assert found["any"] == "true"
    rows = json.loads(found["matrix"])["include"]
    assert sorted(row["working-directory"] for row in rows) == sorted(f"models/{folder}" for folder in FOLDERS)
    assert json.loads(printed.out) == {"include": rows}
    lines = [*printed.out.splitlines(), *printed.err.splitlines()]
    assert len(lines) == 1 + 1 + len(FOLDERS) + 1
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line or set(line) & UNSEEN] == []
    assert list(tmp_path.rglob("pwned")) == []


def test_the_folder_and_the_file_of_one_of_them_are_text_where_its_job_begins(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    folder, name = root / "models" / FOLDERS[1], "mlgate-\n::error::owned\n##[error]\x1b[31m.yaml"
    (folder / "mlgate.yaml").rename(folder / name)
    assert cli.main(["setup", "-C", str(folder), "--config", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "✓ mlgate- ::error::owned # [error].yaml: model model-1"
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []
    assert outputs(tmp_path / "output")["model"] == "model-1"


def test_one_answer_for_all_of_them_is_text(root: Path, tmp_path: Path) -> None:
    models = json.dumps([{"model": folder, "changed": True} for folder in FOLDERS])
    needs = {"changed": {"result": "success", "outputs": {"models": models}}, FOLDERS[1]: {"result": FOLDERS[1], "outputs": {}}}
    answer = aggregate.run({"MLGATE_NEEDS": json.dumps(needs), "MLGATE_ARTIFACTS": str(tmp_path / "none")})
    assert [line for line in answer.lines if line.lstrip().startswith("::") or "##[" in line or "\n" in line or set(line) & UNSEEN] == []
    assert "<img" not in answer.markdown.replace("`@octocat` &#60;img", "")
    assert len([line for line in answer.markdown.splitlines() if line.startswith("|")]) == 2 + len(FOLDERS)


def test_what_doctor_says_to_a_program_is_no_command_either() -> None:
    diagnosis = Diagnosis([problem("##[error]x\n::error::y")])
    assert "##[" not in diagnosis.as_json()
    assert json.loads(diagnosis.as_json())["findings"][0]["text"] == "##[error]x\n::error::y"


def test_a_status_is_named_without_what_turns_text_around() -> None:
    context = RunContext(base_ref="release/\u202egnp\u200b", default_branch="main")
    assert context.status_name("digits") == "mlgate/digits into release/gnp"


def test_a_chat_mentions_nobody_and_links_to_nothing_else() -> None:
    evil = "<!channel> <@U1> <https://evil.example|x> &amp; *b* @here"
    notice = message.Notice("digits", "octo/models", evil, "4f1c" * 10, evil, evil, evil, "worse", True, "https://a/1", "https://a/2")
    said = json.dumps(message.payload("slack", notice), ensure_ascii=False)
    assert [word for word in ("<!channel>", "<@U1>", "<https://evil") if word in said] == []
    assert "&lt;!channel&gt;" in said
