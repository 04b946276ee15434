"""Evidence: written whole, read with suspicion."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlgate import evidence
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import STAGES, CheckFindings, CommandRun, Evidence, FileRef, Subject


def sample(**given_fields: Any) -> Evidence[Any]:
    fields: dict[str, Any] = {
        "mlgate_version": "1",
        "stage": "check",
        "model": "digits",
        "status": "passed",
        "summary": "all good",
        "subject": Subject(commit="a" * 40, is_dirty=False, config_sha256="b" * 64, run=None),
        "started_at": evidence.now(),
        "duration_s": 1.5,
        "findings": CheckFindings(commands=[CommandRun(command="pytest", exit_code=0, duration_s=1.0)]),
        "exit_code": 0,
    }
    return Evidence[CheckFindings](**{**fields, **given_fields})


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "evidence" / "check.json"
    evidence.write(sample(), path)

    assert evidence.load(path, "check") == sample(started_at=evidence.load(path, "check").started_at)
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"extra": 1}, "extra"),
        ({"stage": "gate"}, "evidence of 'gate', expected 'check'"),
        ({"status": "great"}, "status"),
        ({"exit_code": 9}, "exit_code"),
        ({"duration_s": -1}, "duration_s"),
        ({"duration_s": math.nan}, "not evidence of 'check' this version reads"),
        ({"summary": "x" * 20_001}, "summary"),
        ({"findings": {"commands": [{"command": "x", "exit_code": 0, "duration_s": 1, "injected": 1}]}}, "findings.commands.0.injected"),
        ({"subject": {"commit": "main", "is_dirty": False, "config_sha256": "b" * 64, "run": None}}, "subject.commit"),
        ({"subject": {"commit": "a" * 40 + "\n", "is_dirty": False, "config_sha256": "b" * 64, "run": None}}, "subject.commit"),
        ({"files": [{"path": "../../etc/passwd", "sha256": "a" * 64, "size_bytes": 1}]}, "files.0.path"),
    ],
)
def test_evidence_that_is_not_quite_evidence_is_refused_with_its_place(change: dict[str, Any], reason: str) -> None:
    document = {**json.loads(sample().model_dump_json()), **change}

    with pytest.raises(InputError) as caught:
        evidence.parse(json.dumps(document).encode(), "check", "check.json")

    assert str(caught.value).startswith("check.json: ")
    assert reason in str(caught.value)


def test_evidence_too_large_to_read_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    with path.open("wb") as stream:
        stream.truncate(evidence.MAX_EVIDENCE_BYTES + 1)

    with pytest.raises(InputError, match=r"more than 20,000,000 bytes is refused"):
        evidence.load(path, "check")


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InputError, match="no stage 'deploi'"):
        evidence.parse(b"{}", "deploi", "deploi.json")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\\..\\..\\x", "\\\\server\\x", "C:x", "C:\\x", "a\0b"])
def test_a_path_that_leads_out_of_the_state_folder_is_refused(path: str) -> None:
    content = json.dumps({"path": path, "sha256": "a" * 64, "size_bytes": 0}).encode()

    with pytest.raises(InputError):
        evidence.parse_record(FileRef, content, "x.json")


@given(st.text(max_size=30))
def test_a_path_that_is_accepted_stays_inside(path: str) -> None:
    try:
        reference = FileRef(path=path, sha256="a" * 64, size_bytes=0)
    except ValueError:
        return
    inside = os.path.normpath(f"/state/{reference.path}")
    assert inside == "/state" or inside.startswith("/state/")


@settings(deadline=None)  # a hundred thousand brackets take what the machine's other work leaves
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")), st.sampled_from(STAGES))
@example(b"[" * 100_000, "gate")
@example(b'{"stage": "\\ud800"}', "check")
@example(b'{"\\ud800": 1}', "check")
@example(b'{"duration_s": 1e999}', "check")
def test_no_bytes_bring_anything_but_a_refusal(content: bytes, stage: str) -> None:
    with pytest.raises(InputError) as caught:
        evidence.parse(content, stage, "x.json")
    str(caught.value).encode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(sample().model_dump_json()))), JSON_VALUES, min_size=1, max_size=3))
def test_no_value_anywhere_brings_anything_but_a_refusal(change: dict[str, Any]) -> None:
    document = {**json.loads(sample().model_dump_json()), **change}
    try:
        found = evidence.parse(json.dumps(document).encode(), "check", "x.json")
    except InputError as error:
        said = str(error).encode()
        assert said.startswith(b"x.json: ")
        assert b"\n" not in said
    else:
        assert evidence.parse(found.model_dump_json().encode(), "check", "x.json") == found


def test_a_file_is_handed_out_only_as_the_evidence_describes_it(tmp_path: Path) -> None:
    path = tmp_path / "files" / "predictions.parquet"
    path.parent.mkdir()
    path.write_bytes(b"content")
    reference = evidence.file_ref(path, tmp_path)
    assert reference.path == "files/predictions.parquet"
    assert evidence.checked_file(reference, tmp_path) == path

    path.write_bytes(b"altered")
    with pytest.raises(InputError, match=r"SHA-256 differs"):
        evidence.checked_file(reference, tmp_path)

    path.unlink()
    with pytest.raises(InputError, match=r"named by evidence but not there"):
        evidence.checked_file(reference, tmp_path)

    (tmp_path / "elsewhere").write_bytes(b"content")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"named by evidence but not there"):
        evidence.checked_file(reference, tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    evidence.write_bytes(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InfrastructureError, match=r"x\.json: cannot be written: No space left on device"):
        evidence.write_bytes(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stage", STAGES)
def test_the_schema_of_every_stage_is_valid_and_closed(stage: str) -> None:
    import jsonschema

    schema = evidence.json_schema(stage)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert all(inner.get("additionalProperties") is False for inner in schema["$defs"].values() if inner.get("type") == "object")
    assert evidence.dump_schema(schema).endswith("}\n")


def test_written_evidence_satisfies_the_published_schema() -> None:
    import jsonschema

    jsonschema.Draft202012Validator(evidence.json_schema("check")).validate(json.loads(sample().model_dump_json()))
