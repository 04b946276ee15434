"""What a reader of the docs can rely on: links lead somewhere, every page can be found, every message has its entry."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))
import messages  # noqa: E402
import write_docs  # noqa: E402

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/e2e/README.md", "tests/github_stand_in/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_NAMED = re.compile(r"(?<![\w/])docs/[a-z-]+\.md(?:#[a-z0-9-]+)?")


def prose(page: Path) -> str:
    return _CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (unique := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def broken(target: str, folder: Path, page: Path) -> bool:
    path, _, anchor = target.partition("#")
    there = (folder / path).resolve() if path else page
    return not there.exists() or bool(anchor and there.suffix == ".md" and anchor not in anchors(there))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]
    assert [target for target in targets if broken(target, page.parent, page)] == []


def test_every_page_can_be_found() -> None:
    listed = {(ROOT / "docs" / target).resolve() for target in _LINK.findall((ROOT / "docs/README.md").read_text())}
    assert {path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"} <= {path.name for path in listed}
    referred = set(_LINK.findall((ROOT / "docs/actions.md").read_text()))
    assert {f"reference/{path.name}" for path in (ROOT / "docs/reference").glob("*.md")} <= referred
    assert "docs/README.md" in _LINK.findall((ROOT / "README.md").read_text())


def test_pages_that_code_and_templates_send_a_user_to_exist() -> None:
    folders = [ROOT / name for name in ("scripts", "templates", "actions", ".github/workflows")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".yml", ".j2", ".sh"}]
    named = {(path.name, target) for path in files for target in _NAMED.findall(path.read_text())}
    assert named
    assert {(name, target) for name, target in named if broken(target, ROOT, ROOT)} == set()


def test_every_message_has_its_entry_exactly_once() -> None:
    assert write_docs.unlisted((ROOT / "docs/troubleshooting.md").read_text()) == []


def test_an_area_that_is_absent_or_listed_twice_is_said() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    without = re.sub(r"messages git, ", "messages ", page)
    assert write_docs.unlisted(without) == ["messages of 'git' are listed 0 times, expected once"]
    assert write_docs.unlisted(f"{page}\n<!-- generated: messages git, nowhere -->\n<!-- end -->") == [
        "messages of 'git' are listed 2 times, expected once",
        "no messages of 'nowhere' any more, yet they are listed",
    ]


def test_a_message_is_read_from_the_code_that_raises_it(tmp_path: Path) -> None:
    package = tmp_path / "mlgate"
    (package / "stages").mkdir(parents=True)
    (package / "errors.py").write_text("class TooShallowError(InputError): ...\n")
    (package / "words.py").write_text("def push(name):\n    return f\"run 'dvc push {name}'\"\n")
    (package / "stages/train.py").write_text(
        "LIMIT = 2_000\n"
        "def run(path, seconds, is_twice):\n"
        "    where = f'{path}: key'\n"
        "    if is_twice:\n"
        "        raise InputError(f\"{where}: {'given twice' if is_twice else 'given never'}; at most {LIMIT:,}\")\n"
        "    raise InfrastructureError(f'{path.name}: not there after {len(seconds)} s; {words.push(path)}')\n"
        "def lineage(tip):\n"
        "    raise TooShallowError(f'this clone lacks {tip[:12]}')\n"
        "def quiet(text):\n"
        "    raise InputError(text)\n"
    )
    assert [(message.area, message.exit_code, message.text) for message in messages.collect(package)] == [
        ("stages.train", 2, "this clone lacks ‹tip›"),
        ("stages.train", 2, "‹path›: key: given never; at most 2,000"),
        ("stages.train", 2, "‹path›: key: given twice; at most 2,000"),
        ("stages.train", 3, "‹path›: not there after ‹number› s; run 'dvc push ‹name›'"),
    ]
