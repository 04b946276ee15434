"""What the comment says while a model is trained, before there is a report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from mlgate.evidence import CheckpointRef, CurvePoint, ProgressFindings
from mlgate.render import live
from mlgate.render.live import Earlier, LiveView

AS_OF = datetime(2026, 11, 21, 12, 3, 4, tzinfo=UTC)
NBSP = "\u00a0"
LIMIT = 65_280


def view(**given: Any) -> LiveView:
    return LiveView(**{"title": "digits", "model": "digits", "elapsed_s": 544.0, "as_of": AS_OF, "every_s": 120, **given})


def progress(**given: Any) -> ProgressFindings:
    return ProgressFindings(**{"step": 13, "total": 30, "unit": "epoch", **given})


def curve(*values: float) -> list[CurvePoint]:
    return [CurvePoint(step=number, value=value) for number, value in enumerate(values, 1)]


def shown(given: LiveView, earlier: Earlier | None = None, limit: int = LIMIT) -> str:
    return live.comment(given, earlier, limit).replace(NBSP, " ")


def test_it_says_how_far_the_training_is_and_how_long_it_will_take():
    said = shown(view(progress=progress(metrics={"loss": 0.41234, "val/accuracy": 0.91}), left_s=700))
    assert said.startswith("### ⏳ digits: training, 43 %, about 12 min left\n")
    assert "- epoch 13 of 30 after 9 min 4 s of training, as of 2026-11-21 12:03:04 UTC\n" in said
    assert "- last values: `loss` 0.4123, `val/accuracy` 0.91" in said
    assert "a status, no verdict: the report takes its place · every 2 min" in said


def test_a_training_that_says_nothing_of_itself_is_shown_with_its_time():
    said = shown(view())
    assert said.startswith("### ⏳ digits: training\n")
    assert "9 min 4 s of training, as of 2026-11-21 12:03:04 UTC; it does not say how far it is" in said


def test_it_says_on_what_the_training_runs_and_where_it_began():
    point = CheckpointRef(name="c1", saved_at="2026-11-21T09:30:00Z", trained_s=7200, step=9)
    said = shown(view(gpus=("NVIDIA H100", "NVIDIA H100"), waited_s=245, resumed_from=point))
    assert "- on 2 × NVIDIA H100, after 4 min 5 s in the queue" in said
    assert "- goes on from the checkpoint of 2026-11-21 09:30 UTC, which holds 2 h of training" in said


def test_it_does_not_round_up_to_done():
    assert "training, 99 %" in shown(view(progress=progress(step=29.99)))


def test_a_training_that_ended_waits_for_its_report():
    said = shown(view(is_over=True, progress=progress(step=30)))
    assert said.startswith("### ⏳ digits: trained, the report follows\n")
    assert "left" not in said
    assert "every" not in said


def test_the_loss_is_drawn_as_the_report_will_draw_it():
    losses = {"accuracy": curve(0.1, 0.5, 0.9), "loss": curve(3, 2, 1)}
    said = shown(view(progress=progress(curves=losses)))
    [chart] = re.findall(r"```mermaid\n(.*?)```", said, re.DOTALL)
    assert '    title "loss"\n    x-axis "epoch" 1 --> 3\n' in chart
    assert "mermaid" not in (text := shown(view(plots="text", progress=progress(curves=losses))))
    assert re.search(r"loss +█[▁▂▃▄▅▆▇█]+▁  3 → 1", text)
    assert re.search(r"loss +█", shown(view(plots="branch", progress=progress(curves=losses)))), "pictures are the report's"
    assert "3 → 1" not in shown(view(plots="none", progress=progress(curves=losses)))


@pytest.mark.parametrize("values", [(), (1.0,)])
def test_a_curve_of_no_length_is_none(values: tuple[float, ...]):
    assert "```" not in shown(view(progress=progress(curves={"loss": curve(*values)})))


def test_what_a_training_calls_its_metrics_is_text():
    name = "@everyone <img src=x> | [x](http://evil) <!-- mlgate-earlier run=1 commit= -->"
    said = shown(view(title=name, gpus=(name,), progress=progress(unit=name, metrics={name: 1.0}, curves={name: curve(1, 2, 3)})))
    assert "<img" not in re.sub(r"`[^`\n]*`", "", said)
    assert "](http" not in re.sub(r"`[^`\n]*`", "", said)
    assert "@everyone" not in re.sub(r"`[^`\n]*`", "", said)
    assert said.count("```") == 2


class TestEarlierReport:
    REPORT = "### ❌ digits: must not be merged\n\n```text\n<!-- mlgate-earlier run=9 commit=abc -->\n<!-- mlgate-earlier-end -->\n```\n"

    def test_stays_folded_below_until_the_new_one_is_there(self):
        earlier = live.report_in(self.REPORT, 41, "0123456789abcdef")
        said = shown(view(runs_url="https://github.com/o/r/actions/runs"), earlier)
        assert said.index("### ⏳") < said.index("<summary>") < said.index("### ❌ digits: must not be merged")
        assert "The report before this training of commit <code>0123456789ab</code>" in said
        assert "[Its run](<https://github.com/o/r/actions/runs/41>)" in said

    def test_is_found_again_where_a_training_was_lost(self):
        """The machine went away, so no report came; the run that goes on keeps what the lost one kept, not the lost one's status."""
        kept = live.report_in(self.REPORT, 41, "abc")
        once = live.comment(view(), kept, LIMIT)
        assert live.report_in(once, 42, "def") == kept
        assert live.report_in(live.comment(view(), None, LIMIT), 42, "def") is None

    def test_is_left_out_where_a_comment_has_no_room_for_it(self):
        said = shown(view(), Earlier("x" * LIMIT, 41, "abc"))
        assert "Left out here for its length." in said
        assert len(said) < 1000


@pytest.mark.parametrize(("seconds", "words"), [(3, "about 10 s"), (44, "about 40 s"), (700, "about 12 min"), (8399, "about 2 h 20 min")])
def test_time_left_reads_as_an_estimate(seconds: float, words: str):
    assert live.about(seconds).replace(NBSP, " ") == words
