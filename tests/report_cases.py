"""Evidence as the stages leave it, for every way a run can end. Built, not recorded, so that a change of the schema shows at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from mlgate import evidence as e
from mlgate.context import RunContext
from mlgate.stats import bootstrap, confusion, intervals, means, methods

BASE = "9f2c1e7d" * 5
HEAD = "4f1c08aa" * 5
MERGE = "b7d0e552" * 5
CONFIG = hashlib.sha256(b"config").hexdigest()
RUN = e.RunRef(repository="acme/digits", run_id=7301, attempt=1, event="pull_request")
STARTED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

PULL_REQUEST = RunContext(
    event="pull_request",
    repository="acme/digits",
    run_id=7301,
    attempt=1,
    pull_request=7,
    head_sha=HEAD,
    base_sha=BASE,
    base_ref="main",
    ref="refs/pull/7/merge",
    default_branch="main",
)

Evidences = dict[str, e.Evidence[Any]]

TRAIN_DATA = e.DataRef(
    path="data/train.parquet", hash="md5:9a0b7c31d2e84f5566778899aabbccdd", size_bytes=412_332, files=1, tracked_by="dvc"
)
HOLDOUT_DATA = e.DataRef(
    path="data/holdout.parquet", hash="md5:0f1e2d3c4b5a69788796a5b4c3d2e1f0", size_bytes=103_871, files=1, tracked_by="dvc"
)


def stage(
    name: str,
    summary: str,
    duration_s: float,
    findings: e.Record | None = None,
    status: e.Status = "passed",
    exit_code: int | None = None,
    **more: Any,
) -> e.Evidence[Any]:
    """One stage's evidence."""
    return e.Evidence[Any](
        mlgate_version="0.1.0",
        stage=name,
        model="digits",
        status=status,
        summary=summary,
        subject=e.Subject(commit=MERGE, is_dirty=False, config_sha256=CONFIG, run=RUN, data=more.pop("data", [])),
        started_at=STARTED + timedelta(seconds=5 * e.STAGES.index(name)),
        duration_s=duration_s,
        findings=findings,
        exit_code=exit_code if exit_code is not None else e.Evidence.EXIT_CODES[status],
        **more,
    )


METHODS = {
    "accuracy": intervals.TANGO,
    "f1_macro": confusion.METHOD,
    "log_loss": means.WIDEST_T,
    "mae": means.CORRECTED_T,
    "rmse": bootstrap.OF_SUFFICIENT_STATISTICS,
    "r2": bootstrap.OF_SUFFICIENT_STATISTICS,
}


def comparison(
    metric: str, candidate: float, baseline: float | None, low: float | None, high: float | None, verdict: e.Verdict | None, **more: Any
) -> e.Comparison:
    """One metric of candidate and baseline."""
    return e.Comparison(
        metric=metric,
        better=more.pop("better", "higher"),
        candidate=candidate,
        baseline=baseline,
        difference=None if baseline is None else candidate - baseline,
        low=low,
        high=high,
        method=METHODS.get(metric) if low is not None else None,
        verdict=verdict,
        margin=more.pop("margin", None),
        **more,
    )


def before_gate(*, is_reused: bool = False) -> Evidences:
    """Everything up to `evaluate`, passed."""
    log = e.FileRef(path="files/train/train.log", sha256="0" * 64, size_bytes=2120)
    candidate = scored()
    return {
        "check": stage(
            "check",
            "1 check passed",
            2.13,
            e.CheckFindings(commands=[e.CommandRun(command="pytest -q", exit_code=0, duration_s=2.1, tail="12 passed in 1.84s")]),
        ),
        "pull-data": stage(
            "pull-data",
            "2 targets, 2 files (516 kB): 1 from the cache, 1 from the remote 'storage'; every file's hash verified",
            0.92,
            e.PullFindings(
                remote="storage",
                remote_url="s3://acme-data/digits",
                targets=[
                    e.PulledTarget(data=TRAIN_DATA, files_from_cache=0, files_from_remote=1),
                    e.PulledTarget(data=HOLDOUT_DATA, files_from_cache=1, files_from_remote=0),
                ],
            ),
            data=[TRAIN_DATA, HOLDOUT_DATA],
        ),
        "validate-data": stage(
            "validate-data",
            "data/train.parquet and data/holdout.parquet keep their contracts",
            0.41,
            e.ValidationFindings(
                prepare=e.CommandRun(command="dvc repro prepare", exit_code=0, duration_s=0.3),
                contracts=[contract("data/train.parquet", 1437), contract("data/holdout.parquet", 360)],
                validated=[TRAIN_DATA, HOLDOUT_DATA],
            ),
            data=[TRAIN_DATA, HOLDOUT_DATA],
        ),
        "train": stage(
            "train",
            "trained in 48 s; MLflow run 1f2e3d",
            49.7,
            e.TrainFindings(
                run=e.CommandRun(command="dvc repro", exit_code=0, duration_s=48.2, log=log),
                params={"train.max_depth": "12", "train.n_estimators": "300"},
                lock_sha256="1" * 64,
                pipeline=[e.PipelineStage(name="prepare", is_reused=True), e.PipelineStage(name="train", is_reused=is_reused)],
                is_reused=is_reused,
                mlflow=e.MlflowRun(
                    tracking_uri="https://mlflow.acme.example",
                    experiment="digits",
                    run_id="1f2e3d4c5b6a79880f1e2d3c4b5a6978",
                    url="https://mlflow.acme.example/#/experiments/3/runs/1f2e3d4c5b6a79880f1e2d3c4b5a6978",
                ),
            ),
        ),
        "evaluate": stage(
            "evaluate", "accuracy 0.972, f1_macro 0.971, log_loss 0.121 on 360 examples", 0.83, e.EvaluateFindings(candidate=candidate)
        ),
    }


def contract(data: str, rows: int, broken: list[e.BrokenRule] | None = None) -> e.ContractFindings:
    return e.ContractFindings(
        data=data, schema_path="contracts/train.yaml", is_passed=not broken, rows=rows, columns=66, broken=broken or [], duration_s=0.11
    )


def scored() -> e.ScoredModel:
    return e.ScoredModel(
        commit=MERGE,
        inputs_sha256="2" * 64,
        task="classification",
        n=360,
        holdout_sha256="3" * 64,
        classes=[str(digit) for digit in range(10)],
        metrics=[e.MetricValue(name="accuracy", value=0.972, better="higher", source="predictions")],
        slices=[],
        predictions=e.FileRef(path="files/predictions.parquet", sha256="4" * 64, size_bytes=20_112),
    )


def gated(findings: dict[str, Any], summary: str, *, is_reused: bool = False) -> Evidences:
    """A whole run with this outcome at the gate."""
    complete = e.GateFindings(**{**_GATE_DEFAULTS, **findings})
    used = {name for row in complete.comparisons if (name := row.method) is not None}
    complete = complete.model_copy(update={"methods": {name: methods.SOURCES[name] for name in sorted(used)}})
    return {**before_gate(is_reused=is_reused), "gate": stage("gate", summary, 0.38, complete, "passed" if complete.is_open else "failed")}


BASELINE = e.BaselineRef(
    kind="base", commit=BASE, how="first parent of the merge commit", source="store", shared_examples=360, shared_share=1.0
)
CONFUSION = e.Confusion(
    classes=[str(digit) for digit in range(10)],
    candidate=[
        [36 - (row % 3) if row == column else int((row * 3 + 1) % 10 == column) * (row % 3) for column in range(10)] for row in range(10)
    ],
    baseline=[
        [35 - (row % 4) if row == column else int((row * 7 + 2) % 10 == column) * (row % 4 + 1) for column in range(10)]
        for row in range(10)
    ],
)
CHANGES = [
    e.Change(kind="parameter", name="train.n_estimators", old="100", new="300"),
    e.Change(kind="parameter", name="train.max_depth", old=None, new="12"),
    e.Change(kind="data", name="data/train.parquet", old="md5:77665544332211009988aabbccddeeff", new=TRAIN_DATA.hash),
    e.Change(kind="code", name="src/train.py", old=None, new="+12 −3"),
    e.Change(kind="code", name="src/features.py", old=None, new="new, +40 −0"),
]
_GATE_DEFAULTS: dict[str, Any] = {
    "verdict": None,
    "is_first_model": False,
    "baseline": BASELINE,
    "rules_from": "baseline",
    "confidence": 0.95,
    "slices": [],
    "changes": CHANGES,
    "confusion": CONFUSION,
}


def writer_slices(shift: float = 0.0) -> list[e.SliceComparison]:
    """Thirteen writers, one of them harder than the others."""
    rows = []
    for writer in range(13):
        n = 18 + writer * 3
        base, difference = 0.89 + 0.004 * writer, shift + (writer - 6) * 0.004
        half = 1.2 / n
        verdict: e.Verdict = "worse" if difference + half < -0.01 else "no worse" if difference - half > -0.01 else "cannot tell"
        rows.append(
            e.SliceComparison(
                column="writer",
                value=f"w{writer:02}",
                n=n,
                comparison=comparison("accuracy", base + difference, base, difference - half, difference + half, verdict, margin=0.01),
            )
        )
    return rows


def better() -> Evidences:
    return gated(
        {
            "is_open": True,
            "verdict": "better",
            "headline": "accuracy is better by 2.2 percentage points (at least 0.9), f1_macro too; log_loss is no worse.",
            "rules": [
                e.RuleResult(rule="accuracy at least 0.9", metric="accuracy", is_passed=True, reason="0.9722 is at least 0.9"),
                e.RuleResult(
                    rule="accuracy not worse by more than 0.01",
                    metric="accuracy",
                    is_passed=True,
                    reason="better: at least +0.009 with 95 % confidence",
                ),
                e.RuleResult(rule="latency_p95_ms at most 200", metric="latency_p95_ms", is_passed=True, reason="141.5 is at most 200"),
            ],
            "comparisons": [
                comparison("accuracy", 0.9722, 0.95, 0.0091, 0.0368, "better", margin=0.01),
                comparison("f1_macro", 0.9718, 0.9491, 0.0084, 0.0371, "better"),
                comparison("log_loss", 0.121, 0.148, -0.061, 0.007, "no worse", better="lower", margin=0.02),
                comparison("latency_p95_ms", 141.5, 96.25, None, None, None, better=None),
            ],
            "slices": writer_slices(0.02),
        },
        "may be merged: accuracy is better by 2.2 percentage points",
    )


def no_worse() -> Evidences:
    return gated(
        {
            "is_open": True,
            "verdict": "no worse",
            "headline": "accuracy is no worse by more than 1 percentage point, with 95 % confidence.",
            "rules": [
                e.RuleResult(
                    rule="accuracy not worse by more than 0.01",
                    metric="accuracy",
                    is_passed=True,
                    reason="at worst −0.0047 with 95 % confidence",
                )
            ],
            "comparisons": [comparison("accuracy", 0.9528, 0.95, -0.0047, 0.0111, "no worse", margin=0.01)],
            "slices": writer_slices(),
        },
        "may be merged: no worse",
        is_reused=True,
    )


def worse() -> Evidences:
    return gated(
        {
            "is_open": False,
            "verdict": "worse",
            "headline": "accuracy is worse by 5.8 percentage points, and by at least 3.9 with 95 % confidence; the margin is 1.",
            "rules": [
                e.RuleResult(rule="accuracy at least 0.9", metric="accuracy", is_passed=False, reason="0.8917 is below 0.9"),
                e.RuleResult(
                    rule="accuracy not worse by more than 0.01", metric="accuracy", is_passed=False, reason="worse by at least 0.039"
                ),
                e.RuleResult(rule="latency_p95_ms at most 200", metric="latency_p95_ms", is_passed=True, reason="141.5 is at most 200"),
            ],
            "comparisons": [
                comparison("accuracy", 0.8917, 0.95, -0.0788, -0.039, "worse", margin=0.01),
                comparison("f1_macro", 0.8893, 0.9491, -0.0801, -0.0402, "worse"),
                comparison("log_loss", 0.301, 0.148, 0.082, 0.221, "worse", better="lower", margin=0.02),
                comparison("latency_p95_ms", 141.5, 96.25, None, None, None, better=None),
            ],
            "slices": writer_slices(-0.07),
            "changes": [*CHANGES, e.Change(kind="rule", name="gate.rules[0].min", old="0.9", new="0.85")],
        },
        "must not be merged: accuracy is worse by 5.8 percentage points",
    )


def cannot_tell() -> Evidences:
    more = "about 410 more examples would settle it, if the difference stays as measured"
    reason = f"the interval −0.021 to +0.013 reaches beyond the margin 0.01; {more}"
    return gated(
        {
            "is_open": True,
            "verdict": "cannot tell",
            "headline": "360 examples cannot tell whether accuracy is worse by more than 1 percentage point; 410 more would.",
            "rules": [
                e.RuleResult(rule="accuracy not worse by more than 0.01", metric="accuracy", is_passed=True, is_warning=True, reason=reason)
            ],
            "comparisons": [comparison("accuracy", 0.9461, 0.95, -0.0211, 0.0133, "cannot tell", margin=0.01, more_examples=410)],
            "baseline": BASELINE.model_copy(update={"shared_examples": 341, "shared_share": 341 / 360, "source": "run artifact"}),
        },
        "may be merged, with a warning",
    )


def first_model() -> Evidences:
    return gated(
        {
            "is_open": True,
            "is_first_model": True,
            "baseline": None,
            "rules_from": "candidate",
            "headline": "No evaluation was ever recorded for this model: thresholds alone decided, and they hold.",
            "rules": [e.RuleResult(rule="accuracy at least 0.9", metric="accuracy", is_passed=True, reason="0.9722 is at least 0.9")],
            "comparisons": [
                comparison("accuracy", 0.9722, None, None, None, None),
                comparison("log_loss", 0.121, None, None, None, None, better="lower"),
            ],
            "changes": [],
            "confusion": CONFUSION.model_copy(update={"baseline": None}),
            "slices": [
                e.SliceComparison(
                    column="writer",
                    value=f"w{index}",
                    n=40 - index,
                    comparison=comparison("accuracy", 0.9 + index / 50, None, None, None, None),
                )
                for index in range(3)
            ],
        },
        "may be merged: first model",
    )


def regression() -> Evidences:
    edges = [-180.0 + 30 * index for index in range(13)]
    return gated(
        {
            "is_open": True,
            "verdict": "better",
            "headline": "rmse is lower by 3.1 (at least 1.2).",
            "rules": [
                e.RuleResult(rule="rmse not worse by more than 2", metric="rmse", is_passed=True, reason="better: lower by at least 1.2")
            ],
            "comparisons": [
                comparison("rmse", 53.24, 56.37, -5.02, -1.21, "better", better="lower", margin=2.0),
                comparison("mae", 42.61, 45.12, -4.4, -0.65, "better", better="lower"),
                comparison("r2", 0.512, 0.453, 0.011, 0.107, "better"),
            ],
            "confusion": None,
            "residuals": e.Residuals(
                edges=edges, candidate=[1, 2, 6, 12, 18, 24, 22, 13, 7, 3, 1, 0], baseline=[2, 4, 7, 12, 15, 20, 19, 14, 8, 5, 2, 1]
            ),
        },
        "may be merged: rmse is lower by 3.1",
    )


def broken_contract() -> Evidences:
    broken = [
        e.BrokenRule(
            column="age", rule="in_range(0, 120)", rows=3, share=3 / 14_998, row_numbers=[17, 904, 11350], values=["-4", "212", "1e9"]
        ),
        e.BrokenRule(column="income", rule="not nullable", rows=2812, share=2812 / 14_998, row_numbers=list(range(4, 400, 9)), values=None),
        e.BrokenRule(column="postcode", rule="column missing", rows=0, share=0.0, row_numbers=[]),
    ]
    before = before_gate()
    line = "data/train.parquet breaks its contract: age not in 0..120 in 3 of 14,998 rows (17, 904, 11350). Nothing was trained."
    findings = e.ValidationFindings(
        contracts=[contract("data/train.parquet", 14_998, broken), contract("data/holdout.parquet", 360)], validated=[]
    )
    return {
        "check": before["check"],
        "pull-data": before["pull-data"],
        "validate-data": stage("validate-data", line, 0.41, findings, "failed"),
        "gate": stage("gate", "validate-data said no; nothing to compare", 0.01, None, "error", exit_code=2),
    }


def poisoned() -> Evidences:
    """Screens that found something of each level, beside an entry that is clean; and groups of a protected column."""
    before = before_gate()
    hidden = e.ScreenItem(where="remark", what="holds characters that are not seen", rows=2, row_numbers=[4, 9], samples=["U+202E"])
    mail = e.ScreenItem(where="remark", what="holds e-mail addresses", rows=41, row_numbers=list(range(10)), samples=["a…@…", "k…@…"])
    shared = e.ScreenItem(where=None, what="72 of 360 rows of the holdout (20 %) stand in train, too", rows=72, row_numbers=list(range(10)))
    groups = [
        e.BiasGroup(group="sex = f", rows=702, share=0.4885, rates=[0.31], earlier_share=0.5, earlier_rates=[0.3]),
        e.BiasGroup(group="sex = m", rows=718, share=0.4997, rates=[0.44], earlier_share=0.49, earlier_rates=[0.31]),
        e.BiasGroup(group="sex missing", rows=17, share=0.0118, rates=[None], earlier_share=0.01, earlier_rates=[0.25]),
    ]
    bias = e.BiasFindings(
        columns=["sex"], labels=["1"], groups=groups, groups_in_all=3, smallest="sex = f", smallest_rows=702, compared_with="the holdout"
    )
    screened = [
        e.ScreenedData(
            train="data/train.parquet",
            holdout="data/holdout.parquet",
            rows=1437,
            holdout_rows=360,
            screens=[
                screen("columns", "fail", "clean", "train has the holdout's 66 columns"),
                screen("leakage", "fail", "failed", shared.what, [shared]),
                screen("label_errors", "warn", "not run", "needs 'probabilities' of a model that did not learn from them"),
                screen("sources", "warn", "not run", "needs 'source'"),
                screen("hidden_unicode", "warn", "warned", "column 'remark' holds characters that are not seen in 2 rows", [hidden]),
                screen("formulas", "off", "not run", "off"),
                screen("personal_data", "warn", "warned", "column 'remark' holds e-mail addresses in 41 rows", [mail]),
            ],
            bias=[bias],
            note="eval/out_of_fold.parquet is not there, so no label was held against it",
            duration_s=0.84,
        ),
        e.ScreenedData(
            train="data/weather.csv",
            holdout=None,
            rows=14_998,
            holdout_rows=None,
            screens=[screen("duplicates", "warn", "clean", "no row repeats another")],
            duration_s=0.31,
        ),
    ]
    line = f"data/train.parquet: leakage: {shared.what}. Nothing was trained."
    findings = e.ValidationFindings(contracts=[contract("data/train.parquet", 1437)], validated=[], screened=screened)
    return {
        "check": before["check"],
        "pull-data": before["pull-data"],
        "validate-data": stage("validate-data", line, 1.3, findings, "failed"),
        "gate": stage("gate", "validate-data said no; nothing to compare", 0.01, None, "error", exit_code=2),
    }


def screen(name: str, level: Any, verdict: Any, sentence: str, items: list[e.ScreenItem] | None = None) -> e.ScreenFindings:
    return e.ScreenFindings(name=name, level=level, verdict=verdict, sentence=sentence, items=items or [])


def drifted() -> Evidences:
    """Data that is not what it was: one column far away, one near, the rest as before."""
    found = better()
    validated = found["validate-data"].findings
    assert isinstance(validated, e.ValidationFindings)
    deciles = [f"up to {low}" if low == 24 else f"{low - 4} to {low}" for low in range(24, 60, 4)] + ["above 56"]
    now = [61, 70, 88, 102, 121, 150, 171, 196, 232, 309]
    age = drifted_column("age", deciles, [150] * 10, now, psi=0.31, remarks=["mean 38.2 -> 44.7"])
    plans = ["free", "pro", "team", "other", "null"]
    plan = drifted_column(
        "plan",
        plans,
        [900, 400, 190, 10, 0],
        [700, 420, 180, 150, 50],
        psi=0.17,
        kind="category",
        remarks=["nulls 0 % -> 3.3 %", "new: enterprise (148 rows)"],
    )
    label = drifted_column("churned", ["0", "1"], [1200, 300], [990, 510], psi=0.12, is_label=True)
    entries = [
        e.DriftFindings(
            data="data/train.parquet",
            against=f"the base {BASE[:12]}",
            level="warn",
            verdict="alert",
            source="profile in the store",
            rows=1500,
            reference_rows=1500,
            columns=[label, age, plan, e.ColumnDrift(name="income", kind="number", verdict="stable", words="stable", psi=0.004)],
            multivariate=e.MultivariateDrift(
                verdict="warn", auc=0.61, low=0.553, rows=1500, columns=["age", "plan"], words="a classifier tells 61 % apart"
            ),
            duration_s=0.2,
        ),
        e.DriftFindings(
            data="data/holdout.parquet",
            against="the champion",
            level="warn",
            verdict="not compared",
            source=None,
            note="no profile is kept",
        ),
        e.DriftFindings(data="data/prices.csv", against=f"the base {BASE[:12]}", level="fail", verdict="unchanged", source=None),
    ]
    line = "warning: drift of data/train.parquet: age: PSI 0.31 (chance would give at most 0.02), mean 38.2 -> 44.7"
    found["validate-data"] = stage("validate-data", line, 0.61, validated.model_copy(update={"drift": entries}), data=[TRAIN_DATA])
    return found


def drifted_column(
    name: str, labels: list[str], before: list[int], now: list[int], psi: float, kind: str = "number", **more: Any
) -> e.ColumnDrift:
    """One column that drifted."""
    return e.ColumnDrift(
        name=name,
        kind=kind,
        verdict="alert" if psi > 0.2 else "warn",
        words=f"PSI {psi} (chance would give at most 0.02)",
        psi=psi,
        by_chance=0.02,
        bins=[e.DriftBin(label=label, reference=one, current=other) for label, one, other in zip(labels, before, now, strict=True)],
        **more,
    )


def failed_check() -> Evidences:
    tail = "____ test_scaling ____\nE   AssertionError: assert 16.0 == 1.0\n1 failed, 11 passed in 1.9s"
    commands = [
        e.CommandRun(command="ruff check src", exit_code=0, duration_s=0.2),
        e.CommandRun(command="pytest -q", exit_code=1, duration_s=2.2, tail=tail),
    ]
    return {"check": stage("check", "pytest -q failed with exit code 1", 2.5, e.CheckFindings(commands=commands), "failed")}


def failed_training() -> Evidences:
    found = before_gate()
    del found["evaluate"]
    tail = (
        'epoch 3 loss nan\nTraceback (most recent call last):\n  File "src/train.py", line 41, in <module>\nValueError: Input contains NaN'
    )
    run = e.CommandRun(command="dvc repro", exit_code=1, duration_s=12.4, tail=tail)
    findings = e.TrainFindings(run=run, params={}, lock_sha256=None, pipeline=[], is_reused=False, mlflow=None)
    found["train"] = stage("train", "'dvc repro' failed with exit code 1: ValueError: Input contains NaN", 13.0, findings, "failed")
    return found


def infrastructure() -> Evidences:
    line = "DVC remote 'storage' (s3://acme-data/digits): access denied (403); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return {"check": before_gate()["check"], "pull-data": stage("pull-data", line, 31.4, None, "error", exit_code=3)}


def overridden() -> Evidences:
    """Worse, and somebody with the right said yes."""
    found = worse()
    gate = found["gate"].findings
    assert isinstance(gate, e.GateFindings)
    override = e.Override(
        model="digits",
        head_sha=HEAD,
        pull_request=7,
        into="main",
        by="grace",
        permission="maintain",
        at=datetime(2026, 11, 21, 10, 5, tzinfo=UTC),
        reason="The new scanner's images replace the old ones from Monday; the clinic has agreed, see the minutes of 20 November.",
        comment_id=99,
        comment_url="https://github.com/acme/digits/pull/7#issuecomment-99",
    )
    findings = gate.model_copy(update={"is_open": True, "override": override})
    found["gate"] = stage("gate", "may be merged: overridden by grace", 0.41, findings)
    return found


def uncertified() -> Evidences:
    """Metric files alone: thresholds decide, and nothing stands behind the numbers."""
    found = gated(
        {
            "is_open": True,
            "is_certified": False,
            "headline": "The thresholds hold, on numbers of metric files alone, which certify nothing; keep the predictions.",
            "rules": [
                e.RuleResult(rule="accuracy at least 0.9", metric="accuracy", is_passed=True, reason="0.9611 is at least 0.9"),
                e.RuleResult(
                    rule="accuracy not worse by more than 0.01",
                    metric="accuracy",
                    is_passed=True,
                    is_warning=True,
                    reason="+0.011: cannot tell, one number on each side certifies nothing",
                ),
            ],
            "comparisons": [
                comparison("accuracy", 0.9611, 0.95, None, None, "cannot tell", margin=0.01),
                comparison("latency_ms", 41.2, 38.9, None, None, None, better="lower"),
            ],
            "confusion": None,
            "baseline": BASELINE.model_copy(update={"shared_examples": None}),
        },
        "may be merged, uncertified",
    )
    candidate = scored().model_copy(update={"task": None, "n": None, "holdout_sha256": None, "classes": None, "predictions": None})
    line = "accuracy 0.961, latency_ms 41.2 from metric files alone: uncertified, no predictions stand behind them"
    found["evaluate"] = stage("evaluate", line, 0.12, e.EvaluateFindings(candidate=candidate))
    return found


def without_secrets() -> Evidences:
    """A fork whose data lies where only the repository's own runs can reach it."""
    line = "DVC remote 'storage' (s3://acme-data/digits): access denied (403); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    advice = (
        "GitHub gives runs of forks and of Dependabot no secrets, so a private remote is out of reach: a maintainer must dispatch: "
        f"gh workflow run mlgate-train.yml --repo acme/digits -f pull-request=7 -f ref={HEAD}, or "
        "https://github.com/acme/digits/actions/workflows/mlgate-train.yml"
    )
    findings = {
        **_GATE_DEFAULTS,
        "is_open": False,
        "headline": f"Nothing was trained: {line}",
        "rules": [],
        "comparisons": [],
        "changes": [],
    }
    closed = e.GateFindings(**{**findings, "baseline": None, "confusion": None, "rules_from": "candidate"})
    return {
        "check": before_gate()["check"],
        "pull-data": stage("pull-data", f"{line}\n{advice}", 4.2, None, "error", exit_code=3),
        "gate": stage("gate", f"gate closed: Nothing was trained: {line}\n{advice}", 0.02, closed, "failed", exit_code=3),
    }


OUTDATED = "the pull request is at 0c0ffee1 now, and this run was of 4f1c08aa"
"""What a report says first whose commit is not the newest any more."""

HOSTILE = (
    "x|y `a` <img src=x onerror=alert(1)> @octocat #1 GH-2 https://evil.example [l](http://e) :tada: $a$ *b* _c_ ~d~ "
    "\x1b[31mred\x1b[0m \u202eevil\u2066\u200b\n::error::owned\n# h\n</details>"
)


H100 = "NVIDIA H100 80GB HBM3"
GPUS = ["GPU-5d1f0a6e-2b7c-4f3e-9a58-0c6f1e2d3b4a", "GPU-c3a9e817-60d4-4b2f-8e15-7f9b2a1c0d3e"]
PREFLIGHT = e.PreflightFindings(
    driver="550.54.15",
    cuda="12.4",
    devices=[
        e.GpuDevice(uuid=uuid, name=H100, memory_total_bytes=85_520_809_984, memory_free_bytes=84_974_239_744, compute_capability="9.0")
        for uuid in GPUS
    ],
    disk_free_bytes=412_000_000_000,
    shared_memory_free_bytes=16_000_000_000,
    duration_s=0.31,
)
CHECKPOINTS = e.CheckpointFindings(key="5" * 64, place="s3://acme-checkpoints/digits", saved=4)


def checkpoint(step: float, at: str, trained_s: float, **more: Any) -> e.CheckpointRef:
    return e.CheckpointRef(
        name=f"{'5' * 12}/{int(step):09}",
        saved_at=f"2026-11-21T{at}:00+00:00",
        trained_s=trained_s,
        step=step,
        size_bytes=1_204_332_001,
        **more,
    )


def learned(upto: int, of: int) -> e.ProgressFindings:
    """Curves of a training that goes well, and overfits a little at the end."""
    steps = [step for step in range(0, upto + 1, 50) if step]
    loss = [2.3 * 0.5 ** (step / 420) + 0.031 * ((step * 7919) % 13) / 13 + 0.05 for step in steps]
    held_out = [2.31 * 0.5 ** (step / 430) + 0.11 + 0.16 * (step / of) ** 3 for step in steps[3::4]]
    right = [1 - 0.9 * 0.5 ** (step / 500) - 0.03 for step in steps[3::4]]

    def curve(at: list[int], values: list[float]) -> list[e.CurvePoint]:
        return [e.CurvePoint(step=step, value=round(value, 4)) for step, value in zip(at, values, strict=True)]

    curves = {"val_accuracy": curve(steps[3::4], right), "train_loss": curve(steps, loss), "val_loss": curve(steps[3::4], held_out)}
    last = {name: points[-1].value for name, points in curves.items()}
    return e.ProgressFindings(step=upto, total=of, unit="step", metrics=last, curves=curves)


def used_devices(seconds: float) -> list[e.UsedDevice]:
    """Two GPUs, of which the second was slowed down by heat."""
    first = e.UsedDevice(
        uuid=GPUS[0],
        name=H100,
        utilisation_mean=0.874,
        memory_peak_bytes=61_203_283_968,
        memory_total_bytes=85_520_809_984,
        power_mean_w=512.4,
        energy_j=512.4 * seconds,
        throttled_share=0.31,
        throttled_by={"power limit": 0.31},
        temperature_max_c=71,
        watched_s=seconds,
    )
    hot = {
        "utilisation_mean": 0.861,
        "throttled_share": 0.42,
        "throttled_by": {"power limit": 0.24, "heat": 0.18},
        "temperature_max_c": 88.0,
    }
    return [first, first.model_copy(update={"uuid": GPUS[1], "energy_j": 497.0 * seconds, "power_mean_w": 497.0, **hot})]


def on_gpus(found: Evidences, summary: str, status: e.Status = "passed", exit_code: int | None = None, **findings: Any) -> Evidences:
    """The same run with its training on two GPUs."""
    train = found["train"].findings
    assert isinstance(train, e.TrainFindings)
    changed = train.model_copy(update={"pipeline": [], "preflight": PREFLIGHT, **findings})
    found["train"] = stage("train", summary, changed.run.duration_s + 2 if changed.run else 0.4, changed, status, exit_code)
    return found


def resumed() -> Evidences:
    """Went on from where a spot machine was lost, on two leased GPUs."""
    seconds = 1514.0
    spent = e.TrainingCost(duration_s=2604, gpu_hours=1.4467, kwh=0.7289, cost=5.21, currency="USD")
    whole = e.TrainingCost(duration_s=2604 + seconds, gpu_hours=2.2878, kwh=1.1534, cost=8.24, currency="USD")
    heat = f"heat held the clocks of GPU 1 ({H100}) down for 18 % of the time: look at its cooling"
    found = better()
    gate = found["gate"].findings
    assert isinstance(gate, e.GateFindings)
    before = BASELINE.model_copy(
        update={"training": e.TrainingCost(duration_s=3988, gpu_hours=2.2156, kwh=1.1021, cost=7.98, currency="USD")}
    )
    found["gate"] = stage("gate", found["gate"].summary, 0.38, gate.model_copy(update={"baseline": before}))
    return on_gpus(
        found,
        "trained in 25 min 14 s",
        run=e.CommandRun(command="torchrun --nproc-per-node=2 train.py --epochs 10", exit_code=0, duration_s=seconds),
        lease=e.LeaseFindings(devices=GPUS, waited_s=194, position=2),
        checkpoints=CHECKPOINTS.model_copy(
            update={
                "resumed_from": checkpoint(1200, "08:12", 2580, spent=spent),
                "last": checkpoint(3000, "09:55", 2580 + seconds),
                "passed_over": ["000001250 of 08:14, cut: 1 of 3 files is shorter than it was saved"],
            }
        ),
        progress=learned(3000, 3000),
        account=e.AccountFindings(
            duration_s=seconds,
            gpu_hours=2 * seconds / 3600,
            kwh=0.4245,
            cost=3.03,
            currency="USD",
            devices=used_devices(seconds),
            samples=3028,
            hints=[heat],
            whole=whole,
        ),
    )


def wrong_machine() -> Evidences:
    """Preflight says no: nothing costly was begun."""
    found = before_gate()
    del found["evaluate"]
    problem = (
        "train.gpu: expected 2 GPUs of model H100 with 70.0 GB free each, of the 2 here 1 will do (GPU 1: 12.1 GB of 85.5 GB free, "
        "held by python3 (process 4121)); mend that, ask for less, or use another machine"
    )
    held = PREFLIGHT.devices[1].model_copy(update={"memory_free_bytes": 12_100_000_000, "trouble": ["held by python3 (process 4121)"]})
    preflight = PREFLIGHT.model_copy(update={"devices": [PREFLIGHT.devices[0], held], "problems": [problem]})
    return on_gpus(found, problem, "error", 3, run=None, preflight=preflight, mlflow=None)


def preempted() -> Evidences:
    """A spot machine that is taken back while it trains."""
    found = before_gate()
    del found["evaluate"]
    seconds = 2604.0
    device = used_devices(seconds)[0]
    return on_gpus(
        found,
        "'python train.py' was ended: this machine is taken away (spot notice); the checkpoint of step 1,248 is kept; "
        "run the job again, it goes on from there",
        "error",
        3,
        run=e.CommandRun(
            command="python train.py", exit_code=143, duration_s=seconds, tail="step 1248/3000  loss 0.41\nSIGTERM: saved step 1248"
        ),
        lease=e.LeaseFindings(devices=GPUS[:1]),
        checkpoints=CHECKPOINTS.model_copy(update={"last": checkpoint(1248, "08:13", 2590)}),
        progress=learned(1248, 3000),
        account=e.AccountFindings(
            duration_s=seconds, gpu_hours=seconds / 3600, kwh=device.energy_j / 3.6e6, devices=[device], samples=2600
        ),
        mlflow=None,
        ended_by="spot notice",
    )


def reused_result() -> Evidences:
    """The very same training was run before: nothing was trained, no GPU touched."""
    cost = e.TrainingCost(duration_s=3988, gpu_hours=2.2156, kwh=1.1021, cost=7.98, currency="USD")
    earlier = e.ReusedRun(
        commit=HEAD,
        run_url="https://github.com/acme/digits/actions/runs/7288",
        trained_at="2026-11-20T16:40:00+00:00",
        duration_s=3988,
        key="6" * 64,
        cost=cost,
    )
    return on_gpus(
        no_worse(),
        "nothing had to be trained: the result of 4f1c08a was taken",
        run=e.CommandRun(command="python train.py", exit_code=0, duration_s=1.9),
        is_reused=True,
        reused_run=earlier,
        preflight=None,
        mlflow=None,
    )


def hostile() -> Evidences:
    """A run whose every text is an attack."""
    found = worse()
    gate = found["gate"].findings
    assert isinstance(gate, e.GateFindings)
    evil = gate.model_copy(
        update={
            "headline": HOSTILE,
            "rules": [e.RuleResult(rule=HOSTILE, metric=HOSTILE, is_passed=False, reason=HOSTILE)],
            "comparisons": [row.model_copy(update={"metric": HOSTILE}) for row in gate.comparisons],
            "slices": [row.model_copy(update={"column": HOSTILE, "value": f"{HOSTILE}{index}"}) for index, row in enumerate(gate.slices)],
            "changes": [e.Change(kind=kind, name=HOSTILE, old=HOSTILE, new=HOSTILE) for kind in ("rule", "parameter", "data", "code")],
            "baseline": BASELINE.model_copy(update={"how": HOSTILE}),
            "confusion": e.Confusion(classes=[HOSTILE, "b"], candidate=[[1, 2], [3, 4]], baseline=[[1, 2], [3, 4]]),
        }
    )
    broken = [e.BrokenRule(column=HOSTILE, rule=HOSTILE, rows=3, share=0.1, row_numbers=[1], values=[HOSTILE])]
    return {
        "check": stage(
            "check",
            HOSTILE,
            1.0,
            e.CheckFindings(
                commands=[e.CommandRun(command=HOSTILE, exit_code=1, duration_s=1, tail=f"{HOSTILE}\n```\n~~~~\n````\n@octocat")]
            ),
        ),
        "pull-data": found["pull-data"],
        "validate-data": stage(
            "validate-data",
            HOSTILE,
            1.0,
            e.ValidationFindings(contracts=[contract(HOSTILE, 10, broken)], validated=[], drift=[_hostile_drift()]),
        ),
        "train": stage(
            "train",
            HOSTILE,
            1.0,
            e.TrainFindings(
                run=e.CommandRun(command=HOSTILE, exit_code=0, duration_s=1, tail=HOSTILE),
                params={HOSTILE: HOSTILE},
                lock_sha256=None,
                pipeline=[e.PipelineStage(name=HOSTILE, is_reused=True)],
                is_reused=False,
                mlflow=e.MlflowRun(tracking_uri=HOSTILE, experiment=HOSTILE, run_id=HOSTILE, url="javascript:alert(1)"),
                **_hostile_gpus(),
            ),
        ),
        "evaluate": stage("evaluate", HOSTILE, 1.0, e.EvaluateFindings(candidate=scored(), warnings=[HOSTILE], baseline_note=HOSTILE)),
        "gate": stage("gate", HOSTILE, 0.1, evil, "failed"),
    }


def _hostile_gpus() -> dict[str, Any]:
    [device, _] = used_devices(900)
    points = [e.CurvePoint(step=step, value=value) for step, value in ((3, 1e308), (2, -1e308), (1, 0.5), (2, 0.4), (2, 0.3), (7, -1))]
    reference = e.CheckpointRef(name=HOSTILE, saved_at=HOSTILE, trained_s=1e12, step=1e300, size_bytes=10**18)
    cost = e.TrainingCost(duration_s=1, gpu_hours=1e200, kwh=-1, cost=1e-200, currency=HOSTILE, without=[HOSTILE])
    return {
        "preflight": e.PreflightFindings(
            driver=HOSTILE, cuda=HOSTILE, devices=[PREFLIGHT.devices[0].model_copy(update={"name": HOSTILE})], warnings=[HOSTILE]
        ),
        "lease": e.LeaseFindings(devices=[HOSTILE, GPUS[0]], waited_s=99, position=1),
        "checkpoints": e.CheckpointFindings(
            key="7" * 64, place=HOSTILE, resumed_from=reference, last=reference, saved=1, passed_over=[HOSTILE]
        ),
        "progress": e.ProgressFindings(step=1, unit=HOSTILE, curves={HOSTILE: points, f"loss {HOSTILE}": points}),
        "account": e.AccountFindings(
            duration_s=1,
            gpu_hours=1,
            hints=[HOSTILE],
            devices=[device.model_copy(update={"name": HOSTILE, "stopped": HOSTILE, "throttled_by": {HOSTILE: 0.2}})],
            whole=cost,
        ),
        "ended_by": HOSTILE,
    }


def _hostile_drift() -> e.DriftFindings:
    column = drifted_column(HOSTILE, [HOSTILE, "b"], [20, 30], [40, 10], psi=0.5, remarks=[HOSTILE])
    together = e.MultivariateDrift(verdict="alert", auc=0.9, low=0.8, rows=50, columns=[HOSTILE], words=HOSTILE)
    return e.DriftFindings(
        data=HOSTILE,
        against=HOSTILE,
        level="warn",
        verdict="alert",
        source=HOSTILE,
        note=HOSTILE,
        rows=50,
        reference_rows=50,
        rows_words=HOSTILE,
        columns=[column],
        multivariate=together,
    )


def thousand_slices() -> Evidences:
    """1,000 slices of two metrics: 2,000 rows."""
    rows = []
    for index in range(1000):
        for metric in ("accuracy", "f1_macro"):
            difference = ((index * 7919) % 211 - 105) / 2000
            verdict: e.Verdict = "worse" if difference < -0.04 else "cannot tell" if difference < 0.01 else "no worse"
            row = comparison(metric, 0.93 + difference, 0.93, difference - 0.02, difference + 0.02, verdict, margin=0.01)
            rows.append(e.SliceComparison(column="postcode", value=f"{10_000 + index}", n=20 + index % 60, comparison=row))
    found = better()
    gate = found["gate"].findings
    assert isinstance(gate, e.GateFindings)
    found["gate"] = stage("gate", "may be merged", 0.4, gate.model_copy(update={"slices": rows}))
    return found


CASES: dict[str, Callable[[], Evidences]] = {
    case.__name__: case
    for case in (
        better,
        no_worse,
        worse,
        cannot_tell,
        first_model,
        regression,
        broken_contract,
        poisoned,
        drifted,
        failed_check,
        failed_training,
        infrastructure,
        overridden,
        uncertified,
        without_secrets,
        resumed,
        wrong_machine,
        preempted,
        reused_result,
        hostile,
        thousand_slices,
    )
}
