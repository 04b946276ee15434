"""doctor: where MLflow keeps runs."""

from __future__ import annotations

from collections.abc import Iterator

from mlgate.registry import tracking
from mlgate.stages.doctor.findings import Finding, ok, unneeded, warning
from mlgate.stages.doctor.subject import Subject

_TIMEOUT_S = 8.0
_OLDEST_MAJOR = 2


def look(subject: Subject) -> Iterator[Finding]:
    """Whether the tracking server answers, lets us in, and is one that we can talk to."""
    config = subject.config
    if config is None or config.train is None:
        return
    place = tracking.resolve(config.mlflow.tracking_uri, subject.environ, subject.root)
    if not place.is_required:
        yield unneeded(
            "MLflow: no server named; runs stay in .mlgate/mlflow, on GitHub in the run's artifact", "set mlflow.tracking_uri to share them"
        )
        return
    if not place.is_server:
        yield ok(f"MLflow ({place.source}): {place.shown}; not asked, only servers are")
        return
    tracking.check(place, subject.environ, timeout_s=_TIMEOUT_S, attempts=1)
    version = tracking.server_version(place, subject.environ, _TIMEOUT_S)
    if version is not None and int(version.split(".")[0]) < _OLDEST_MAJOR:
        yield warning(
            f"MLflow ({place.source}): {place.shown} answers, version {version}, which is older than what mlgate is tried with (2 and 3)",
            "update the server",
        )
    else:
        yield ok(f"MLflow ({place.source}): {place.shown} answers{f', version {version}' if version else ''}")
