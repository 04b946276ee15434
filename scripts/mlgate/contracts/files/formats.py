"""Formats of files by the ending of their names and by their first bytes."""

from __future__ import annotations

ENDINGS: dict[str, str] = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "tif": "tiff",
    "wave": "wav",
    "oga": "ogg",
    "text": "txt",
    "markdown": "md",
    "ndjson": "jsonl",
    "htm": "html",
}
"""Further endings of a type; otherwise a type's ending is its name."""
HEAD_BYTES = 512
PILLOW_NAMES = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF", "webp": "WEBP"}
LIBSNDFILE_NAMES = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
TEXTS = frozenset({"txt", "md", "json", "jsonl", "csv", "tsv", "xml", "html"})
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer"),
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "Parquet"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_MARKUP: tuple[tuple[bytes, str], ...] = ((b"<!doctype html", "HTML"), (b"<html", "HTML"), (b"<?xml", "XML"), (b"<svg", "SVG"))


def by_name(name: str) -> str | None:
    """The type that a file's name says; None where it has no ending. One that is not known is the ending itself."""
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    if not dot or not stem or not ending:
        return None
    ending = ending.lower()
    return ENDINGS.get(ending, ending)


def by_content(head: bytes) -> str | None:
    """The type that the first bytes show, or words for a format that is no type here; None where they show nothing."""
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "AVI"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "HEIC or AVIF" if head[8:12] in (b"heic", b"heix", b"mif1", b"avif") else "MP4"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    for mark, kind in _MARKUP:
        if start.startswith(mark):
            return kind
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # frame sync, layer III (ISO/IEC 11172-3, 2.4.2.3)
        return "mp3"
    return "text" if head and _is_text(head) else None


def mismatch(kind: str, head: bytes) -> str:
    """What a file is that its name says is of a type; empty where it is of it."""
    if not head:
        return "empty"
    found = by_content(head)
    if kind in TEXTS:
        # Text of two letters can look like anything; the decoder tells.
        is_text = found in (None, "text", "HTML", "XML", "SVG") or (found in ("bmp", "a program", "mp3") and _is_text(head))
        return "" if is_text else (found or "")
    return "" if found == kind else (found or "of no known format")


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and not any(byte < 9 or 13 < byte < 27 for byte in head[:64]) and _starts_as_utf8(head)


def _starts_as_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD_BYTES  # a character cut in two by the end of the head
    return True
