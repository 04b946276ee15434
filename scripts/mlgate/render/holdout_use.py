"""How often the holdout was asked, and what that leaves of the gate's promise, in words. The gate has counted."""

from __future__ import annotations

from mlgate.evidence import GateFindings, HoldoutUse
from mlgate.render import numbers
from mlgate.render.document import Code, Line, Paragraph, Section, Table


def sentence(gate: GateFindings) -> str:
    """For the small line below the table: `12 uses of this holdout: …`; empty where there is nothing to say."""
    used = gate.holdout
    if used is None or gate.is_first_model:
        return ""
    said = [_uses(used)] if used.uses is not None and used.chance is not None else []
    if used.note and not used.is_counted:
        said.append(f"{used.note[:1].upper()}{used.note[1:]}.")
    return "".join(f" {one}" for one in said)


def section(gate: GateFindings) -> Section | None:
    """What keeping the promise costs; None where nothing is done about reuse."""
    used = gate.holdout
    if used is None or used.reuse == "report" or not used.price:
        return None
    rows: tuple[tuple[Line, ...], ...] = tuple(
        (
            (Code(price.metric),),
            (share(price.once),),
            (share(price.now),),
            (f"{price.examples_factor:.1f} times as many" if price.examples_factor else "no number of them",),
        )
        for price in used.price
    )
    headings = ("Metric", "Used once", f"With {used.reuse}", "Examples that make up for it")
    return Section(
        "reuse",
        f"Holdout: used {used.uses:,} of {used.budget:,} times" if used.uses is not None else "Holdout",
        (
            Paragraph(_meaning(used, gate.confidence)),
            Paragraph(("The price: how often a model exactly as good as the baseline is shown to be no worse.",)),
            Table(headings, "lrrl", rows, unit="metric"),
        ),
    )


def share(chance: float) -> str:
    """A chance as people say it: `46 %`, `0.3 %`, never quite 0 or 100."""
    if chance < 0.0005:
        return f"under 0.1{numbers.NBSP}%"
    if chance > 0.995:
        return f"over 99{numbers.NBSP}%"
    return f"{chance * 100:.1f}{numbers.NBSP}%" if chance < 0.0995 else f"{chance * 100:.0f}{numbers.NBSP}%"


def _uses(used: HoldoutUse) -> str:
    if used.uses is None or used.chance is None:
        return ""
    uses, bad = numbers.count(used.uses, "use"), "had all been worse by just the margin"
    if used.uses >= used.budget:
        return f"{uses} of this holdout, meant for {used.budget:,}: {bad}, the chance that one got through is {share(used.chance)}."
    now, then = share(used.chance), share(used.chance_at_budget)
    return f"{uses} of this holdout: {bad}, the chance that one got through is {now}; at {used.budget:,} it is {then}."


def _meaning(used: HoldoutUse, confidence: float) -> Line:
    together = f"{used.budget:,} candidates that meet this holdout"
    if used.reuse == "bonferroni":
        # 99.9 % of each is 95 % of 50
        promise = 1 - (1 - confidence) * used.budget
        each, kept = (f"{one * 100:.6g}{numbers.NBSP}%" for one in (confidence, promise))
        return (f"Each bound holds with {each}, so that all {together} keep {kept}.",)
    words = (
        f"The Ladder: of {together}, a model is called better or no worse only where it is a new best, beating the best so far by more "
        "than the noise. Any other is “cannot tell”, unless it is worse."
    )
    return (words,)
