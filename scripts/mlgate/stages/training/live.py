"""The live status of a training in the model's one comment: how far it is, how long it will take, the loss. While the command runs.

Only where the job has a token that may comment, which by default a job that trains has not (docs/threat-model.md), and never for forks. A
thread posts at a gentle rate; that GitHub refuses or is away costs one line and harms no training. The report takes the comment over: it
bears the same marker, so it is found again as any report is, and a newer run's is never touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlgate.console import plain
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.evidence import CheckpointRef, ProgressFindings
from mlgate.render import live as views
from mlgate.workspace import Workspace

if TYPE_CHECKING:
    from mlgate.forge.client import Forge

FIRST_AFTER_S = 10.0
"""A training that ends sooner has its report soon enough."""
LONGEST_PAUSE_S = 1800.0
"""Between two tries, while GitHub goes on failing."""
_PATIENCE_S = 3600.0
"""GitHub may ask to wait as long: nobody waits for us, and we end with the training."""
_ANSWER_S = 10
_LAST_WORDS_S = 12.0
_HURRY_S = 0.5


class Shown:
    """A training that is shown; every method returns at once, and may be called from any thread."""

    def __init__(self) -> None:
        self.known: tuple[ProgressFindings | None, float | None] = (None, None)
        """The newest progress, and the seconds that are left; None where nobody can tell."""
        self.is_over = False
        """Whether the training came to its end by itself."""

    def update(self, progress: ProgressFindings, left_s: float | None = None) -> None:
        """How far it is now, and how long it will take yet."""
        self.known = (progress, left_s)

    def ended(self) -> None:
        """The training came to its end by itself. Said once, so that nobody waits for it while the model is evaluated."""
        self.is_over = True


@contextmanager
def shown(
    workspace: Workspace,
    *,
    gpus: Sequence[str] = (),
    waited_s: float = 0.0,
    resumed_from: CheckpointRef | None = None,
    first_after_s: float = FIRST_AFTER_S,
) -> Iterator[Shown]:
    """Show a training in the pull request's comment while the block runs; where that is not to be, nothing happens.

    Args:
        workspace: the model's folder.
        gpus: names of the leased devices.
        waited_s: how long the training waited for them.
        resumed_from: the checkpoint that it goes on from.
        first_after_s: when it is shown first.

    Yields:
        What is told how far the training is.
    """
    told = Shown()
    if not is_wanted(workspace):
        yield told
        return
    poster = _Poster(workspace, told, tuple(gpus), waited_s, resumed_from, first_after_s)
    try:
        yield told
    finally:
        poster.end()


def is_wanted(workspace: Workspace) -> bool:
    """Whether this run shows its training: in a pull request of the repository's own, with a token, unless `mlgate.yaml` says no."""
    context, settings = workspace.context, workspace.config.report
    has_place = context.is_github and context.pull_request is not None and context.head_sha is not None and context.triggering is None
    return bool(settings.live and settings.comment and has_place and context.token and not context.is_without_secrets)


class _OverError(Exception):
    """The training ended while GitHub was waited for."""


class _Poster:
    """The thread that posts."""

    def __init__(
        self, workspace: Workspace, told: Shown, gpus: tuple[str, ...], waited_s: float, resumed_from: CheckpointRef | None, first_s: float
    ) -> None:
        self._workspace, self._told = workspace, told
        self._gpus, self._waited_s, self._resumed_from = gpus, waited_s, resumed_from
        self._started = time.monotonic()
        self._over = threading.Event()
        self._comment_id: int | None = None
        self._earlier: views.Earlier | None = None
        self._has_complained = False
        self._thread = threading.Thread(target=self._work, args=(first_s,), name="live status", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Post no more, but for a last word where the training came to its end; whoever is in a hurry is not kept."""
        self._over.set()
        self._thread.join(_LAST_WORDS_S if self._told.is_over else _HURRY_S)

    def _work(self, first_s: float) -> None:
        every_s = float(self._workspace.config.report.live)
        pause_s, next_s = every_s, first_s
        while not self._over.wait(next_s):
            try:
                if not self._post():
                    return
                pause_s = every_s
            except _OverError:
                break
            except (RefusedError, InputError) as error:
                self._complain(f"{error}; not tried again")
                return
            except InfrastructureError as error:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._complain(str(error))
            next_s = pause_s
        if self._told.is_over and self._comment_id is not None:
            try:
                self._forge(is_last=True).rewrite_comment(self._comment_id, self._workspace.config.model, self._body())
            except (InfrastructureError, InputError) as error:
                self._complain(str(error))

    def _post(self) -> bool:
        """Show the training as it is now; whether to go on."""
        number, model, forge = self._workspace.context.pull_request or 0, self._workspace.config.model, self._forge()
        if self._comment_id is not None:
            if not forge.rewrite_comment(self._comment_id, model, self._body(), lambda: not self._over.is_set()):
                self._complain("the comment was deleted, or belongs to a newer run now; not tried again")
                return False
            return True
        if self._workspace.context.event != "pull_request" and forge.is_of_fork(number):
            return False  # started from the form, where the event does not tell
        standing = forge.standing_comment(number, model)
        self._earlier = None if standing is None else views.report_in(standing.body, standing.marker.run_id, standing.marker.commit)
        if self._over.is_set():
            return False
        posted = forge.publish_comment(number, model, self._body())
        if posted.outdated is not None:
            self._complain(f"{posted.outdated}; the comment is left as it is")
        self._comment_id = posted.comment_id
        return self._comment_id is not None

    def _forge(self, *, is_last: bool = False) -> Forge:
        from mlgate.forge.client import Forge  # half a second that no training waits for

        patience_s = 0.0 if is_last else _PATIENCE_S
        return Forge(self._workspace.context, patience_s=patience_s, timeout_s=_ANSWER_S // 2 if is_last else _ANSWER_S, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise _OverError

    def _body(self) -> str:
        from mlgate.forge.client import MAX_COMMENT

        workspace, context, (progress, left_s) = self._workspace, self._workspace.context, self._told.known
        view = views.LiveView(
            title=workspace.config.report.title or workspace.config.model,
            model=workspace.config.model,
            elapsed_s=time.monotonic() - self._started,
            as_of=datetime.now(UTC),
            every_s=workspace.config.report.live,
            progress=progress,
            left_s=left_s,
            gpus=self._gpus,
            waited_s=self._waited_s,
            resumed_from=self._resumed_from,
            is_over=self._told.is_over,
            commit=context.head_sha,
            run_url=context.run_url,
            runs_url=f"{context.server_url}/{context.repository}/actions/runs",
            plots=workspace.config.report.plots,
        )
        return views.comment(view, self._earlier, MAX_COMMENT)

    def _complain(self, reason: str) -> None:
        """Once: a training's log is no place for GitHub's troubles."""
        if not self._has_complained:
            self._has_complained = True
            with suppress(OSError, ValueError):  # nobody reads our log any more
                self._workspace.console.line(f"  live status: {plain(reason)}")
