"""`data.contracts[].files` of mlgate.yaml: what is understood, and what a mistake is told as."""

from __future__ import annotations

import pytest

from mlgate.config import FilesConfig, parse
from mlgate.errors import InputError
from support import MINIMAL_CONFIG


def files(text: str) -> FilesConfig:
    config = parse(f"{MINIMAL_CONFIG}data: {{contracts: [{{data: data/images, files: {text}}}]}}\n".encode(), "mlgate.yaml")
    found = config.data.contracts[0].files
    assert found is not None
    return found


def test_units_are_understood() -> None:
    found = files(
        "{types: [png, wav], size: [1 kB, 1.5 MiB], duration: [500ms, 2m], smallest_class: 5 %, classes: folder, duplicates: off}"
    )
    assert found.size == (1000, 1572864)
    assert found.duration == (0.5, 120.0)
    assert found.smallest_class == "5%"
    assert found.duplicates == "off"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "files.types: missing"),
        ("{types: []}", "files.types"),
        ("{types: [svg]}", "files.types[0]"),
        ("{types: [png], size: [1 kb, 2]}", "files.size[0]: expected a size such as 500 B, 1.5 MB, 4 MiB or 20GB, got the text '1 kb'"),
        ("{types: [png], size: [2 kB, 1 kB]}", "files.size: expected the lower end first, got [2000, 1000]"),
        ("{types: [png], size: [null, null]}", "files.size: expected at least one end, such as [1, null]"),
        ("{types: [png], size: 3}", "files.size"),
        ("{types: [png], duration: [1s, 2s]}", "files.duration: is about sounds, and none of the types is of that kind"),
        ("{types: [wav], width: [1, 2]}", "files.width: is about images, and none of the types is of that kind"),
        ("{types: [png], length: [1, 2]}", "files.length: is about text, and none of the types is of that kind"),
        ("{types: [png], smallest_class: 5}", "files.smallest_class: needs `classes: folder`, or a manifest with labels"),
        ("{types: [png], smallest_class: 0%, classes: folder}", "files.smallest_class: expected a number of files, such as 50, or a share"),
        ("{types: [png], classes: manifest}", "files.classes: needs the manifest: `manifest: data/labels.csv`"),
        ("{types: [png], class_ratio: 0.5, classes: folder}", "files.class_ratio"),
        ("{types: [png], ignore: [../x]}", "files.ignore[0]: expected a pattern of paths inside the folder"),
        ("{types: [png], sizes: [1, 2]}", "files.sizes: unknown key; did you mean 'size'?"),
        ("{types: [png]}, columns: {x: {}}", "data.contracts[0].columns: is about a table, and 'files' about a folder of files"),
        ("{types: [png]}, schema: x.yaml", "data.contracts[0].schema: is about a table, and 'files' about a folder of files"),
        ("{types: [png]}, level: warn", "data.contracts[0].level: is about a table, and 'files' about a folder of files"),
    ],
)
def test_a_mistake_is_told_at_its_key(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        files(text)
    assert said in str(caught.value)


def test_files_lie_on_this_machine() -> None:
    with pytest.raises(InputError, match="'files' are decoded here, so the folder must be on this machine; pull it with DVC"):
        parse(f"{MINIMAL_CONFIG}data: {{contracts: [{{data: s3://b/images, files: {{types: [png]}}}}]}}\n".encode(), "mlgate.yaml")
