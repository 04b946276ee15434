"""The optional secret `env` of the reusable workflows: KEY=value lines, masked in the log and handed to the steps that follow.

Only the jobs that run the user's code get it. GitHub masks its log; the files we keep of what the user's commands print, evidence and the
report's quotations of them are masked here, also of secrets that came another way: variables whose names say what they are, passwords in
URLs. The text is the repository owner's, but a mistake in it must neither end up in the log nor change what the runner or mlgate itself
run: such names are refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar

from mlgate import evidence as records
from mlgate.data.credentials import CONFIG, secrets_in
from mlgate.errors import InputError
from mlgate.stages.job import step_files

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
_NAMED_LIKE_A_SECRET = re.compile(
    r"(^|_)(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|API_?KEY|CONNECTION_STRING|(SECRET|PRIVATE|ACCESS|ACCOUNT)_KEY)(_VALUE|_ENV)?$"
    r"|^MLGATE_(SECRET|NOTIFY)_ENV$",
    re.IGNORECASE,
)
_SHORTEST_GUESS = 6
"""A shorter value of a variable that is only named like a secret is a switch or a default: `TOKEN=true`."""
_PASSWORD_IN_URL = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_BASIC = re.compile(r"\b(basic) +([A-Za-z0-9+/]{4,})={0,2}", re.IGNORECASE)
"""A header that a server says back, with a name and a password that nobody could find by looking for them."""
_FREE_TEXT = frozenset({"summary", "tail", "message", "reason", "headline", "baseline_note", "warnings", "rule", "how"})
"""Fields of evidence that quote what commands and servers said. The others are names and hashes, which must stay what they are."""

R = TypeVar("R", bound=records.Record)


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
    """Text without the secrets of this process: what `export` handed to the job, and what is one by its variable's name or in a URL."""
    return _masked(text, _known(environ))


def hidden_in(record: R, environ: Mapping[str, str]) -> R:
    """The same for what evidence quotes."""
    known = _known(environ)

    def masked(value: Any, *, is_free: bool = False) -> Any:
        match value:
            case str() if is_free:
                return _masked(value, known)
            case list():
                return [masked(item, is_free=is_free) for item in value]
            case dict():
                return {key: masked(item, is_free=key in _FREE_TEXT) for key, item in value.items()}
        return value

    before = record.model_dump()
    return record if (after := masked(before)) == before else type(record).model_validate(after)


def hide_in(path: Path, environ: Mapping[str, str]) -> None:
    """The same for a file that may be absent. Raises InfrastructureError when the disk refuses."""
    if _known(environ) and path.is_file():
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        if (masked := hidden(text, environ)) != text:
            records.write_bytes(path, masked.encode("utf-8", "surrogateescape"))


def is_secret(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable of this process is a secret, as far as its name says."""
    return name in environ.get(_NAMES, "").split() or _NAMED_LIKE_A_SECRET.search(name) is not None


def masks(variables: Mapping[str, str]) -> list[str]:
    """Workflow commands that keep the values out of the log, line by line: the log is masked by line."""
    # GitHub undoes %25 in a command's value.
    return [f"::add-mask::{part.replace('%', '%25')}" for part in sorted(_parts(variables))]


def export(variables: Mapping[str, str], github_env: Path) -> None:
    """Hand the variables to the steps that follow, by the file that GITHUB_ENV names, and tell mlgate there that they are secrets."""
    step_files.export({**variables, _NAMES: " ".join(variables)}, github_env)


def take(environ: MutableMapping[str, str]) -> list[str]:
    """Hand the variables of MLGATE_SECRET_ENV to this very process, where there are no later steps; returns their `masks`.

    Raises InputError as `parse` does.
    """
    variables = parse(environ.pop("MLGATE_SECRET_ENV", ""))
    if variables:
        environ.update({**variables, _NAMES: " ".join(variables)})
    return masks(variables)


def _masked(text: str, parts: Iterable[str]) -> str:
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return _BASIC.sub(lambda found: f"{found[1]} ***" if _is_name_and_password(found[2]) else found[0], text)


def _is_name_and_password(encoded: str) -> bool:
    try:
        return b":" in base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return False


def _known(environ: Mapping[str, str]) -> set[str]:
    handed = {name: environ[name] for name in environ.get(_NAMES, "").split() if name in environ}
    by_name = {name: value for name, value in environ.items() if name == CONFIG or (name != _NAMES and _NAMED_LIKE_A_SECRET.search(name))}
    guessed = _parts(by_name) | {password for value in environ.values() for password in _PASSWORD_IN_URL.findall(value)}
    # a line of MLGATE_…_ENV is KEY=value
    guessed |= {line.partition("=")[2].strip() for name in by_name if name.endswith("_ENV") for line in by_name[name].splitlines()}
    return _parts(handed) | {part for part in guessed if len(part) >= _SHORTEST_GUESS}


def _parts(variables: Mapping[str, str]) -> set[str]:
    """The lines of values that are long enough to be secrets. A configuration of DVC has lines that are none, such as `[core]`."""
    lines = [line for name, value in variables.items() for line in (secrets_in(value) if name == CONFIG else value.splitlines())]
    return {line.strip() for line in lines if len(line.strip()) >= _SHORTEST_MASK}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value
