"""Contracts of folders of files: for each rule, files that break it and files that almost do."""

from __future__ import annotations

import hashlib
import io
import math
import os
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlgate.config import FilesConfig
from mlgate.contracts import file_folder, wording
from mlgate.contracts.contract import Checked
from mlgate.contracts.files import workers
from mlgate.errors import InfrastructureError, InputError


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    count = size[0] * size[1] * len(mode)
    content = hashlib.shake_256(bytes([seed])).digest(count)
    Image.frombytes(mode, size, content).save(buffer, kind)
    return buffer.getvalue()


SIZE = len(picture())


def sound(seconds: float = 1.0, rate: int = 8000, channels: int = 1, frequency: float = 440) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        samples = [round(9000 * math.sin(2 * math.pi * frequency * at / rate)) for at in range(round(seconds * rate))]
        stream.writeframes(b"".join(struct.pack("<h", one) * channels for one in samples))
    return buffer.getvalue()


Folder = Callable[[dict[str, bytes]], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Puts files into `data`; returns the folder above it."""

    def make(files: dict[str, bytes]) -> Path:
        (tmp_path / "data").mkdir(exist_ok=True)
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path

    return make


def check(root: Path, **rules: Any) -> Checked:
    return file_folder.check(root, "data", FilesConfig.model_validate({"types": ["png"], **rules}), schema_path="mlgate.yaml")


def broken(root: Path, **rules: Any) -> list[str]:
    """What the contract says, each broken rule as a sentence."""
    findings = check(root, **rules).findings
    return [wording.sentence(rule, findings.rows) for rule in findings.broken]


# --- one file --------------------------------------------------------------------------------------------------------


def test_files_as_they_should_be_keep_the_contract(folder: Folder) -> None:
    root = folder({"a.png": picture(), "sub/B.PNG": picture(seed=1), ".gitignore": b"*"})
    checked = check(root, size=["1 B", "1 MB"], width=[8, 8], height=[8, None], mode=["RGB"], count=[2, 2])
    assert checked.findings.broken == []
    assert checked.warnings == []
    assert wording.summary(checked.findings) == "data keeps its contract: 2 files"
    assert checked.findings.folder is not None
    assert checked.findings.folder.types == {"png": 2}


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpeg"), ("GIF", "a.gif"), ("BMP", "a.bmp"), ("TIFF", "a.TIF"), ("WEBP", "a.webp")]
)
def test_images_of_every_kind_are_decoded(folder: Folder, kind: str, name: str) -> None:
    good, other = picture(kind, size=(64, 64)), {"png": "jpg"}.get(name[2:], "png")
    types = [name[2:].lower().replace("jpeg", "jpg").replace("tif", "tiff")]
    assert broken(folder({name: good}), types=types) == []
    cut = broken(folder({name: good[: len(good) // 2]}), types=types)
    assert len(cut) == 1
    assert "is not what its name says" in cut[0] or "cannot be decoded" in cut[0]
    assert broken(folder({name: picture("PNG" if other == "png" else "JPEG")}), types=types) == [
        f"1 of 1 files is not what its name says: {name} ({other})"
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><p>404", "HTML"),
        (b"\n  <html><p>Sign in", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"", "empty"),
        (b"not an image", "text"),
        (b"PK\x03\x04rest", "ZIP"),
        (bytes(range(200, 250)), "of no known format"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(folder: Folder, content: bytes, what: str) -> None:
    assert broken(folder({"x.png": content, "y.png": picture()})) == [f"1 of 2 files is not what its name says: x.png ({what})"]


def test_a_name_that_says_another_type_or_none(folder: Folder) -> None:
    root = folder({"a.png": picture(), "b.jpg": picture("JPEG"), "c": picture(seed=1), "Thumbs.db": b"x"})
    assert broken(root) == ["3 of 4 files are none of png by their names: Thumbs.db, b.jpg, c"]
    assert broken(root, types=["png", "jpg"], ignore=["*.db", "c"]) == []


def test_an_image_whose_end_is_missing_is_told_and_can_be_let_pass(folder: Folder) -> None:
    root = folder({"a.png": picture(size=(64, 64))[:-500]})
    assert broken(root) == ["1 of 1 files cannot be decoded: a.png (image file is truncated)"]
    assert check(root, decodable="warn").warnings == ["1 of 1 files cannot be decoded: a.png (image file is truncated)"]
    assert broken(root, decodable="warn") == []
    assert broken(root, decodable=False) == []  # YAML's bare `off`


def test_a_decompression_bomb_is_not_unpacked(folder: Folder) -> None:
    small = picture(mode="L")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = small[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + small[33:]
    assert broken(folder({"a.png": bomb})) == ["1 of 1 files cannot be decoded: a.png (more than 200 million pixels, not unpacked)"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"size": ["1 kB", None]}, f"have a size that is not at least 1 kB: a.png ({SIZE} B), b.png ({SIZE} B)"),
        ({"size": [None, SIZE - 1]}, f"have a size that is not at most {SIZE - 1} B: a.png ({SIZE} B), b.png ({SIZE} B)"),
        ({"size": [SIZE, SIZE]}, ""),
        ({"width": [9, 20]}, "have a width that is not 9..20 px: a.png (8 px), b.png (8 px)"),
        ({"width": [8, 20], "height": [1, 8]}, ""),
        ({"height": [None, 7]}, "have a height that is not at most 7 px: a.png (8 px), b.png (8 px)"),
        ({"mode": ["L", "RGBA"]}, "have a mode other than L or RGBA: a.png (RGB), b.png (RGB)"),
        ({"mode": ["RGB"]}, ""),
    ],
)
def test_measures_of_images(folder: Folder, rules: dict[str, Any], said: str) -> None:
    root = folder({"a.png": picture(), "b.png": picture(seed=1)})
    assert broken(root, **rules) == ([f"2 of 2 files {said}"] if said else [])


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"duration": ["0.5s", "900ms"]}, "has a duration that is not 0.5..0.9 s: a.wav (1 s)"),
        ({"duration": ["0.5s", "1s"]}, ""),
        ({"sample_rate": [16000, 44100]}, "has a sample rate other than 16000 or 44100 Hz: a.wav (8000 Hz)"),
        ({"sample_rate": [8000]}, ""),
        ({"channels": [2]}, "has other numbers of channels than 2: a.wav (1)"),
        ({"channels": [1, 2]}, ""),
    ],
)
def test_measures_of_sounds(folder: Folder, rules: dict[str, Any], said: str) -> None:
    assert broken(folder({"a.wav": sound()}), types=["wav"], **rules) == ([f"1 of 1 files {said}"] if said else [])


def test_a_sound_that_ends_too_early(folder: Folder) -> None:
    assert broken(folder({"a.wav": sound()[:-2000]}), types=["wav"]) == [
        "1 of 1 files cannot be decoded: a.wav (ends after 7,000 of 8,000 frames)"
    ]


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3", "wav"])
def test_sounds_of_other_kinds_are_decoded(folder: Folder, kind: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    import numpy as np

    buffer = io.BytesIO()
    tone = np.sin(np.arange(22050) / 9)
    soundfile.write(buffer, tone, 22050, format=kind.upper(), subtype="FLOAT" if kind == "wav" else None)
    good = buffer.getvalue()
    rules = {"types": [kind], "sample_rate": [22050], "channels": [1], "duration": ["0.9s", "1.2s"]}
    assert broken(folder({f"a.{kind}": good}), **rules) == []
    assert len(broken(folder({f"a.{kind}": good[:200]}), **rules)) == 1
    assert broken(folder({f"a.{kind}": sound() if kind != "wav" else picture()}), **rules) == [
        f"1 of 1 files is not what its name says: a.{kind} ({'png' if kind == 'wav' else 'wav'})"
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "Grüße".encode(), ""),
        ("a.txt", "Grüße".encode("latin-1"), "cannot be decoded: a.txt (not UTF-8 at byte 2)"),
        ("a.txt", b"\xef\xbb\xbfhello", ""),
        ("a.txt", b"hello\0", "cannot be decoded: a.txt (holds null characters)"),
        ("a.txt", b"BM starts it", ""),
        ("a.txt", picture(), "is not what its name says: a.txt (png)"),
        ("a.txt", b"%PDF-1.7", "is not what its name says: a.txt (PDF)"),
        ("a.txt", b"hello, longer", "has a length that is not 1..12 characters: a.txt (13 characters)"),
        ("a.txt", b"hello longer", ""),
        ("a.json", b'{"a": 1}', ""),
        ("a.json", b'{"a": 1', "cannot be decoded: a.json (no JSON: Expecting ',' delimiter, line 1)"),
        ("a.json", b"[" * 100_000, "cannot be decoded: a.json ("),
        ("a.jsonl", b'{}\n\n{"a"}\n', "cannot be decoded: a.jsonl (no JSON: Expecting ':' delimiter, line 3)"),
        ("a.html", b"<html></html>", ""),
    ],
)
def test_texts(folder: Folder, name: str, content: bytes, said: str) -> None:
    found = broken(folder({name: content}), types=["txt", "json", "jsonl", "html"], length=[1, 12] if name == "a.txt" else None)
    assert len(found) == bool(said)
    assert all(one.startswith(f"1 of 1 files {said}") for one in found)


# --- what is in the folder -------------------------------------------------------------------------------------------


def test_a_folder_that_is_none(folder: Folder) -> None:
    root = folder({"x.png": picture()})
    with pytest.raises(InputError, match=r"^nowhere: no such folder; "):
        file_folder.check(root, "nowhere", FilesConfig(types=["png"]), schema_path="mlgate.yaml")
    with pytest.raises(InputError, match=r"^data/x\.png: a file; `files` is for a folder of files"):
        file_folder.check(root, "data/x.png", FilesConfig(types=["png"]), schema_path="mlgate.yaml")


def test_an_empty_folder_is_told_once(folder: Folder) -> None:
    assert broken(folder({}), count=[1, None], classes="folder", smallest_class=3) == ["the folder has no files"]


@pytest.mark.parametrize(("count", "said"), [([3, None], "2 files, not at least 3"), ([None, 1], "2 files, not at most 1"), ([2, 2], "")])
def test_the_number_of_files(folder: Folder, count: list[int | None], said: str) -> None:
    assert broken(folder({"a.png": picture(), "b.png": picture(seed=1)}), count=count) == ([said] if said else [])


def test_links_are_followed_inside_the_folder_and_into_dvcs_cache_and_nowhere_else(folder: Folder, tmp_path: Path) -> None:
    root = folder({"a.png": picture()})
    cached = tmp_path / "cache/files/md5/ab" / ("c" * 30)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(picture(seed=1))
    (tmp_path / "secret.png").write_bytes(picture(seed=2))
    (root / "data/b.png").symlink_to("a.png")
    (root / "data/c.png").symlink_to(cached)
    assert broken(root) == []
    (root / "data/d.png").symlink_to(tmp_path / "secret.png")
    (root / "data/e.png").symlink_to("nothing")
    (root / "data/f").symlink_to(tmp_path)
    os.mkfifo(root / "data/g.png")
    assert broken(root) == [
        "1 of 4 files points outside the folder: d.png",
        (
            "3 of 6 files are no ordinary files: e.png (a link to nothing), f (a link to a folder, which DVC and mlgate do not follow), "
            "g.png (no ordinary file)"
        ),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read(folder: Folder) -> None:
    root = folder({"a.png": picture()})
    (root / "data/a.png").chmod(0)
    assert broken(root) == ["1 of 1 files cannot be read: a.png (Permission denied)"]


def test_a_file_that_goes_away_meanwhile_and_one_that_is_a_pipe() -> None:
    wanted = workers.Wanted(is_decoded=True, has_sha256=True, has_md5=False)
    gone, device = workers.inspect_all([("/nowhere/a.png", "png"), (os.devnull, "png")], wanted)
    assert (gone.unreadable, device.unreadable) == ("No such file or directory", "no ordinary file")


def test_hostile_names_are_shown_as_codes(folder: Folder) -> None:
    name = os.fsdecode(b"a\xff\n\x1b[31m\xe2\x80\xae|`.txt")
    findings = check(folder({name: b"x"})).findings
    assert findings.broken[0].names == ["a\\xff\\x0a\\x1b[31m\\u202e|`.txt"]
    assert findings.model_dump_json()


def test_only_ten_names_are_kept_and_the_count_is_exact(folder: Folder) -> None:
    findings = check(folder({f"{at:02}.txt": b"x" for at in range(25)})).findings
    assert findings.broken[0].rows == 25
    assert len(findings.broken[0].names) == 10
    assert wording.sentence(findings.broken[0], 25) == "25 of 25 files are none of png by their names: 00.txt, 01.txt, 02.txt, …"


# --- classes ---------------------------------------------------------------------------------------------------------


def pets(cats: int, dogs: int) -> dict[str, bytes]:
    numbers = iter(range(cats + dogs))
    files = {f"cats/{at}.png": picture(seed=next(numbers)) for at in range(cats)}
    return files | {f"dogs/{at}.png": picture(seed=next(numbers)) for at in range(dogs)}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"smallest_class": 3}, ["class 'cats' has 2 files, fewer than 3"]),
        ({"smallest_class": 2}, []),
        ({"smallest_class": "21%"}, ["class 'cats' has 2 files, fewer than 21%"]),
        ({"smallest_class": "20%"}, []),
        ({"class_ratio": 3.9}, ["the largest class has 4 times the files of the smallest, not 3.9 ('dogs' 8, 'cats' 2)"]),
        ({"class_ratio": 4}, []),
        ({"class_names": ["cats", "dogs"]}, []),
        ({"class_names": ["cats", "birds"]}, ["no file of class 'birds'", "class 'dogs', which the contract does not know, has 8 files"]),
    ],
)
def test_the_balance_of_classes(folder: Folder, rules: dict[str, Any], said: list[str]) -> None:
    root = folder(pets(2, 8))
    assert broken(root, classes="folder", **rules) == said
    assert wording.summary(check(root, classes="folder").findings) == "data keeps its contract: 10 files, 2 classes"


def test_a_file_beside_the_folders_of_classes(folder: Folder) -> None:
    assert broken(folder({**pets(1, 1), "x.png": picture(seed=9)}), classes="folder") == [
        "1 of 3 files lies in no folder of a class: x.png"
    ]


def test_equal_content_within_a_class_warns_and_across_classes_fails(folder: Folder) -> None:
    root = folder(
        {**pets(1, 1), "cats/copy.png": picture(seed=0), "dogs/cat.png": picture(seed=0), "dogs/almost.png": picture(seed=0) + b"\0"}
    )
    checked = check(root, classes="folder")
    assert [wording.sentence(rule, 5) for rule in checked.findings.broken] == [
        (
            "3 of 5 files have the same content as a file of another class: "
            "cats/0.png (as dogs/cat.png), cats/copy.png (as dogs/cat.png), dogs/cat.png (as cats/0.png)"
        )
    ]
    assert checked.warnings == ["1 of 5 files has the same content as another file: cats/copy.png (as cats/0.png)"]
    assert broken(root, duplicates="fail", conflicts="off") == [
        "2 of 5 files have the same content as another file: cats/copy.png (as cats/0.png), dogs/cat.png (as cats/0.png)"
    ]
    assert check(root, classes="folder", duplicates="off", conflicts="off").warnings == []


# --- manifest --------------------------------------------------------------------------------------------------------


def manifest(root: Path, *rows: str, header: str = "path,label,sha256") -> None:
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n")


def test_a_manifest_and_the_folder_agree_or_not(folder: Folder) -> None:
    files = {"a.png": picture(), "b.png": picture(seed=1)}
    a, b = (hashlib.sha256(content).hexdigest() for content in files.values())
    root = folder(files)
    manifest(root, f"a.png,01,{a}", f"./b.png,02,{b.upper()}")
    assert broken(root, manifest="labels.csv", class_names=["01", "02"]) == []
    manifest(root, f"a.png,01,{b}", f"c.png,02,{b}", "c.png,02,", f"d.png,,{a[:-1]}")
    assert broken(root, manifest="labels.csv") == [
        f"1 of 2 files has another sha256 than labels.csv says: a.png ({a[:12]}…, not {b[:12]}…)",
        "1 of 2 files is not listed in labels.csv: b.png",
        "2 of 4 files listed in labels.csv are not there: c.png, d.png",
        "1 of 4 files is listed in labels.csv before: c.png",
        "1 of 4 files has no label in labels.csv: d.png",
        "2 of 4 files have no sha256 in labels.csv: c.png, d.png",
    ]
    assert not any("not listed" in one for one in broken(root, manifest="labels.csv", strays="allow"))


def test_classes_and_hashes_of_a_manifest_with_names_of_its_own(folder: Folder) -> None:
    root = folder({"a.png": picture(), "b.png": picture(seed=1)})
    rows = [f"{name},pet,{hashlib.md5(picture(seed=at)).hexdigest()}" for at, name in enumerate(("a.png", "b.png"))]
    manifest(root, *rows, header="image,kind,sum")
    named = {"file": "labels.csv", "path": "image", "label": "kind", "hash": "sum"}
    assert broken(root, manifest=named, smallest_class=2, class_names=["pet"]) == []
    (root / "data/a.png").write_bytes(picture(seed=2))
    assert broken(root, manifest=named)[0].startswith("1 of 2 files has another md5 than labels.csv says: a.png (")


@pytest.mark.parametrize(
    ("header", "row", "rules", "said"),
    [
        ("file,label", "a.png,x", {}, r"^labels\.csv: no column 'path'.*data\.contracts names it$"),
        ("path,sha256", "a.png,zz", {}, r"^labels\.csv: column 'sha256': expected MD5 \(32 hexadecimal digits\) or SHA-256 \(64\)$"),
        ("path,label", ",x", {}, r"^labels\.csv: column 'path': 1 rows? without a path$"),
        ("path", "a.png", {"classes": "manifest"}, r"^labels\.csv: no column 'label', and `classes: manifest` needs one"),
        ("path,label", "a.png", {}, r"^labels\.csv: "),
    ],
)
def test_a_manifest_that_cannot_be_used(folder: Folder, header: str, row: str, rules: dict[str, Any], said: str) -> None:
    root = folder({"a.png": picture()})
    manifest(root, row, header=header)
    with pytest.raises(InputError, match=said):
        check(root, manifest="labels.csv", **rules)


def test_a_manifest_as_parquet_and_one_that_is_not_there(folder: Folder) -> None:
    import polars as pl

    root = folder({"a.png": picture()})
    pl.DataFrame({"path": ["a.png"], "label": [1]}).write_parquet(root / "labels.parquet")
    assert broken(root, manifest="labels.parquet", class_names=["1"]) == []
    with pytest.raises(InputError, match=r"^gone\.parquet: no such file"):
        check(root, manifest="gone.parquet")


# --- many files ------------------------------------------------------------------------------------------------------


def test_processes_find_what_one_finds_and_in_the_same_order(folder: Folder) -> None:
    files = {f"{at:03}.png": picture(seed=at % 200) for at in range(130)}
    files |= {"000.png": b"<html>", "129.png": picture()[:60], "x.txt": b"x"}
    root, rules = folder(files), FilesConfig(types=["png"])
    here, there = (file_folder.check(root, "data", rules, schema_path="mlgate.yaml", processes=processes) for processes in (0, 2))
    assert here.findings.broken == there.findings.broken
    assert [rule.rule for rule in there.findings.broken] == ["types png", "content as named", "decodable"]
    assert here.warnings == there.warnings


class Deadly:
    """Kills the process that unpickles it, as a file does that a decoder dies of."""

    def __reduce__(self) -> tuple[Callable[[int], Any], tuple[int]]:
        return os._exit, (9,)


def test_a_file_that_kills_its_decoder_is_named_and_the_others_are_looked_at(folder: Folder) -> None:
    root = folder({"a.png": picture(), "b.png": b"<html>"})
    good, bad = ((str(root / "data" / name), "png") for name in ("a.png", "b.png"))
    tasks: list[Any] = [good] * 130
    tasks[7], tasks[128] = (Deadly(), "png"), bad
    found = list(workers.inspect_all(tasks, workers.Wanted(is_decoded=True, has_sha256=False, has_md5=False), processes=2))
    assert [(at, one.undecodable or one.mismatch) for at, one in enumerate(found) if one.undecodable or one.mismatch] == [
        (7, "the decoder crashes or runs out of memory"),
        (128, "HTML"),
    ]


def test_workers_that_all_die_are_no_fault_of_the_files() -> None:
    tasks: list[Any] = [(Deadly(), "png")] * 65
    with pytest.raises(InfrastructureError, match="the processes that decode files end at once"):
        list(workers.inspect_all(tasks, workers.Wanted(is_decoded=True, has_sha256=False, has_md5=False), processes=1))


def test_a_decoder_that_is_not_installed_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_folder, "find_spec", lambda name: None)
    root = folder({"a.png": picture()})
    with pytest.raises(InputError, match=r"png cannot be decoded here, pillow is not installed: install mlgate\[files\], or write"):
        check(root)
    assert broken(root, decodable="off") == []
    with pytest.raises(InputError, match="pillow is not installed"):
        check(root, decodable="off", width=[1, 9])
