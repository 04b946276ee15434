"""The optional secret `env` of the reusable workflows: KEY=value lines, masked in the log and handed to the steps that follow.

Only the jobs that run the user's code get it. GitHub masks its log; the files we keep of what the user's commands print, and the report's
quotations of them, are masked here. The text is the repository owner's, but a mistake in it must neither end up in the
log nor change what the runner or mlgate itself run: such names are refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlgate import evidence as records
from mlgate.errors import InputError

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_BLOCK = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)<<(?P<end>\S+)$")
# They would change the programs, libraries or modules that later steps run, or what the runner and mlgate believe of this run.
_REFUSED = re.compile(
    r"^(PATH|HOME|SHELL|USER|PWD|IFS|CI|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|PROMPT_COMMAND|VIRTUAL_ENV|NODE_OPTIONS|NODE_PATH"
    r"|(GITHUB_|RUNNER_|ACTIONS_|MLGATE_|INPUT_|STATE_|LD_|DYLD_|PYTHON|GIT_CONFIG).*)$",
    re.IGNORECASE,
)
_NAMES = "MLGATE_SECRET_NAMES"
"""Tells later steps of the job which variables are secrets."""
_SHORTEST_MASK = 3
"""A shorter value is no secret, and masking it would black out the whole log."""


def parse(text: str) -> dict[str, str]:
    """Variables of `KEY=value` lines; a value of several lines is written `KEY<<END`, its lines, `END`.

    Blank lines and lines that begin with `#` are passed over.

    Raises:
        InputError: a line of another form, or a name that is refused. The message has its number, never its text.
    """
    found: dict[str, str] = {}
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if block := _BLOCK.match(line.strip()):
            name, end = block["name"], block["end"]
            value_lines = []
            for _, value_line in lines:
                if value_line.strip() == end:
                    break
                value_lines.append(value_line)
            else:
                raise InputError(f"secret env: line {number}: this value has no end; expected the word after '<<' on a line of its own")
            value = "\n".join(value_lines)
        else:
            name, separator, value = line.strip().partition("=")
            if not separator or not _NAME.match(name):
                raise InputError(f"secret env: line {number}: expected KEY=value, or KEY<<END for a value of several lines")
            value = _unquoted(value)
        if _REFUSED.match(name):
            raise InputError(
                f"secret env: line {number}: '{name}' is refused: it would change what the runner or mlgate run; choose another"
            )
        found[name] = value
    return found


def hidden(text: str, environ: Mapping[str, str]) -> str:
    """Text without the values that `export` handed to this job."""
    for part in sorted(_parts(environ[name] for name in environ.get(_NAMES, "").split() if name in environ), key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def hide_in(path: Path, environ: Mapping[str, str]) -> None:
    """The same for a file that may be absent. Raises InfrastructureError when the disk refuses."""
    if environ.get(_NAMES) and path.is_file():
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        if (masked := hidden(text, environ)) != text:
            records.write_bytes(path, masked.encode("utf-8", "surrogateescape"))


def masks(variables: Mapping[str, str]) -> list[str]:
    """Workflow commands that keep the values out of the log, line by line: the log is masked by line."""
    # GitHub undoes %25 in a command's value.
    return [f"::add-mask::{part.replace('%', '%25')}" for part in sorted(_parts(variables.values()))]


def export(variables: Mapping[str, str], github_env: Path) -> None:
    """Append to the file GITHUB_ENV names, each value between delimiters that it cannot contain."""
    with github_env.open("a", encoding="utf-8") as stream:
        for name, value in {**variables, _NAMES: " ".join(variables)}.items():
            end = f"mlgate_{secrets.token_hex(16)}"
            stream.write(f"{name}<<{end}\n{value}\n{end}\n")


def _parts(values: Iterable[str]) -> set[str]:
    """The lines of values that are long enough to be secrets."""
    return {part.strip() for value in values for part in value.splitlines() if len(part.strip()) >= _SHORTEST_MASK}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value
