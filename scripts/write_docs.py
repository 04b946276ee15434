"""Write what README and docs/ show from its source: examples, the keys of mlgate.yaml, inputs and outputs of actions and workflows.

With `--check`, say what is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from mlgate import config

ROOT = Path(__file__).resolve().parents[1]
_GENERATED = re.compile(r"(<!-- generated: (?P<what>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_EXAMPLE = re.compile(r"(<!-- example: (?P<path>\S+) -->\n```(?P<language>\w+)\n).*?(```\n<!-- end -->)", re.DOTALL)


def current(text: str) -> str:
    """A page with the content of the files it shows, and the tables it holds, as they are now."""
    text = _EXAMPLE.sub(lambda match: f"{match[1]}{(ROOT / match['path']).read_text()}{match[4]}", text)
    return _GENERATED.sub(lambda match: f"{match[1]}\n{GENERATED[match['what']]()}\n{match[3]}", text)


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
    if reference is None and "items" in entry:
        reference, suffix = entry["items"].get("$ref"), "[]"
    if reference is None:
        return None, ""
    return schema["$defs"][reference.removeprefix("#/$defs/")], suffix


def _type(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(option) for option in entry["anyOf"] if option.get("type") != "null"))
    if entry.get("type") == "array":
        return f"list of {_type(entry['items'])}"
    return {"string": "text", "boolean": "yes/no", "integer": "whole number", "number": "number"}.get(entry.get("type", ""), "")


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def workflows() -> str:
    parts = []
    for path in sorted((ROOT / ".github/workflows").glob("reusable-*.yml")):
        document = yaml.safe_load(path.read_text())
        call = document.get("on", document.get(True))["workflow_call"] or {}  # YAML 1.1 reads the key `on` as true
        parts.append(f"### `{path.name}`\n\n{_comment(path)}\n")
        parts.append(_table("input", call.get("inputs")) + _table("secret", call.get("secrets")) + _table("output", call.get("outputs")))
    return "\n".join(parts)


def actions() -> str:
    parts = []
    for path in [ROOT / "action.yml", *sorted((ROOT / "actions").glob("*/action.yml"))]:
        document = yaml.safe_load(path.read_text())
        name = "mlgate/mlgate" if path.parent == ROOT else f"mlgate/mlgate/actions/{path.parent.name}"
        parts.append(f"### `{name}`\n\n{document['description']}\n")
        parts.append(_table("input", document.get("inputs")) + _table("output", document.get("outputs")))
    return "\n".join(parts)


def _comment(path: Path) -> str:
    """The sentence or two at the top of a workflow."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#") or line.strip() == "#":
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


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


GENERATED = {"configuration": configuration, "workflows": workflows, "actions": actions}


def main() -> int:
    pages = {path: current(path.read_text()) for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
    stale = [path for path, text in pages.items() if path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: out of date; run make docs")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path])
        print(f"{path.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
