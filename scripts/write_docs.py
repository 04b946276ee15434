"""Write what README and docs/ show from its source: examples, the keys of mlgate.yaml, a page an action and workflow, every message.

With `--check`, say what is out of date.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

import calibration_table
import messages
import stamp
from mlgate import config

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
_MESSAGES = "messages "
_MADE_FROM = "<!-- Made from {}; `make docs` writes it. -->"
_GENERATED = re.compile(r"(<!-- generated: (?P<what>[^\n>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_EXAMPLE = re.compile(r"(<!-- example: (?P<path>\S+) -->\n```(?P<language>\w+)\n).*?(```\n<!-- end -->)", re.DOTALL)


def current(text: str) -> str:
    """A page with the content of the files it shows, and the tables it holds, as they are now."""
    text = _EXAMPLE.sub(lambda match: f"{match[1]}{(ROOT / match['path']).read_text()}{match[4]}", text)
    return _GENERATED.sub(lambda match: f"{match[1]}\n{_generated(match['what'])}\n{match[3]}", text)


def configuration() -> str:
    schema = config.json_schema()
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *_rows(schema, schema, ""), ""])


def _rows(schema: dict[str, Any], node: dict[str, Any], prefix: str) -> list[str]:
    rows = []
    for name, entry in node["properties"].items():
        key, required = f"{prefix}{name}", name in node.get("required", [])
        target, suffix = _section(schema, entry)
        if target is not None:
            rows.append(f"| `{key}` |  |  | {_cell(entry.get('description', ''))} |")
            rows += _rows(schema, target, f"{key}{suffix}.")
            continue
        default = "required" if required else "" if entry.get("default") is None else f"`{_yaml(entry['default'])}`"
        rows.append(f"| `{key}` | {_type(entry)} | {default} | {_cell(entry.get('description', ''))} |")
    return rows


def _section(schema: dict[str, Any], entry: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    reference, suffix = entry.get("$ref"), ""
    for option in entry.get("anyOf", []):  # a section that may be left out
        reference = reference or option.get("$ref")
    if reference is None and "items" in entry:
        reference, suffix = entry["items"].get("$ref"), "[]"
    if reference is None and isinstance(named := entry.get("additionalProperties"), dict):
        reference, suffix = named.get("$ref"), ".<name>"
    if reference is None:
        return None, ""
    target = schema["$defs"][reference.removeprefix("#/$defs/")]
    # One that may also be said in a word (`leakage: fail`) is told by its keys.
    return next((option for option in target.get("anyOf", []) if "properties" in option), target), suffix


_TYPES = {"string": "text", "boolean": "yes/no", "integer": "whole number", "number": "number", "object": "mapping"}


def _type(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(option) for option in entry["anyOf"] if option.get("type") != "null"))
    if entry.get("type") == "array":
        return "pair" if "prefixItems" in entry else f"list of {_type(entry['items'])}"
    if isinstance(entry.get("type"), list):
        return ", ".join(_TYPES[name] for name in entry["type"] if name != "null")
    return _TYPES.get(entry.get("type", ""), "")


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def reference() -> dict[Path, str]:
    """A page an action and a workflow, by path."""
    actions = [ROOT / "action.yml", *sorted((ROOT / "actions").glob("*/action.yml"))]
    workflows = sorted((ROOT / ".github/workflows").glob("reusable-*.yml"))
    pages = {_page_of(path): _action(path) for path in actions}
    return pages | {_page_of(path): _workflow(path) for path in workflows}


def _page_of(path: Path) -> Path:
    if path.name != "action.yml":
        return REFERENCE / f"workflow-{path.stem.removeprefix('reusable-')}.md"
    return REFERENCE / ("action.md" if path.parent == ROOT else f"action-{path.parent.name}.md")


def _action(path: Path) -> str:
    document = yaml.safe_load(path.read_text())
    name = _uses(path)
    inputs = document.get("inputs") or {}
    given = "".join(f"    {key}: …\n" for key, entry in inputs.items() if entry.get("required"))
    ran = dict.fromkeys(match[1] for match in re.finditer(r"""mlgate\.sh" ([a-z][a-z-]*)'""", path.read_text()))
    return "\n".join(
        [
            f"{_MADE_FROM.format(path.relative_to(ROOT))}\n# `{name.partition('@')[0]}`\n\n{document['description'].strip()}\n",
            f"```yaml\n- uses: {name}\n{f'  with:{chr(10)}{given}' if given else ''}```\n",
            f"It runs {', then '.join(f'`mlgate {command}`' for command in ran)}.\n\n{_table('input', inputs)}"
            f"{_table('output', document.get('outputs'))}".rstrip(),
            "",
        ]
    )


def _workflow(path: Path) -> str:
    text = path.read_text()
    document = yaml.safe_load(text)
    call = document.get("on", document.get(True))["workflow_call"] or {}  # YAML 1.1 reads the key `on` as true
    prose, example = _header(text)
    jobs = "".join(f"| `{name}` | {_permissions(job)} | {_trust(text, name)} |\n" for name, job in document["jobs"].items())
    tables = "".join(_table(kind, call.get(f"{kind}s")) for kind in ("input", "secret", "output"))
    return (
        f"{_MADE_FROM.format(path.relative_to(ROOT))}\n# `{path.name}`\n\n{prose}\n\n"
        + (f"```yaml\n{example}```\n\n" if example else "")
        + f"| job | permissions of its token | trust |\n|---|---|---|\n{jobs}\n{tables}".rstrip()
        + "\n"
    )


def _permissions(job: dict[str, Any]) -> str:
    return ", ".join(f"`{key}: {kind}`" for key, kind in (job.get("permissions") or {}).items()) or "none"


def _header(text: str) -> tuple[str, str]:
    """The comment at the top of a workflow: its sentences, and the YAML to copy in it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    example = [line for line in lines if line.startswith("  ")]
    prose = "\n".join(line for line in lines if not line.startswith("  "))
    return re.sub(r"\n{2,}", "\n\n", prose).strip(), textwrap.dedent("\n".join(example)) + "\n" if example else ""


def _trust(text: str, job: str) -> str:
    """The comment above a job, which says what it runs and holds."""
    lines = text[text.index("\njobs:\n") :].splitlines()
    at = lines.index(f"  {job}:")
    above: list[str] = []
    while lines[at - 1].startswith("  #"):
        at -= 1
        above.insert(0, lines[at].strip().removeprefix("#").strip())
    return _cell(" ".join(above).removeprefix("Trust: "))


def _uses(path: Path) -> str:
    own = stamp.current(ROOT)
    return f"{own.repository}{'' if path.parent == ROOT else f'/actions/{path.parent.name}'}@{own.ref}"


def actions() -> str:
    rows = ["| action | what it does |", "|---|---|"]
    for path in [ROOT / "action.yml", *sorted((ROOT / "actions").glob("*/action.yml"))]:
        page = _page_of(path)
        rows.append(
            f"| [`{_uses(path).partition('@')[0]}`]({page.relative_to(DOCS)}) | {_cell(yaml.safe_load(path.read_text())['description'])} |"
        )
    return "\n".join([*rows, ""])


def workflows() -> str:
    rows = ["| workflow | what it does |", "|---|---|"]
    for path in sorted((ROOT / ".github/workflows").glob("reusable-*.yml")):
        first = re.split(r"\.\s+(?=Copy)|\n\n", _header(path.read_text())[0])[0]
        rows.append(f"| [`{path.name}`]({_page_of(path).relative_to(DOCS)}) | {_cell(first)} |")
    return "\n".join([*rows, ""])


def listed_messages(areas: str) -> str:
    """Every message of some areas of the code that ends a command with exit 2 or 3."""
    chosen = [message for message in messages.collect() if any(message.is_in(area) for area in _areas(areas))]
    texts = dict.fromkeys((_message(message.text), message.exit_code) for message in chosen)
    return "\n".join(["| message | exit |", "|---|---|", *(f"| {text} | {code} |" for text, code in texts), ""])


def _areas(text: str) -> list[str]:
    return [area.strip() for area in text.split(",")]


def _message(text: str) -> str:
    """A message as a cell shows it: what varies in italics, nothing of it taken for markup."""
    parts = re.split(r"(‹[^›]*›)", _cell(text))
    return "".join(f"*{part[1:-1]}*" if part.startswith("‹") else re.sub(r"([*_`<>\[\]])", r"\\\1", part) for part in parts)


def unlisted(page: str) -> list[str]:
    """What a page with tables of messages lacks, or has twice: one line an area of the code."""
    listed = [
        area
        for match in _GENERATED.finditer(page)
        if match["what"].startswith(_MESSAGES)
        for area in _areas(match["what"].removeprefix(_MESSAGES))
    ]
    found = []
    collected = messages.collect()
    for own in dict.fromkeys(message.area for message in collected):
        times = sum(own == area or own.startswith(f"{area}.") for area in listed)
        if times != 1:
            found.append(f"messages of '{own}' are listed {times} times, expected once")
    empty = [area for area in listed if not any(message.is_in(area) for message in collected)]
    return found + [f"no messages of '{area}' any more, yet they are listed" for area in empty]


def _table(kind: str, entries: dict[str, Any] | None) -> str:
    if not entries:
        return ""
    has_defaults = kind == "input"
    rows = [f"| {kind} | default | meaning |", "|---|---|---|"] if has_defaults else [f"| {kind} | meaning |", "|---|---|"]
    for name, entry in entries.items():
        meaning = _cell(str(entry.get("description", "")))
        default = "required" if entry.get("required") else f"`{_yaml(entry['default'])}`" if entry.get("default") not in (None, "") else ""
        rows.append(f"| `{name}` | {default} | {meaning} |" if has_defaults else f"| `{name}` | {meaning} |")
    return "\n".join(rows) + "\n\n"


def metrics() -> str:
    """The metrics mlgate knows by name."""
    rows = ["| metric | task | better | needs probabilities |", "|---|---|---|---|"]
    for task, names in (("classification", config.CLASSIFICATION_METRICS), ("regression", config.REGRESSION_METRICS)):
        for name in names:
            better = "lower" if name in config.LOWER_IS_BETTER else "higher"
            rows.append(f"| `{name}` | {task} | {better} | {'yes' if name in config.METRICS_OF_SCORES else ''} |")
    return "\n".join([*rows, ""])


GENERATED = {"metrics": metrics, "configuration": configuration, "workflows": workflows, "actions": actions, **calibration_table.tables()}


def _generated(what: str) -> str:
    return listed_messages(what.removeprefix(_MESSAGES)) if what.startswith(_MESSAGES) else GENERATED[what]()


def main() -> int:
    pages = {path: current(path.read_text()) for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]} | reference()
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    left_over = sorted(set(REFERENCE.glob("*.md")) - set(pages))
    wrong = unlisted(TROUBLESHOOTING.read_text())
    for line in wrong:
        print(f"{TROUBLESHOOTING.relative_to(ROOT)}: {line}")
    if "--check" in sys.argv:
        for path in (*stale, *left_over):
            print(f"{path.relative_to(ROOT)}: out of date; run make docs")
        return 1 if stale or left_over or wrong else 0
    REFERENCE.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages[path])
        print(f"{path.relative_to(ROOT)}: written")
    for path in left_over:
        path.unlink()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
