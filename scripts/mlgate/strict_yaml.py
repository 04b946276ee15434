"""YAML that people write (mlgate.yaml, contracts, metric files), read strictly: what PyYAML takes in silence is refused with its place."""

from __future__ import annotations

from typing import Any

import yaml

from mlgate.errors import InputError
from mlgate.mistakes import shortened

_MAX_BYTES = 1_000_000
_MAX_REASON = 500
_BOOLEAN, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


def parse(content: bytes, name: str) -> Any:
    """A YAML document, refused with place and reason where it is none, has a key twice or leans on aliases.

    Args:
        content: of the file.
        name: what messages call it.

    Raises:
        InputError: it cannot be read, or is larger than any such file is.
    """
    if len(content) > _MAX_BYTES:
        raise InputError(f"{name}: {len(content):,} bytes; expected a YAML file of at most {_MAX_BYTES:,}")
    try:
        return yaml.load(content.decode("utf-8-sig"), Loader=_StrictLoader)  # noqa: S506 -- a SafeLoader
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = _one_line(error.problem or error.context or "broken")
        hint = next((hint for part, hint in _HINTS.items() if part in said), "")
        raise InputError(f"{name}: {where}not valid YAML: {said}{hint}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not valid YAML: {_one_line(str(error))}") from None
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{name}: not valid YAML: {reason}") from None


_HINTS = {
    "mapping values are not allowed": "; write a text that has ': ' in it in quotes, and begin the keys of a section in one column",
    r"character '\t' that cannot start": "; indent by blanks, not by tabs",
}
"""What to do, where the parser says only what it met."""


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, and without aliases: a small file must not unfold into a large one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not supported; write the value out", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (AttributeError, LookupError, ValueError, OverflowError):  # `!!bool maybe`, 2001-99-99: PyYAML does not say where
            value = shortened(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(None, None, f"'{value}' is no {node.tag.rpartition(':')[2]}", node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if not isinstance(node, yaml.MappingNode):  # `!!map 1`: the base class says so, with its place
            return super().construct_mapping(node, deep=deep)
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == _BOOLEAN and key_node.value == "on":  # a key of ours; YAML 1.1 takes it for a yes, editors do not
                key_node.tag = _TEXT
            key = self.construct_object(key_node, deep=True)
            try:
                duplicate = key in seen
                seen.add(key)
            except TypeError:
                continue  # an unhashable key: the base class refuses it with its place
            if duplicate:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON]
