"""Settings of `data.screens` that a change alters: as text for a report, and which of them let pass what did not pass before. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlgate.config import SCREENS, Config, ScreenConfig, ScreensConfig

_LEVELS = ("off", "warn", "fail")
_ENGINES = ("polars", "auto", "spark")
"""Each has more read by Spark, and of that no screen looks at a row."""
_ROLES = ("holdout", "label", "id", "source", "probabilities")
_KEY = {"columns": "except"}


def settings(config: Config) -> dict[str, str]:
    """Every setting of the screens that is not as mlgate has it anyway, by the name a report calls it."""
    found = {}
    for name, entry in _entries(config):
        found[name] = f"beside {entry.holdout}" if entry.holdout is not None else "alone"
        for role in _ROLES[1:]:
            if getattr(entry, role) is not None:
                found[f"{name} {role}"] = str(getattr(entry, role))
        for key, listed in (("protected", entry.protected), ("except", entry.ignored)):
            if listed:
                found[f"{name} {key}"] = ", ".join(listed)
        for screen in SCREENS:
            given, usual = entry.screen(screen), ScreensConfig.model_fields[screen].default
            found |= {f"{name} {screen} {_KEY.get(key, key)}": _text(value) for key, value in given if value != getattr(usual, key)}
    return found


def weakened(old: Config, new: Config) -> list[str]:
    """Names of the settings by which training data passes that did not pass before, as `settings` calls them."""
    after = dict(_entries(new))
    is_read_less = bool(old.data.screens) and _ENGINES.index(new.data.engine) > _ENGINES.index(old.data.engine)
    found = ["data.engine"] if is_read_less else []
    for name, entry in _entries(old):
        if name not in after:
            found.append(name)
            continue
        found += [f"{name} {key}".removesuffix(" holdout") for key in _weaker(entry, after[name])]
    return found


def _entries(config: Config) -> Iterator[tuple[str, ScreensConfig]]:
    """Each entry by the name a report calls it; the second one about the same data has a number."""
    met: dict[str, int] = {}
    for entry in config.data.screens:
        met[entry.train] = met.get(entry.train, 0) + 1
        again = f" ({met[entry.train]})" if met[entry.train] > 1 else ""
        yield f"data.screens {entry.train}{again}", entry


def _weaker(before: ScreensConfig, after: ScreensConfig) -> list[str]:
    # Beside another holdout, by another label or without one, the same screens find something else.
    found = [role for role in _ROLES if getattr(before, role) not in (None, getattr(after, role))]
    if before.id is None and after.id is not None:
        found.append("id")  # no feature any more: what stands in it is not compared
    if before.source is None and after.source is not None:
        found.append("source")
    if set(before.protected) - set(after.protected):
        found.append("protected")
    if set(after.ignored) - set(before.ignored):
        found.append("except")
    for screen in SCREENS:
        found += [f"{screen} {key}" for key in _looser(before.screen(screen), after.screen(screen))]
    return found


def _looser(before: ScreenConfig, after: ScreenConfig) -> list[str]:
    if before.level == "off":
        return []
    if _LEVELS.index(after.level) < _LEVELS.index(before.level):
        return ["level"]
    return [_KEY.get(key, key) for key, value in before if _is_looser(key, value, getattr(after, key))]


def _is_looser(key: str, was: Any, now: Any) -> bool:
    match key:
        case "at_most" | "at_least":  # more of it is tolerated, less of it is told
            return bool(now > was)
        case "smallest":
            return bool(now < was)
        case "columns":
            return bool(set(now) - set(was))
        case _:
            return False


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
