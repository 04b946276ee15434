"""What a reader sees of a training: where it began, how it ended, what it took of which GPUs, and how its numbers went."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mlgate.config import ReportConfig
from mlgate.evidence import CurvePoint, ProgressFindings, TrainFindings
from mlgate.render import figures, markdown, plots, view
from mlgate.render.document import Curve, Curves, Figure, Panel, ReportView
from report_cases import BASELINE, CASES, HOSTILE, PREFLIGHT, PULL_REQUEST, better, on_gpus, preempted, resumed, wrong_machine


def built(evidences: Any, how: Any = "mermaid") -> ReportView:
    return view.build(evidences, model="digits", report=ReportConfig(plots=how), context=PULL_REQUEST)


def section(evidences: Any, how: Any = "mermaid") -> str:
    """Of the comment, with ordinary spaces."""
    text = markdown.full(built(evidences, how)).replace("\u00a0", " ")
    found = re.search(r"(?:<summary>|#### )Training.*?(?=<summary>(?!Training)|\Z)", text, re.DOTALL)
    assert found is not None
    return found[0]


def train(evidences: Any) -> TrainFindings:
    found = evidences["train"].findings
    assert isinstance(found, TrainFindings)
    return found


# --- cost ------------------------------------------------------------------------------------------------------------


def test_the_title_says_gpu_hours_beside_the_baselines() -> None:
    assert section(resumed()).startswith("<summary>Training: 1 h 8 min, 2.29 GPU-hours (baseline 2.22), 8.24 USD</summary>")


def test_a_resumed_training_is_told_as_a_whole_and_this_run_of_it() -> None:
    text = section(resumed())
    assert "|Baseline|1 h 6 min|2.22|1.10 kWh|7.98 USD|" in text
    assert "|Candidate|1 h 8 min|2.29|1.15 kWh|8.24 USD|" in text
    assert "|Candidate, this run alone|25 min 14 s|0.84|0.42 kWh|3.03 USD|" in text


def test_without_a_baselines_cost_the_cost_is_a_line() -> None:
    assert "- Took 43 min 24 s, 0.72 GPU-hours and 0.37 kWh." in section(preempted())


def test_a_baseline_whose_pipeline_ran_in_part_is_not_put_into_the_title() -> None:
    found = resumed()
    gate = found["gate"].findings
    assert gate is not None
    cost = gate.baseline.training.model_copy(update={"without": ["train"]})
    part = gate.model_copy(update={"baseline": BASELINE.model_copy(update={"training": cost})})
    text = section({**found, "gate": found["gate"].model_copy(update={"findings": part})})
    assert text.startswith("<summary>Training: 1 h 8 min, 2.29 GPU-hours, 8.24 USD</summary>")
    assert "The baseline’s cost is without `train`, which did not run then." in text


def test_a_reused_result_cost_nothing_now_and_says_what_it_cost_then() -> None:
    text = section(CASES["reused_result"]())
    assert text.startswith("<summary>Training: nothing trained twice</summary>")
    assert (
        "the result of `4f1c08a` on 2026-11-20 16:40 UTC in [this run](<https://github.com/acme/digits/actions/runs/7288>) is reused"
        in text
    )
    assert "This run cost nothing; that one took 1 h 6 min, 2.22 GPU-hours, 1.10 kWh and 7.98 USD." in text
    assert any("Nothing was trained anew" in "".join(map(str, note)) for note in built(CASES["reused_result"]()).notes)


# --- how it began and ended ------------------------------------------------------------------------------------------


def test_the_machine_and_the_queue_are_named() -> None:
    line = "On 2 × `NVIDIA H100 80GB HBM3` (driver 550.54.15, CUDA 12.4), after 3 min 14 s in the queue, 2 jobs in front."
    assert line in section(resumed())


def test_what_a_checkpoint_saved_is_said() -> None:
    text = section(resumed())
    assert "Went on from step 1,200 (2026-11-21 08:12 UTC): 43 min of training saved." in text
    assert "Passed over: `000001250` of 08:14, cut: 1 of 3 files is shorter than it was saved." in text


def test_a_checkpoint_is_told_by_what_the_training_counted() -> None:
    found = preempted()
    findings = train(found)
    assert findings.checkpoints is not None
    assert findings.checkpoints.last is not None
    last = findings.checkpoints.last.model_copy(update={"step": 12, "unit": "epoch"})
    kept = findings.checkpoints.model_copy(update={"last": last, "resumed_from": last})
    text = section({**found, "train": found["train"].model_copy(update={"findings": findings.model_copy(update={"checkpoints": kept})})})
    assert "Went on from epoch 12 (2026-11-21 08:13 UTC)" in text
    assert "When its job runs again, it goes on from epoch 12 (2026-11-21 08:13 UTC)" in text


def test_a_machine_that_does_not_do_is_refused_with_what_was_found() -> None:
    comment = markdown.comment(built(wrong_machine())).replace("\u00a0", " ")
    assert comment.startswith("### ⚠️ digits: cannot be merged yet — the machine has not what the training asks for\n")
    assert comment.count("mend that, ask for less, or use another machine") == 1  # at the top; the table of stages has its beginning
    text = section(wrong_machine())
    assert text.startswith("#### Training: not begun")
    assert "|1: `NVIDIA H100 80GB HBM3`|12.1 GB of 85.5 GB|9.0|held by python3 (process 4121)|" in text


def test_a_preempted_training_says_what_its_next_run_goes_on_from() -> None:
    comment = markdown.comment(built(preempted())).replace("\u00a0", " ")
    assert comment.startswith("### ⚠️ digits: cannot be merged yet — the training was ended by the machine’s spot notice\n")
    text = section(preempted())
    assert "⚠️ `python train.py` was ended by the machine’s spot notice after 43 min 24 s, at step 1,248 of 3,000." in text
    assert "When its job runs again, it goes on from step 1,248 (2026-11-21 08:13 UTC), 1.2 GB" in text


def test_an_ended_training_without_checkpoints_says_what_would_have_kept_its_work() -> None:
    found = preempted()
    without = train(found).model_copy(update={"checkpoints": None, "ended_by": "SIGTERM"})
    text = section({**found, "train": found["train"].model_copy(update={"findings": without})})
    assert "was ended by SIGTERM after 43 min 24 s" in text
    assert "Nothing of it is left: `train.checkpoints` would keep its work." in text


def test_a_training_on_the_cpu_where_a_gpu_is_preferred_is_a_note() -> None:
    machine = train(wrong_machine()).preflight
    found = on_gpus(better(), "trained in 48.2 s", preflight=machine)
    assert any("trained on the CPU" in "".join(map(str, note)) for note in built(found).notes)
    assert "⚠️ On the CPU: train.gpu: expected 2 GPUs of model H100" in section(found)


def test_where_nothing_was_trained_no_cpu_is_blamed() -> None:
    found = on_gpus(better(), "nothing had to be trained", preflight=train(wrong_machine()).preflight, is_reused=True)
    assert not any("trained on the CPU" in "".join(map(str, note)) for note in built(found).notes)
    assert "On the CPU" not in section(found)


# --- GPUs ------------------------------------------------------------------------------------------------------------


def test_each_gpu_has_a_row() -> None:
    text = section(resumed())
    assert "|0: `NVIDIA H100 80GB HBM3`|87 %|61.2 GB of 85.5 GB|0.22 kWh|512 W|71 °C|31 % by power limit|" in text
    assert "|24 % by power limit, 18 % by heat|" in text
    assert "Hint: heat held the clocks of GPU 1" in text


def test_what_a_mig_instance_does_not_tell_is_left_open() -> None:
    found = preempted()
    account = train(found).account
    assert account is not None
    none = dict.fromkeys(("utilisation_mean", "energy_j", "power_mean_w", "throttled_share", "temperature_max_c"))
    instance = account.devices[0].model_copy(
        update={**none, "throttled_by": {}, "stopped": "NVML: GPU is lost, 12 s after the training began"}
    )
    findings = train(found).model_copy(update={"account": account.model_copy(update={"devices": [instance]})})
    text = section({**found, "train": found["train"].model_copy(update={"findings": findings})})
    assert "|0: `NVIDIA H100 80GB HBM3`|–|61.2 GB of 85.5 GB|–|–|–|–|" in text
    assert "⚠️ GPU 0 (`NVIDIA H100 80GB HBM3`) was not watched to the end: NVML: GPU is lost, 12 s after the training began." in text


# --- curves ----------------------------------------------------------------------------------------------------------


def test_loss_comes_first_and_what_is_of_one_quantity_shares_an_axis() -> None:
    [figure] = [one for one in built(resumed()).figures if one.key == "curves"]
    assert isinstance(figure.data, Curves)
    assert [(panel.title, [curve.name for curve in panel.curves]) for panel in figure.data.panels] == [
        ("loss", ["train_loss", "val_loss"]),
        ("accuracy", ["val_accuracy"]),
    ]


def test_a_comment_shows_the_loss_as_a_chart() -> None:
    text = section(resumed())
    assert 'title "val_loss above train_loss at the end"' in text
    assert 'x-axis "step" 50 --> 3000' in text
    lines = re.findall(r"^    line \[(.*)\]$", text, re.MULTILINE)
    assert [len(line.split(", ")) for line in lines] == [32, 32]


def test_or_every_curve_as_characters() -> None:
    drawn = re.findall(r"^(\w+) +([▁▂▃▄▅▆▇█]{32})  (\S+) → (\S+)$", section(resumed(), "text"), re.MULTILINE)
    assert [(name, first, last) for name, _, first, last in drawn] == [
        ("train_loss", "2.189", "0.083"),
        ("val_loss", "1.783", "0.2883"),
        ("val_accuracy", "0.2879", "0.9559"),
    ]
    assert [(line[0], line[-1]) for _, line, _, _ in drawn] == [("█", "▁"), ("█", "▁"), ("▁", "█")]


def test_a_table_has_the_same_numbers() -> None:
    assert "|`val_loss`|1.783|0.288|0.240 at 2,200|1.783 at 200|" in section(resumed(), "none")


@pytest.mark.parametrize(
    "points",
    [
        [(1, 0.5)],
        [(1, 0.5), (1, 0.4)],
        [(1, 1e308), (2, -1e308)],
        [],
    ],
)
def test_what_is_no_curve_is_not_drawn(points: list[tuple[float, float]]) -> None:
    progress = ProgressFindings(curves={"loss": [CurvePoint(step=step, value=value) for step, value in points]})
    found = on_gpus(better(), "trained", progress=progress)
    assert [one.key for one in built(found).figures if one.key == "curves"] == []


@pytest.mark.parametrize(
    "points",
    [
        [(0, 3.0), (1, 3.0)],  # a flat line
        [(0, 1e-9), (1, 1e9)],
        [(-5, -1.0), (5, 1.0)],
        [(0, 1e99), (1e99, -1e99)],
        [(0, 1.0), (0, 2.0), (3, 1.0), (3, 0.5)],  # rewritten steps, as of a training that went on from a checkpoint
        [(0.25 * index, index % 7) for index in range(200)],
    ],
)
@pytest.mark.parametrize("how", ["mermaid", "text"])
def test_any_curve_is_drawn(points: list[tuple[float, float]], how: Any) -> None:
    curves = Figure("curves", "t", "d", Curves((Panel("loss", (Curve("loss", tuple(points)), Curve(HOSTILE, tuple(points)))),), "step"))
    drawn = figures.figure(curves, how)
    assert drawn.count("```") == 2
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "<svg" in plots.svg(curves)


def test_small_numbers_are_drawn_as_what_they_are() -> None:
    points = ((1.0, 2.5e-7), (2.0, 1e-9))
    curves = Figure("curves", "t", "d", Curves((Panel("loss", (Curve("loss", points),)),), "step"))
    drawn = figures.figure(curves, "mermaid")
    assert "line [0.00000025, " in drawn
    assert ", 0.000000001]" in drawn


@pytest.mark.parametrize(("made", "is_told"), [(resumed, True), (CASES["reused_result"], False)])
def test_a_warning_about_this_machine_is_told_where_something_ran_on_it(made: Any, is_told: bool) -> None:
    evidences = made()
    preflight = PREFLIGHT.model_copy(update={"warnings": ["GPU 0: memory rows were remapped"]})
    findings = train(evidences).model_copy(update={"preflight": preflight})
    evidences = {**evidences, "train": evidences["train"].model_copy(update={"findings": findings})}
    assert ("memory rows were remapped" in section(evidences)) == is_told
