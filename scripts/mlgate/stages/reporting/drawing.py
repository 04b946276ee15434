"""The pictures of the report, drawn by a process of their own: matplotlib's import costs as much as all the rest, and reads settings from
the directory it runs in, so it runs beside ours and in its cache folder."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgate import own_secrets
from mlgate.errors import InfrastructureError, MlgateError
from mlgate.render.document import Figure

_TIMEOUT_S = 120


def expect(state: Path) -> None:
    """Have matplotlib imported, because something will be drawn soon."""
    if not _ready:
        with suppress(MlgateError):  # whoever draws says so
            _ready.append(_start(state))


_ready: list[subprocess.Popen[bytes]] = []
"""At most one process that has been asked for nothing yet."""


class Pictures:
    """What is being drawn."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        """`process` None: there is nothing to draw."""
        self._process = process
        self._drawn: dict[str, dict[str, str]] | None = None

    def result(self) -> dict[str, str]:
        """SVG by figure. Raises InfrastructureError."""
        return self._pictures()["svg"]

    def pngs(self) -> dict[str, bytes]:
        """PNG by figure, where they were asked for. Raises InfrastructureError."""
        return {key: base64.b64decode(picture) for key, picture in self._pictures()["png"].items()}

    def _pictures(self) -> dict[str, dict[str, str]]:
        if self._drawn is None:
            self._drawn = self._wait()
        return self._drawn

    def _wait(self) -> dict[str, dict[str, str]]:
        if self._process is None:
            return {"svg": {}, "png": {}}
        try:
            drawn, complaint = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise InfrastructureError(f"the pictures of the report took longer than {_TIMEOUT_S} s to draw") from None
        if self._process.returncode != 0:
            last = complaint.decode(errors="replace").strip().split("\n")[-1]
            raise InfrastructureError(f"the pictures of the report cannot be drawn: {last or f'exit code {self._process.returncode}'}")
        pictures: dict[str, dict[str, str]] = json.loads(drawn)
        return pictures


@contextmanager
def draw(figures: Sequence[Figure], state: Path, *, has_png: bool = False) -> Iterator[Pictures]:
    """Begin to draw, PNG too where it is asked for; the process ends with the block.

    Raises:
        InfrastructureError: it cannot be started.
    """
    if not figures and not _ready:
        yield Pictures(None)
        return
    with _ready.pop() if _ready else _start(state) as process:
        try:
            _ask(process, pickle.dumps((list(figures), has_png)))
            yield Pictures(process)
        except BaseException:
            process.kill()
            raise


def _start(state: Path) -> subprocess.Popen[bytes]:
    cache = _cache_folder(state, os.environ)
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "mlgate.render.plots"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cache,
        env={**own_secrets.without(os.environ), "MPLCONFIGDIR": str(cache), "MPLBACKEND": "agg"},
    )


def _ask(process: subprocess.Popen[bytes], request: bytes) -> None:
    """Hand over what is to be drawn at once, so that it is drawn while we publish; the process answers only after it has read all of it."""
    stream, process.stdin = process.stdin, None
    if stream is not None:
        with suppress(BrokenPipeError), stream:  # it died: its exit code tells
            stream.write(request)


def _cache_folder(state: Path, environ: Mapping[str, str]) -> Path:
    """Where matplotlib keeps its list of fonts, which takes it seconds to make."""
    base = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else None)
    folder = Path(base, "mlgate", "matplotlib") if base else state / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"{folder}: cannot be made: {error.strerror}; set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return folder
