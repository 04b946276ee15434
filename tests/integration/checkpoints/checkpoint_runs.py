"""Runs of one training for the tests of checkpoints: each has its own folder, as jobs on fresh machines have, and shares the place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.training.checkpoints.beginning import Plan
from mlgate.training.checkpoints.manifest import Manifest
from mlgate.training.checkpoints.places import FolderPlace, Place
from mlgate.training.checkpoints.saver import Saver

KEY, OTHER_KEY = "a" * 64, "b" * 64


@dataclass
class Run:
    """One run of the training, as `stages.train` goes through it."""

    saver: Saver
    folder: Path
    said: list[str] = field(default_factory=list)

    def write(self, **files: str | bytes) -> None:
        """As the protocol asks: aside, then renamed."""
        for name, content in files.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f"{path.name}.tmp")
            aside.write_bytes(content.encode() if isinstance(content, str) else content)
            aside.replace(path)

    def content(self) -> dict[str, str]:
        """What the training sees."""
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not any(p.startswith(".") for p in path.parts[-3:])]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes().decode() for path in paths}


Begin = Callable[..., Run]


def begun(folder: Path, here: FolderPlace, store: Place | None = None, *, key: str = KEY, **settings: Any) -> Run:
    """A run that has looked for a checkpoint, and whose command runs now."""
    plan = Plan(
        folder=folder, key=key, model="digits", commit="c" * 40, here=here, store=store,
        **{"run": None, "every_s": 3600, "keep": 2, **settings},
    )  # fmt: skip
    said: list[str] = []
    run = Run(Saver(plan, said.append), folder, said)
    run.saver.restore()
    run.saver.start()
    return run


def kept(place: Path) -> list[Manifest]:
    """All manifests in a folder, the oldest first; a run may be removing some just now."""
    found = []
    for path in place.rglob("saved/*.json"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path.name, path.read_bytes()))
    return [Manifest.model_validate_json(text) for _, _, text in sorted(found)]


def contents(place: Path) -> list[Path]:
    return [path for path in place.rglob("files/*/*") if path.is_file()]
