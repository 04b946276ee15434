"""An artifact of another run is untrusted: it is unpacked into its folder or not at all."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from mlgate.errors import InfrastructureError, InputError
from mlgate.forge import run_artifact
from mlgate.forge.run_artifact import RunArtifact


def artifact(content: bytes) -> RunArtifact:
    return RunArtifact("mlgate-digits-train-1", 7, "a" * 40, content)


def archive(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return buffer.getvalue()


def test_its_files_are_written_with_their_folders(tmp_path: Path) -> None:
    written = artifact(archive(("evidence/", b""), ("evidence/evaluate.json", b"{}"), ("files/a/b.parquet", b"PAR1"))).unpack(
        tmp_path / "new"
    )
    assert {path.relative_to(tmp_path / "new").as_posix(): path.read_bytes() for path in written} == {
        "evidence/evaluate.json": b"{}",
        "files/a/b.parquet": b"PAR1",
    }


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "evidence/../../outside", "..\\outside"])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    member = zipfile.ZipInfo("placeholder")
    member.filename = name
    with pytest.raises(InputError, match=r"artifact 'mlgate-digits-train-1' of run 7: holds a name that leads out of its folder"):
        artifact(archive(("evidence/a.json", b"{}"), (member, b"x"))).unpack(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_link_becomes_a_plain_file(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("evidence/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    artifact(archive((link, b"/etc/passwd"))).unpack(tmp_path)
    assert not (tmp_path / "evidence/link").is_symlink()
    assert (tmp_path / "evidence/link").read_bytes() == b"/etc/passwd"


def test_more_than_fits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_artifact, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(InputError, match="such an artifact is refused"):
        artifact(archive(("bomb", b"\0" * 1_000_001))).unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_is_one_line_and_worth_a_retry(tmp_path: Path) -> None:
    whole = archive(("evidence/a.json", b"[1, 2, 3]" * 100))
    damaged = bytearray(whole)
    damaged[45:50] = b"\xff" * 5
    for content in (b"", b"<html>", whole[:-30], bytes(damaged)):
        with pytest.raises(InfrastructureError, match=r"artifact 'mlgate-digits-train-1' of run 7: cannot be unpacked"):
            artifact(content).unpack(tmp_path)
