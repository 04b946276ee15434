"""doctor: DVC's repository and remotes, and whether a runner finds there what this commit says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlgate.data import advice, remote_state
from mlgate.data.remote_state import Data, RemoteState
from mlgate.data.tracking import dvc_root
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject


def modules(subject: Subject) -> tuple[str, ...]:
    """What asking DVC takes."""
    return ("dvc.repo",) if dvc_root(subject.root) else ()


def look(subject: Subject) -> Iterator[Finding]:
    """Whether every remote answers and has all that it should have."""
    config = subject.config
    wanted = config.data.remote if config else None
    if dvc_root(subject.root) is None:
        if wanted is not None:
            yield problem(
                f"data.remote: '{wanted}' would be a DVC remote, and this is no DVC repository", "run 'dvc init', or remove the key"
            )
        else:
            yield unneeded("no DVC here: data and models are what Git and your command bring")
        return
    found = remote_state.survey(subject.root, wanted)
    yield from _not_shared(found)
    for state in found.remotes:
        yield from _remote(state)
        if not state.place.scheme:
            text = f"remote '{state.place.remote}' is a folder: only machines that mount it can pull from it"
            yield unneeded(text, "for runners of GitHub's, use S3, GCS, Azure, SSH or HTTP")
    if not found.remotes and not found.without_remote:
        yield unneeded("DVC: no remote, and no data that would belong on one")


def _not_shared(found: Data) -> Iterator[Finding]:
    if found.without_remote:
        cure = "run 'dvc remote add -d NAME URL', commit .dvc/config, and 'dvc push'"
        yield problem(f"{advice.listed(found.without_remote)}: tracked by DVC, and there is no default remote", cure)
    if found.only_here:
        cure = f"add it to .dvc/config ('dvc remote add -d {found.only_here} URL' without --local) and commit that"
        yield problem(f"remote '{found.only_here}' is in .dvc/config.local only: no runner knows it", cure)
    if found.not_in_git:
        yield warning(f"{advice.listed(found.not_in_git)}: not as committed", "commit them, so that runners get the data you have")
    if found.never_ran:
        yield unneeded(f"{advice.listed(found.never_ran)}: no hash yet, the stage has not run")


def _remote(state: RemoteState) -> Iterator[Finding]:
    shown = state.place.shown
    needed = [one for one in state.lacking if not one.is_made]
    made = [one for one in state.lacking if one.is_made]
    if not state.lacking:
        there = f"all {_files(state.files)} of {state.targets} output{'s' if state.targets != 1 else ''} are there"
        yield ok(f"{shown} answers; {there if state.targets else 'nothing has to be there yet'}")
        return
    yield warning(f"{shown}: there is nothing at all yet", "check the address, or push") if state.is_absent else ok(f"{shown} answers")
    if needed:
        where = "" if all(one.is_here for one in needed) else ", on a machine that has the data"
        yield problem(
            f"{advice.listed([one.path for one in needed])}: not on {shown}: no runner can get {_it(needed)}",
            f"run {state.push_command}{where}",
        )
    if made:
        yield warning(
            f"{advice.listed([one.path for one in made])}: not on {shown}: runners make {_it(made)} again, and it is no baseline",
            f"run {state.push_command}",
        )


def _files(count: int) -> str:
    return f"{count:,} file{'s' if count != 1 else ''}"


def _it(listed: Sequence[object]) -> str:
    return "it" if len(listed) == 1 else "them"
