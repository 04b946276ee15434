"""Settings of `data.drift` that a change alters: as text for a report, and which of them let pass what did not pass before. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mlgate.config import Config, DriftConfig, is_remote
from mlgate.config.drift import BASE, CHAMPION

_LEVELS = ("off", "warn", "fail")
_ENGINES = ("polars", "auto", "spark")
"""Each has more read by Spark, which gives the classifier no rows but of Parquet."""
_SHOWN = ("level", "label", "warn", "alert", "rows", "min_rows", "multivariate")


def settings(config: Config) -> dict[str, str]:
    """Every setting of the entries that is not as mlgate has it anyway, by the name a report calls it."""
    found = {}
    for name, entry in _entries(config):
        found[name] = f"against {entry.against}"
        for key in _SHOWN:
            if (value := getattr(entry, key)) != DriftConfig.model_fields[key].default:
                found[f"{name} {key}"] = f"{value:g}" if isinstance(value, float) else str(value)
        for key, listed in (("columns", entry.columns), ("except", entry.except_)):
            if listed:
                found[f"{name} {key}"] = ", ".join(listed)
        for column in entry.thresholds:
            warn, alert = entry.of_column(column)
            found[f"{name} thresholds {column}"] = f"warn {warn:g}, alert {alert:g}"
    return found


def weakened(old: Config, new: Config) -> list[str]:
    """Names of the settings by which drift passes that was told of before, or that stopped the run, as `settings` calls them."""
    after = dict(_entries(new))
    found = []
    for name, entry in _entries(old):
        if entry.level == "off":
            continue
        if name not in after:
            found.append(name)
            continue
        found += [f"{name} {key}".strip() for key in _weaker(entry, after[name])]
    is_for_classifier = any(one.level != "off" and one.multivariate is not False and ".parquet" not in one.data for one in old.data.drift)
    if is_for_classifier and _ENGINES.index(new.data.engine) > _ENGINES.index(old.data.engine):
        found.append("data.engine")
    return found


def references(config: Config) -> list[str]:
    """Tables and profiles of the working directory that data is compared with: another one there finds something else."""
    against = [entry.against for entry in config.data.drift if entry.level != "off" and entry.against not in (BASE, CHAMPION)]
    return [path for path in dict.fromkeys(against) if not is_remote(path)]


def _entries(config: Config) -> Iterator[tuple[str, DriftConfig]]:
    """Each entry by the name a report calls it: its data, and a number from the second one about the same data on."""
    met: dict[str, int] = {}
    for entry in config.data.drift:
        met[entry.data] = met.get(entry.data, 0) + 1
        again = f" ({met[entry.data]})" if met[entry.data] > 1 else ""
        yield f"data.drift {entry.data}{again}", entry


def _weaker(before: DriftConfig, after: DriftConfig) -> list[str]:
    if _LEVELS.index(after.level) < _LEVELS.index(before.level):
        return ["level"]
    found = [""] if before.against != after.against else []  # compared with something else, it finds something else
    found += [key for key in ("warn", "alert", "min_rows") if getattr(after, key) > getattr(before, key)]
    if before.rows is not None and (after.rows is None or after.rows > before.rows):
        found.append("rows")
    if before.multivariate is not False and (after.multivariate is False or (before.multivariate and not after.multivariate)):
        found.append("multivariate")
    if before.label is not None and before.label != after.label:
        found.append("label")
    left_out = set(after.except_) - set(before.except_)
    if left_out & set(before.columns) if before.columns is not None else left_out:
        found.append("except")
    if after.columns is not None and (before.columns is None or set(before.columns) - set(after.columns)):
        found.append("columns")
    for column in {**before.thresholds, **after.thresholds}:
        sides = zip(before.of_column(column), after.of_column(column), strict=True)
        if any(now > was for was, now in sides):
            found.append(f"thresholds {column}")
    return found
