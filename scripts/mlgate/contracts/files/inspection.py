"""One file: read once, hashed, and decoded from its first byte to its last. Runs in worker processes, so it imports little.

Nothing of a file is trusted: a decoder is told which format to expect, images are refused by their declared pixels before any is
unpacked, and whatever a decoder throws is an answer about the file. Pickle is no format here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import warnings
import wave
from dataclasses import dataclass, replace
from typing import IO

from mlgate.contracts.files import formats

MAX_PIXELS = 200_000_000
"""Of one image, all its frames together: one that declares more is a decompression bomb until somebody says otherwise."""
_WHOLE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_SOUND_FRAMES = 1 << 16
_MAX_REASON = 120


@dataclass(frozen=True)
class Wanted:
    """What to find out about a file."""

    is_decoded: bool
    has_sha256: bool
    has_md5: bool


@dataclass(frozen=True)
class Inspected:
    """What one file is."""

    size_bytes: int = 0
    unreadable: str = ""
    """Why it cannot be read; then nothing else is known of it."""
    mismatch: str = ""
    """What it is instead of what its name says; then it is not decoded."""
    undecodable: str = ""
    """Why it cannot be decoded."""
    sha256: str = ""
    md5: str = ""
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    duration_s: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    length: int | None = None


def inspect(path: str, kind: str | None, wanted: Wanted) -> Inspected:
    """What the file at a path is.

    Args:
        path: of the file; links are followed.
        kind: the type that its name says, one of those of a contract; None where it is none, so that it is only hashed.
        wanted: what to find out.
    """
    try:
        # Not to wait at a pipe that nobody writes to.
        with open(path, "rb", buffering=0, opener=lambda at, flags: os.open(at, flags | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Inspected(unreadable="no ordinary file")
            return _inspected(stream, status.st_size, kind, wanted)
    except OSError as error:
        return Inspected(unreadable=error.strerror or type(error).__name__)


def _inspected(stream: IO[bytes], size: int, kind: str | None, wanted: Wanted) -> Inspected:
    content: IO[bytes] = io.BytesIO(stream.read()) if size <= _WHOLE_BYTES else stream
    found = Inspected(size_bytes=size)
    if wanted.has_sha256:
        found = replace(found, sha256=_digest(content, "sha256"))
    if wanted.has_md5:
        found = replace(found, md5=_digest(content, "md5"))
    if kind is None:
        return found
    content.seek(0)
    mismatch = formats.mismatch(kind, content.read(formats.HEAD_BYTES))
    if mismatch or not wanted.is_decoded:
        return replace(found, mismatch=mismatch)
    content.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(content, kind, found)
    except Exception as error:  # noqa: BLE001 -- a decoder throws anything at a malformed file, and that it does is the answer
        return replace(found, undecodable=_reason(error))


def _digest(content: IO[bytes], name: str) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    content.seek(0)
    while chunk := content.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _decoded(content: IO[bytes], kind: str, found: Inspected) -> Inspected:
    if kind in formats.PILLOW_NAMES:
        return _image(content, kind, found)
    if kind in formats.LIBSNDFILE_NAMES:
        return _sound(content, kind, found)
    return _text(content, kind, found)


def _image(content: IO[bytes], kind: str, found: Inspected) -> Inspected:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # its own limit only warns below twice as many; ours is asked before anything is unpacked
    with Image.open(content, formats=[formats.PILLOW_NAMES[kind]]) as image:
        width, height = image.size
        known = replace(found, width=width, height=height, mode=image.mode)
        pixels = 0
        frame = 0
        while True:
            pixels += image.size[0] * image.size[1]
            if pixels > MAX_PIXELS:
                frames = f" in {frame + 1} frames" if frame else ""
                return replace(known, undecodable=f"more than {MAX_PIXELS // 10**6} million pixels{frames}, not unpacked")
            image.load()
            frame += 1
            try:
                image.seek(frame)
            except EOFError:
                return known


def _sound(content: IO[bytes], kind: str, found: Inspected) -> Inspected:
    if kind == "wav":
        try:
            return _wav(content, found)
        except wave.Error as error:
            if "unknown format" not in str(error):
                raise
            content.seek(0)  # not PCM: floats, A-law and such, which the standard library does not know
    try:
        import soundfile  # type: ignore[import-untyped]
    except ImportError:
        return replace(found, undecodable="no PCM; soundfile, which could tell more, is not installed")
    with soundfile.SoundFile(content) as sound:
        if sound.format not in (formats.LIBSNDFILE_NAMES[kind], "WAVEX", "RF64"):
            return replace(found, undecodable=f"is {sound.format}")
        known = replace(found, duration_s=sound.frames / sound.samplerate, sample_rate=sound.samplerate, channels=sound.channels)
        read = 0
        for block in sound.blocks(_SOUND_FRAMES, dtype="int16"):
            read += len(block)
        if read < sound.frames:
            return replace(known, undecodable=f"ends after {read:,} of {sound.frames:,} frames")
        return known


def _wav(content: IO[bytes], found: Inspected) -> Inspected:
    with wave.open(content, "rb") as sound:
        frames, rate, width = sound.getnframes(), sound.getframerate(), sound.getnchannels() * sound.getsampwidth()
        if not rate:
            return replace(found, undecodable="a sample rate of 0")
        known = replace(found, duration_s=frames / rate, sample_rate=rate, channels=sound.getnchannels())
        read = 0
        while chunk := sound.readframes(_SOUND_FRAMES):
            read += len(chunk) // width
        if read < frames:
            return replace(known, undecodable=f"ends after {read:,} of {frames:,} frames")
        return known


def _text(content: IO[bytes], kind: str, found: Inspected) -> Inspected:
    if found.size_bytes > _WHOLE_BYTES:
        length = 0
        reader = io.TextIOWrapper(io.BufferedReader(content), encoding="utf-8-sig", newline="")  # type: ignore[type-var]
        while chunk := reader.read(_CHUNK_BYTES):
            length += len(chunk)
        reader.detach()
        return replace(found, length=length)
    text = content.read().decode("utf-8-sig")
    if "\0" in text:
        return replace(found, undecodable="holds null characters")
    if kind == "json":
        json.loads(text)
    elif kind == "jsonl":
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                if line.strip():
                    json.loads(line)
            except json.JSONDecodeError as error:
                return replace(found, undecodable=f"no JSON: {error.msg}, line {number:,}")
    return replace(found, length=len(text))


def _reason(error: Exception) -> str:
    match error:
        case UnicodeDecodeError():
            return f"not UTF-8 at byte {error.start:,}"
        case json.JSONDecodeError():
            return f"no JSON: {error.msg}, line {error.lineno}"
        case EOFError():
            return "ends too early"
        case MemoryError():
            return "needs more memory than there is"
    words = " ".join(str(error).split())
    if "cannot identify image file" in words or not words:
        return "damaged"
    if "LibsndfileError" in type(error).__name__:
        words = words.rpartition(": ")[2]
    return words[:_MAX_REASON].rstrip(".")
