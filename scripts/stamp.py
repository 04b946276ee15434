"""Sets the owner and the version under which our workflows, templates and docs name our own actions: `make stamp OWNER= REF=`.

A release stamps its tag; a mirror in one's own organisation stamps its own name, and a SHA where every byte must be pinned.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ".github/workflows/reusable-pull-request.yml"
"""The file whose stamp is the present one."""
POLICY = "zizmor.yml"
_READ = (".yml", ".yaml", ".md", ".j2")
_OWN = re.compile(r"\buses: +([\w.-]+/[\w.-]+)/actions/setup@([^\s`'\"]+)")


@dataclass(frozen=True)
class Stamp:
    repository: str
    """`owner/name`."""
    ref: str


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--owner", default="", help="owner, or owner/name, of the repository that will hold this tree [as it is]")
    parser.add_argument("--ref", default="", help="tag or full SHA [as it is]")
    options = parser.parse_args(arguments)
    present = current(ROOT)
    owner, _, name = options.owner.partition("/")
    repository = f"{owner or present.repository.split('/')[0]}/{name or present.repository.split('/')[1]}"
    wanted = Stamp(repository, options.ref or present.ref)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", wanted.repository) or not re.fullmatch(r"[\w][\w./-]*", wanted.ref):
        print(f"✗ expected OWNER=owner or owner/name and REF=tag or SHA, got '{wanted.repository}' and '{wanted.ref}'", file=sys.stderr)
        return 2
    changed = stamp(ROOT, wanted)
    print(f"✓ {wanted.repository}@{wanted.ref} in {len(changed)} files" + "".join(f"\n  {path}" for path in changed))
    return 0


def current(root: Path) -> Stamp:
    """The stamp of the reusable workflow, which all others must equal."""
    found = _OWN.search((root / SOURCE).read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"✗ {SOURCE}: expected a step that uses OWNER/NAME/actions/setup@REF")
    return Stamp(found[1], found[2])


def stamps(root: Path) -> Iterator[tuple[str, Stamp]]:
    """Every place that names us, as (file:line, stamp): under the present name, or with the path of one of our actions or workflows."""
    patterns = (_reference(current(root).repository), _schema_url())
    for path in _files(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in (match for pattern in patterns for match in pattern.finditer(line)):
                yield f"{path.relative_to(root)}:{number}", Stamp(match["repository"], match["ref"])


def stamp(root: Path, wanted: Stamp) -> list[str]:
    """Write the stamp into every place; returns the files that changed."""
    present = current(root)
    pattern = _reference(present.repository)
    changed = []
    for path in _files(root):
        text = path.read_text(encoding="utf-8")
        new = pattern.sub(lambda match: f"{wanted.repository}{match['path'] or ''}@{wanted.ref}", text)
        new = _schema_url().sub(f"{wanted.repository}/{wanted.ref}", new)
        if path.relative_to(root).as_posix() == POLICY:
            new = new.replace(f"{present.repository}/*:", f"{wanted.repository}/*:")
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path.relative_to(root).as_posix())
    return changed


def _reference(repository: str) -> re.Pattern[str]:
    own_path = r"/actions/[a-z-]+|/\.github/workflows/reusable-[a-z-]+\.yml"
    any_of_ours = rf"[\w.-]+/[\w.-]+(?={own_path})"
    return re.compile(
        rf"(?<![\w./-])(?P<repository>{re.escape(repository)}(?=@|{own_path})|{any_of_ours})(?P<path>{own_path})?@(?P<ref>[\w][\w./-]*)"
    )


def _schema_url() -> re.Pattern[str]:
    """The address under which editors find the JSON Schema of mlgate.yaml."""
    return re.compile(r"(?<=raw\.githubusercontent\.com/)(?P<repository>[\w.-]+/[\w.-]+)/(?P<ref>[\w.-]+)(?=/scripts/mlgate/schemas/)")


def _files(root: Path) -> list[Path]:
    """Files that may name us: what Git tracks or would, of the kinds users copy from. The change log tells of old versions."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    paths = sorted({root / name for name in listed.split("\0") if name.endswith(_READ)})
    return [path for path in paths if path.is_file() and path.name != "CHANGELOG.md" and "tests" not in path.relative_to(root).parts]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
