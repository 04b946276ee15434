"""An artifact that an earlier run left: downloaded from where GitHub sends us, and unpacked. Its content is untrusted."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlgate.errors import InfrastructureError, InputError

MAX_ARCHIVE_BYTES = 500_000_000
MAX_UNPACKED_BYTES = 2_000_000_000
MAX_FILES = 20_000
CHUNK = 1 << 20


@dataclass(frozen=True)
class ExpiredArtifact:
    """There was one, and GitHub has deleted it: artifacts are kept for 90 days, unless the repository says otherwise."""

    run_id: int
    commit: str


@dataclass(frozen=True)
class RunArtifact:
    """An artifact of a workflow run, as GitHub hands it out: one zip archive."""

    name: str
    run_id: int
    commit: str
    content: bytes

    def unpack(self, folder: Path, max_bytes: int | None = None, max_files: int | None = None) -> list[Path]:
        """Write its files below `folder`, which is made.

        Args:
            folder: where they go.
            max_bytes: of all of them together, MAX_UNPACKED_BYTES by default; more is refused before anything is written.
            max_files: how many, MAX_FILES by default.

        Returns:
            The files written.

        Raises:
            InputError: it holds a name that leads elsewhere, or more than fits.
            InfrastructureError: it is no zip archive, or a damaged one, or it cannot be written.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                self._check(members, max_bytes or MAX_UNPACKED_BYTES, max_files or MAX_FILES)
                return [self._write(archive, member, folder) for member in members]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise InfrastructureError(f"artifact '{self.name}' of run {self.run_id}: cannot be unpacked ({type(error).__name__})") from None

    def _check(self, members: list[zipfile.ZipInfo], max_bytes: int, max_files: int) -> None:
        where = f"artifact '{self.name}' of run {self.run_id}"
        if len(members) > max_files or sum(member.file_size for member in members) > max_bytes:
            raise InputError(f"{where}: more than {max_files:,} files or {max_bytes:,} bytes; such an artifact is refused")
        for member in members:
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in member.filename or not path.parts:
                raise InputError(f"{where}: holds a name that leads out of its folder; such an artifact is refused")

    @staticmethod
    def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> Path:
        """Written as a plain file, whatever the archive says it is: a link would lead elsewhere."""
        target = folder / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as stream:
            while chunk := source.read(CHUNK):
                stream.write(chunk)
        return target
