"""`mlgate comment`: a Markdown file of the user's own as one comment that is edited in place. Needs no mlgate.yaml and no other stage.

The text is trusted as much as whoever runs the command: nothing in it is escaped. The pictures it shows from its folder go to the branch
`mlgate-assets`, or are named with a link to the run; they are never sent anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlgate import context as run_context
from mlgate.context import RunContext
from mlgate.errors import InputError, MlgateError
from mlgate.render import escape, own_markdown
from mlgate.render.own_markdown import Picture
from mlgate.stages.job import step_files

MAX_FILE_BYTES = 5_000_000
MAX_PICTURE_BYTES = 10_000_000
MAX_PICTURES = 50
_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUMMARY_LIMIT = 1_000_000
"""Bytes; GitHub drops a job summary of more than 1 MiB whole."""
_KINDS = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
    ".svg": (b"<svg", b"<?xml"),
}


@dataclass(frozen=True)
class Commented:
    """What came of it."""

    lines: list[str] = field(default_factory=list)
    """In words."""
    url: str = ""
    action: Literal["created", "updated", "kept", "none"] = "none"


def run(
    root: Path,
    file: str,
    *,
    marker: str,
    pull_request: str,
    pictures: str,
    config_path: str = "mlgate.yaml",
    environ: Mapping[str, str] = os.environ,
) -> Commented:
    """Post a Markdown file, or edit what an earlier run posted under the same marker.

    Args:
        root: the working directory; pictures outside it are left out.
        file: the Markdown file, relative to `root`; `-` for standard input.
        marker: tells several comments of one pull request apart.
        pull_request: number; empty for that of the event, or the open one of this commit, else the commit itself.
        pictures: `branch` or `link`; empty for what `report.plots` of mlgate.yaml says, `link` without one.
        config_path: of mlgate.yaml, which need not be there.
        environ: of the process.

    Raises:
        InputError: not on GitHub, no such file, or an option of another form.
        InfrastructureError: GitHub refused, or cannot be reached.
    """
    if not _MARKER.fullmatch(marker):
        raise InputError(f"--marker: expected letters, digits, '.', '_' and '-', got '{marker[:60]}'")
    if pictures not in ("", "branch", "link"):
        raise InputError(f"--pictures: expected 'branch' or 'link', got '{pictures[:60]}'")
    if pull_request and not re.fullmatch(r"[1-9][0-9]{0,9}", pull_request):
        raise InputError(f"--pull-request: expected its number, got '{pull_request[:60]}'")
    text = _text(root, file)
    context = run_context.from_environment(environ)
    if context.repository is None:
        raise InputError("mlgate comment: outside a GitHub workflow there is nothing to comment on; GITHUB_REPOSITORY is not set")
    if context.is_fork:
        _add_to_summary(text, environ)
        return Commented(["not posted: the pull request comes from a fork, whose token may only read; the job summary has it"])
    wants_branch = (pictures or _pictures_of_config(root, config_path)) == "branch"
    folder = (root / file).parent if file != "-" else root
    shown, remarks = _with_pictures(text, root, folder, context, wants_branch=wants_branch)
    if pull_request and int(pull_request) != context.pull_request:
        # Asked for by number, from a run of another commit: there is no head that would make this one outdated.
        context = replace(context, pull_request=int(pull_request), head_sha=None)
    return _publish(shown, marker, context, remarks, environ)


def _text(root: Path, file: str) -> str:
    path = root / file
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with path.open("rb") as stream:
                content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; name the Markdown file to post") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"{file}: more than {MAX_FILE_BYTES:,} bytes; a comment holds 65,536 characters")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from None
    if not text.strip():
        raise InputError(f"{file}: empty; GitHub takes no empty comment")
    if "\0" in text:
        raise InputError(f"{file}: holds a NUL byte; expected a text")
    return text


def _pictures_of_config(root: Path, config_path: str) -> str:
    """What `report.plots` says; the file is none of this command's business otherwise."""
    from mlgate import config as configuration

    if not (root / config_path).is_file():
        return "link"
    return "branch" if configuration.load(root / config_path, shown_as=config_path).report.plots == "branch" else "link"


# --- pictures --------------------------------------------------------------------------------------------------------


def _with_pictures(text: str, root: Path, folder: Path, context: RunContext, *, wants_branch: bool) -> tuple[str, list[str]]:
    """The text with its local pictures shown from the assets branch, or named; and what is to be said of that."""
    listed = own_markdown.pictures(text)
    if not listed:
        return text, []
    contents, remarks = _contents(listed[:MAX_PICTURES], root, folder)
    if len(listed) > MAX_PICTURES:
        remarks.append(f"only the first {MAX_PICTURES} of {len(listed)} pictures are shown")
    urls: dict[str, str] = {}
    if wants_branch and contents:
        try:
            urls = _published(contents, root, context)
        except MlgateError as error:
            remarks.append(f"pictures left out: {error}")
    elif contents:
        what, it = ("1 picture", "it") if len(contents) == 1 else (f"{len(contents)} pictures", "them")
        remarks.append(f"{what} left out, with a link to the run; '--pictures branch' shows {it}")
    run_url = context.run_url or f"{context.server_url}/{context.repository}"

    def in_place(picture: Picture) -> str:
        name = picture.alt or ("picture" if picture.path.startswith("data:") else picture.path.rpartition("/")[2])
        return escape.link(f"{name} (picture, left out)", run_url)

    return own_markdown.with_pictures(text, lambda picture: urls.get(picture.path), in_place), remarks


def _contents(listed: list[Picture], root: Path, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """Pictures by their path, and why others are left out. Nothing but a picture below the working directory ever leaves the machine."""
    contents: dict[str, bytes] = {}
    remarks: list[str] = []
    for picture in listed:
        if picture.path.startswith("data:"):
            embedded = _embedded(picture.path)
            if embedded is not None:
                contents[picture.path] = embedded
            else:
                remarks.append("an embedded picture is left out; expected data:image/png, jpeg, gif or webp in base64")
            continue
        path = folder / picture.path
        kinds = _KINDS.get(path.suffix.lower())
        try:
            inside = path.resolve().is_relative_to(root.resolve())
            content = path.read_bytes() if inside and path.is_file() and path.stat().st_size <= MAX_PICTURE_BYTES else None
        except (OSError, ValueError):
            content = None
        if content is None or kinds is None or not content.lstrip()[:16].lower().startswith(tuple(kind.lower().lstrip() for kind in kinds)):
            expected = f"a picture (PNG, JPEG, GIF, WebP, SVG) below the working directory, of at most {MAX_PICTURE_BYTES // 1_000_000} MB"
            remarks.append(f"{escape.clean(picture.path, 80)}: left out; expected {expected}")
            continue
        contents[picture.path] = content
    return contents, remarks


def _embedded(address: str) -> bytes | None:
    """The picture of a `data:` address; None where it is none."""
    found = re.fullmatch(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})", address)
    if found is None or len(found[2]) > MAX_PICTURE_BYTES:
        return None
    try:
        content = base64.b64decode(found[2], validate=True)
    except ValueError:
        return None
    return content if content.startswith(_KINDS[f".{found[1]}"]) else None


def _published(contents: Mapping[str, bytes], root: Path, context: RunContext) -> dict[str, str]:
    from mlgate.stages.reporting import assets

    names = {path: _name(path, content) for path, content in contents.items()}
    urls = assets.publish({names[path]: content for path, content in contents.items()}, root, context)
    return {path: urls[name] for path, name in names.items()}


def _name(path: str, content: bytes) -> str:
    if path.startswith("data:image/"):
        path = f"embedded.{path[len('data:image/') :].partition(';')[0]}"
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:80] or "picture"
    return f"{plain.lstrip('_-') or 'picture'}-{hashlib.sha256(content).hexdigest()[:10]}.{ending.lower()}"


# --- publishing ------------------------------------------------------------------------------------------------------


def _publish(text: str, marker: str, context: RunContext, remarks: list[str], environ: Mapping[str, str]) -> Commented:
    from mlgate.forge.client import MAX_COMMENT, Forge

    where = escape.link("the run", context.run_url) if context.run_url else "the run"
    body = own_markdown.cut(
        text, MAX_COMMENT, f"… cut here: a comment holds 65,536 characters and this has {len(text):,}. All of it is in {where}."
    )
    if body != text:
        _add_to_summary(text, environ)
        remarks = [*remarks, f"cut: {len(text):,} characters are more than a comment holds; the job summary has all of it"]
    forge = Forge(context)
    name = f"comment.{marker}"
    number = context.pull_request
    if number is None and context.head_sha is not None:
        number = forge.open_pull_request_of(context.head_sha)
    if number is not None:
        posted = forge.publish_comment(number, name, body)
        if posted.outdated is not None:
            return Commented([f"outdated: {posted.outdated}; comment left as it is", *remarks], posted.url or "", "kept")
        return Commented([f"comment {posted.action}: {posted.url}", *remarks], posted.url or "", posted.action)
    if context.head_sha is None:
        raise InputError("mlgate comment: neither a pull request nor a commit to comment on; give --pull-request")
    url = forge.comment_on_commit(context.head_sha, name, body)
    return Commented([f"no open pull request has this commit; comment on the commit: {url}", *remarks], url, "created")


def _add_to_summary(text: str, environ: Mapping[str, str]) -> None:
    # A character has four bytes at the most.
    fitting = own_markdown.cut(text, _SUMMARY_LIMIT // 4, "… cut here.") if len(text.encode()) > _SUMMARY_LIMIT else f"{text}\n"
    step_files.add_to_summary(fitting, environ)
