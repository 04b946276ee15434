"""Which edits of the rules of a folder of files let files pass that were refused before."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate.config import FilesConfig
from mlgate.contracts import file_changes

BASE: dict[str, Any] = {
    "types": ["png", "jpg", "wav", "txt"],
    "count": [10, 100],
    "size": ["1 kB", "1 MB"],
    "width": [8, 64],
    "mode": ["RGB"],
    "duration": ["1s", None],
    "sample_rate": [8000],
    "length": [None, 100],
    "classes": "folder",
    "class_names": ["cats", "dogs"],
    "smallest_class": 50,
    "class_ratio": 10,
    "manifest": "labels.csv",
    "ignore": ["*.db"],
}


def changed(**new: Any) -> list[tuple[str, bool]]:
    old = FilesConfig.model_validate(BASE)
    return [(change.name, change.is_weakening) for change in file_changes.compare(old, FilesConfig.model_validate({**BASE, **new}))]


def test_equal_rules_have_no_differences() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("key", "weaker", "stricter"),
    [
        ("types", ["png", "jpg", "wav", "txt", "gif"], ["png", "wav", "txt"]),
        ("count", [9, 100], [11, 99]),
        ("count", [10, None], [10, 50]),
        ("size", ["1 kB", "2 MB"], ["2 kB", "1 MB"]),
        ("width", None, [8, 63]),
        ("mode", ["RGB", "L"], None),
        ("duration", ["0.5s", None], ["1s", "9s"]),
        ("sample_rate", None, None),
        ("length", [None, 101], [1, 100]),
        ("class_names", ["cats"], None),
        ("class_names", ["cats", "dogs", "birds"], None),
        ("smallest_class", 49, 51),
        ("smallest_class", "50%", None),
        ("class_ratio", 11, 9),
        ("classes", None, None),
        ("manifest", None, None),
        ("manifest", "other.csv", None),
        ("strays", "allow", None),
        ("decodable", "warn", None),
        ("duplicates", "off", "fail"),
        ("conflicts", "warn", None),
        ("ignore", ["*.db", "*.tmp"], []),
    ],
)
def test_less_that_is_asked_is_a_weakening_and_more_is_none(key: str, weaker: Any, stricter: Any) -> None:
    if not (key == "classes" or (key == "manifest" and weaker is None)):
        assert changed(**{key: weaker}) == [(f"files.{key}", True)]
    elif key == "classes":
        assert ("files.classes", True) in changed(classes=None)
    else:
        assert ("files.manifest", True) in changed(manifest=None)
    if stricter is not None:
        assert changed(**{key: stricter}) == [(f"files.{key}", False)]


def test_differences_read_well() -> None:
    old = FilesConfig.model_validate(BASE)
    new = FilesConfig.model_validate(
        {**BASE, "size": ["1 kB", None], "manifest": {"file": "labels.csv", "label": "kind"}, "duration": ["0.5s", None]}
    )
    assert [(change.old, change.new) for change in file_changes.compare(old, new)] == [
        ("[1000, 1000000]", "[1000, null]"),
        ("[1, null]", "[0.5, null]"),
        ("file labels.csv, path path", "file labels.csv, path path, label kind"),
    ]
