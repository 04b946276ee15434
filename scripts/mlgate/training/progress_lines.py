"""What one line of a training's output says of how far it is: bars of tqdm, Keras and Rich, `Epoch 3/10`, `step 120 of 1000`, the
dictionaries of Hugging Face and Lightning, the lines of boosting libraries. A line in, numbers out; what is not understood is None."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MAX_LINE = 2_000
_MAX_METRICS = 30

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_DIGIT = re.compile(r"\d")
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_COUNT = r"\d+(?:\.\d+)?[kKMGT]?"

# `train:  45%|####5     | 450/1000 [00:12<00:15, 36.0it/s, loss=0.3]`
_TQDM = re.compile(
    rf"^(?P<label>[^%]*?):?\s*\d{{1,3}}%\|[^|]*\|\s*(?P<step>{_COUNT})/(?P<total>{_COUNT})\s*\[(?P<times>[^,\]]*)(?P<rest>[^\]]*)"
)
_TQDM_RATE = re.compile(r",\s*(?:[\d.?]+[kKMGT]?\s*(?P<per_s>[A-Za-z]*)/s|[\d.?]+\s*s/(?P<s_per>[A-Za-z]+))")
# Rich, as Lightning has it: `Epoch 0/9 ━━━━╸━━━━━ 45/100 0:00:12`; Keras 2: `45/100 [====>....] - ETA: 0s`; Keras 3: `45/100 ━━━━━━━ 0s`;
# PyTorch's examples: `Train Epoch: 1 [25600/60000 (43%)]`
_DRAWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"[━╸╺─]\s+(?P<step>\d+)/(?P<total>\d+)\s",
        r"^(?P<step>\d+)/(?P<total>\d+)\s+(?:\[[=>.#\- ]+\]|[━╸╺─])",
        r"\[(?P<step>\d+)/(?P<total>\d+)\s+\(\s*\d+(?:\.\d+)?\s*%\)\]",
    )
)
_EPOCH = re.compile(rf"\bepochs?\b[\s:=#\[(]{{0,4}}(?P<epoch>{_NUMBER})(?:\s*(?:/|\bof\b)\s*(?P<epochs>\d+))?", re.IGNORECASE)
_STEP = re.compile(
    r"\b(?P<unit>global_step|steps?|iterations?|iters?|batch(?:es)?|rounds?|trials?|trees?|updates?)\b[\s:=#\[(]{0,4}"
    r"(?P<step>\d+)(?![\d.])(?:\s*(?:/|\bof\b)\s*(?P<total>\d+))?",
    re.IGNORECASE,
)
# XGBoost and LightGBM `[10]<tab>train-rmse:0.3`, CatBoost `10:<tab>learn: 0.5`
_BOOSTING = re.compile(r"^\[(?P<step>\d+)\]\s+\S.*:|^(?P<catboost>\d+):\s+learn:")
_DICTIONARY = re.compile(r"\{\s*['\"][A-Za-z_].*\}")
_DICTIONARY_ITEM = re.compile(rf"['\"](?P<name>[A-Za-z_][\w./@ -]{{0,59}})['\"]\s*:\s*['\"]?(?P<value>{_NUMBER})['\"]?\s*(?=[,}}])")
_OF = r"(?:(?:\w{1,40}'s|train(?:ing)?|val(?:id(?:ation)?)?|test|eval) )?"
_ASSIGNED = re.compile(
    rf"(?<![\w.'])(?P<name>{_OF}[A-Za-z_][\w./@-]{{0,59}})\s*[=:]\s*(?P<value>{_NUMBER})(?P<percent>%?)(?=[\s,;|)\]}}]|$)",
)
_SPOKEN = re.compile(
    r"(?<![\w.])(?P<name>(?:(?:train(?:ing)?|val(?:id(?:ation)?)?|test|eval)[ _-])?"
    rf"(?:loss|acc(?:uracy)?|auc|f1|perplexity|ppl|rmse|mse|mae|error|score|reward|lr))\s+(?P<value>{_NUMBER})(?P<percent>%?)(?=[\s,;|)\]}}]|$)",
    re.IGNORECASE,
)
_NO_METRICS = {
    *("epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations", "batch", "batches", "round", "rounds", "trial"),
    *("total", "global_step", "eta", "time", "elapsed", "remaining", "seconds", "duration", "runtime", "samples", "examples"),
    *("v_num", "line", "pid", "rank", "seed", "gpu", "device", "version", "port"),
}
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS = {"iters": "iteration", "iter": "iteration", "global_step": "step", "batches": "batch"}


@dataclass(frozen=True)
class Said:
    """What a line says."""

    step: float | None = None
    total: float | None = None
    unit: str | None = None
    label: str = ""
    """Of a bar, without its numbers: two bars are told apart by it."""
    epoch: float | None = None
    epochs: float | None = None
    is_epoch_count: bool = False
    """Whether `epoch` epochs are done; else it is the number of the one that goes on."""
    metrics: dict[str, float] = field(default_factory=dict)


def parse(line: str) -> Said | None:
    """What a line says of progress; None for any other line, also for one that has numbers but no step or epoch."""
    line = _ESCAPES.sub("", line[:MAX_LINE]).strip()
    if not line or not _DIGIT.search(line):
        return None
    if found := _DICTIONARY.search(line):
        return _dictionary(found[0])
    if bar := _TQDM.search(line):
        return _bar(bar)
    return _words(line)


def _dictionary(text: str) -> Said | None:
    items = {item["name"]: float(item["value"]) for item in _DICTIONARY_ITEM.finditer(text)}
    counted = {name.lower(): value for name, value in items.items() if math.isfinite(value) and value >= 0}
    step = next((counted[name] for name in ("step", "global_step", "iteration", "iter") if name in counted), None)
    total = next((counted[name] for name in ("total", "total_steps", "max_steps") if name in counted), None)
    epoch, metrics = counted.get("epoch"), _kept(items.items())
    if step is None and epoch is None:
        return None
    return Said(
        step=step,
        total=total or None,
        unit=None if step is None else "step",
        label="dictionary",
        epoch=epoch,
        epochs=counted.get("epochs") or counted.get("num_epochs"),
        is_epoch_count=True,
        metrics=metrics,
    )


def _bar(bar: re.Match[str]) -> Said:
    rate, label = _TQDM_RATE.match(bar["rest"]), bar["label"]
    unit = (rate["per_s"] or rate["s_per"]) if rate else None
    step, total, epoch = _count(bar["step"]), _count(bar["total"]), _EPOCH.search(label)
    name, metrics = re.sub(r"[\d/\[\]().:]+", "", label).strip()[:60], _metrics(bar["rest"])
    if epoch is None and "epoch" in f"{name} {unit}".lower():
        return Said(label=name, epoch=step, epochs=total or None, is_epoch_count=True, metrics=metrics)
    return Said(
        step=step,
        total=total or None,
        unit=unit or "it",
        label=name,
        epoch=_finite(epoch["epoch"]) if epoch else None,
        epochs=_finite(epoch["epochs"]) if epoch else None,
        metrics=metrics,
    )


def _words(line: str) -> Said | None:
    """Bars that are drawn otherwise, and sentences."""
    drawn = next(filter(None, (pattern.search(line) for pattern in _DRAWN)), None)
    epoch, counted, boosting = _EPOCH.search(line), _STEP.search(line), _BOOSTING.search(line)
    step = total = unit = None
    if drawn:
        step, total, unit = _finite(drawn["step"]), _finite(drawn["total"]), "step"
    elif counted:
        step, total, unit = _finite(counted["step"]), _finite(counted["total"]), _unit(counted["unit"])
    elif boosting:
        step, unit = _finite(boosting["step"] or boosting["catboost"]), "round"
    if step is None and epoch is None:
        return None
    number = epoch["epoch"] if epoch else ""
    return Said(
        step=step,
        total=total or None,
        unit=unit,
        label="drawn" if drawn else "",
        epoch=_finite(number) if epoch else None,
        epochs=_finite(epoch["epochs"]) if epoch else None,
        is_epoch_count="." in number,
        metrics=_metrics(line),
    )


def _metrics(text: str) -> dict[str, float]:
    def found() -> Iterator[tuple[str, float]]:
        for pattern in (_ASSIGNED, _SPOKEN):
            for match in pattern.finditer(text):
                yield match["name"].strip(), float(match["value"]) / (100 if match["percent"] else 1)

    return _kept(found())


def _kept(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Those that measure something; the first of each name."""
    kept: dict[str, float] = {}
    for name, value in pairs:
        if name.lower() not in _NO_METRICS and math.isfinite(value) and len(kept) < _MAX_METRICS:
            kept.setdefault(name, value)
    return kept


def _count(text: str) -> float:
    return float(text[:-1]) * _SCALES[text[-1]] if text[-1] in _SCALES else float(text)


def _finite(text: str | None) -> float | None:
    value = float(text) if text else None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _unit(word: str) -> str:
    word = word.lower()
    return _UNITS.get(word) or word.removesuffix("s")
