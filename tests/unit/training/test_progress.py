"""How far a training is, from what it prints and from its progress file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.training.progress import MAX_FILE_BYTES, MAX_POINTS, Progress, ProgressFile, Standing, declared_in, time_left


class Followed:
    """A training whose clock we hold."""

    def __init__(self) -> None:
        self.now = 0.0
        self.progress = Progress(lambda: self.now)

    def says(self, text: str, after_s: float = 1.0) -> Standing:
        self.now += after_s
        self.progress.take(text.encode())
        return self.progress.standing()


def test_epochs_count_and_the_bar_within_one_tells_the_part_of_it() -> None:
    training = Followed()
    training.says("Epoch 1/4\n")
    for epoch in (1, 2):
        training.says(f"Epoch {epoch}/4\n")
        for step in range(10, 101, 10):
            standing = training.says(f"{step}/100 ━━━━━━━━ 0s 3ms/step - loss: {1 / (epoch + step / 100):.4f}\r")
    found = standing.findings
    assert (found.step, found.total, found.unit) == (2.0, 4.0, "epoch")
    assert standing.left_s == pytest.approx(22, rel=0.2)
    assert [round(point.step, 2) for point in found.curves["loss"]][:3] == [0.1, 0.2, 0.3]
    assert standing.line().startswith("epoch 2 of 4, loss 0.3333, ")


def test_hugging_face_s_one_bar_stays_the_measure_while_evaluations_come_and_go() -> None:
    training = Followed()
    training.says("Map: 100%|##########| 25000/25000 [00:05<00:00, 4000.0 examples/s]\r")
    for step in range(1, 101):
        training.says(f"{step}%|###       | {step}/100 [00:12<00:15, 1.0it/s]\r")
        if step % 25 == 0:
            training.says(f"{{'loss': {1 / step}, 'learning_rate': 5e-05, 'epoch': {step / 50}}}\n")
            for part in (1, 30, 63):
                standing = training.says(f"{part}%|##| {part}/63 [00:01<00:00, 63.0it/s]\r", after_s=0.3)
                assert (standing.findings.step, standing.findings.total) == (step, 100)
    assert [point.step for point in standing.findings.curves["loss"]] == [25, 50, 75, 100]
    training.progress.end(is_complete=True)
    assert training.progress.standing().findings.total == 100


def test_an_inner_bar_that_begins_anew_gives_way_to_the_outer_one() -> None:
    training = Followed()
    for outer in range(3):
        for inner in range(1, 11):
            training.says(f"batches: {inner}0%|#| {inner}/10 [00:01<00:00, 1.0it/s]\r")
        standing = training.says(f"rounds: 30%|#| {outer + 1}/3 [00:01<00:00, 1.0it/s]\n")
        training.says("")
    training.progress.end(is_complete=True)
    standing = training.progress.standing()
    assert (standing.findings.step, standing.findings.total) == (3, 3)


@pytest.mark.parametrize(
    ("lines", "done"), [("Epoch 1/2\nEpoch 2/2\n", 2), ("Epoch 0/1\nEpoch 1/1\n", 1), ("Epoch 1/2 loss 0.3\nEpoch 2/2 loss 0.2", 2)]
)
def test_a_training_that_ended_well_has_done_all_its_epochs(lines: str, done: float) -> None:
    training = Followed()
    training.says(lines)
    training.progress.end(is_complete=True)
    assert training.progress.standing().findings.step == done


def test_a_training_that_was_ended_has_not() -> None:
    training = Followed()
    training.says("Epoch 1/9\nEpoch 2/9\nEpoch 3/9\n")
    training.progress.end(is_complete=False)
    assert training.progress.standing().findings.step == 2


def test_what_is_torn_between_two_chunks_is_read_whole() -> None:
    training = Followed()
    training.says("step 120/10")
    assert training.says("00 loss=0.").findings.step is None
    found = training.says("25\n").findings
    assert (found.step, found.total, found.metrics) == (120, 1000, {"loss": 0.25})


def test_a_long_training_leaves_at_most_two_hundred_points_with_both_ends() -> None:
    training = Followed()
    for step in range(1, 5001):
        training.now += 1
        training.progress.take(f"step {step}/5000 loss={5000 - step}\n".encode())
    curve = training.progress.standing().findings.curves["loss"]
    assert MAX_POINTS // 2 <= len(curve) <= MAX_POINTS
    assert curve[-1].step == 5000
    assert curve[0].step < 60
    assert all(point.value == 5000 - point.step for point in curve)
    assert [point.step for point in curve] == sorted({point.step for point in curve})


def test_many_names_and_long_names_are_bounded() -> None:
    training = Followed()
    for number in range(100):
        standing = training.says(f"step {number} metric_{number}{'x' * 80}={number} loss=1\n")
    assert len(standing.findings.metrics) <= 30


def test_output_of_ten_megabytes_a_second_costs_next_to_nothing_and_the_newest_is_known() -> None:
    clock = [0.0]
    progress = Progress(lambda: clock[0])
    lines = [f"2026-11-22 03:10:30 INFO epoch 3/10 step {step}/20000 loss=0.3 lr=1e-4 some more words\n" for step in range(20_000)]
    text = "".join(lines).encode()
    chunks = [text[start : start + 65_536] for start in range(0, len(text), 65_536)]
    for chunk in chunks:  # past the first burst, which may be read closely
        clock[0] += 65_536 / 10e6
        progress.take(chunk)
    began = time.process_time()
    for _ in range(10):
        for chunk in chunks:
            clock[0] += 65_536 / 10e6
            progress.take(chunk)
    seconds = 10 * len(text) / 10e6
    assert (time.process_time() - began) / seconds < 0.03  # measured: under 0.01; tests run beside others
    progress.end(is_complete=False)
    assert progress.standing().findings.step == pytest.approx(3, abs=0.01)


class TestTimeLeft:
    def test_a_steady_pace(self) -> None:
        assert time_left([(t, t * 2.0) for t in range(20)], 100, 19) == pytest.approx(31)

    def test_a_slow_first_step_and_a_pause_are_not_the_pace(self) -> None:
        history = [(0.0, 0.0), *((300.0 + step, 1.0 + step) for step in range(12)), *((420.0 + step, 13.0 + step) for step in range(28))]
        assert time_left(history, 140, history[-1][0]) == pytest.approx(100, rel=0.25)

    @pytest.mark.parametrize(
        ("history", "total"), [([], 10), ([(0, 1)], 10), ([(0, 1), (1, 2)], None), ([(0, 1), (1, 10)], 10), ([(1, 1), (1, 2)], 9)]
    )
    def test_what_nobody_can_tell_is_not_told(self, history: list[tuple[float, float]], total: float | None) -> None:
        assert time_left(history, total, 5) is None


class TestProgressFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "progress.json"

    def test_it_counts_for_more_than_output(self, path: Path) -> None:
        training, file = Followed(), ProgressFile(path)
        training.says("step 1/2\n")
        path.write_text(
            json.dumps({"step": 3, "total": 10, "unit": "epoch", "metrics": {"loss": 0.4, "name": "x", "bad": None, "worse": True}})
        )
        declared = file.changed()
        assert declared is not None
        training.progress.declare(declared)
        found = training.says("step 2/2\n").findings
        assert (found.step, found.total, found.unit, found.metrics) == (3, 10, "epoch", {"loss": 0.4})
        assert [(point.step, point.value) for point in found.curves["loss"]] == [(3, 0.4)]
        assert file.changed() is None

    def test_a_number_that_output_tells_too_stands_where_the_file_says(self, path: Path) -> None:
        training, file = Followed(), ProgressFile(path)
        path.write_text(json.dumps({"step": 3, "total": 10, "unit": "epoch", "metrics": {"loss": 0.4}}))
        declared = file.changed()
        assert declared is not None
        training.progress.declare(declared)
        found = training.says("epoch 9/10 loss=0.1 accuracy=0.9\n").findings
        assert found.metrics == {"loss": 0.4, "accuracy": 0.9}
        assert [(point.step, point.value) for point in found.curves["loss"]] == [(3, 0.4)]

    @pytest.mark.parametrize(
        ("text", "trouble"),
        [
            ("epoch 3 of 10", "expected JSON such as"),
            ('{"epoch": 3}', "expected JSON such as"),
            ("x" * (MAX_FILE_BYTES + 1), "expected a file of at most 256 KiB"),
            (None, "expected the training to write it, and it did not"),
            ('{"step": 3}', ""),
        ],
    )
    def test_a_file_that_was_of_no_use_is_told(self, path: Path, text: str | None, trouble: str) -> None:
        path.write_text('{"step": 1}')
        file = ProgressFile(path)
        if text is not None:
            path.write_text(text)
        file.changed()
        assert file.trouble().startswith(trouble)
        assert bool(file.trouble()) is bool(trouble)
        assert bool(file.trouble(is_expected=False)) is bool(trouble and text)

    def test_what_lies_there_before_is_another_training_s(self, path: Path) -> None:
        path.write_text('{"step": 900}')
        assert ProgressFile(path).changed() is None

    def test_a_torn_file_is_read_again(self, path: Path) -> None:
        file = ProgressFile(path)
        path.write_text('{"step": 3, "tot')
        assert file.changed() is None
        path.write_text('{"step": 3, "total": 10}')
        assert file.changed() is not None

    def test_a_pipe_a_folder_or_a_huge_file_in_its_place_is_passed_over(self, path: Path, tmp_path: Path) -> None:
        os.mkfifo(path)
        assert ProgressFile(path).changed() is None
        (tmp_path / "folder").mkdir()
        assert ProgressFile(tmp_path / "folder").changed() is None
        file = ProgressFile(tmp_path / "huge")
        (tmp_path / "huge").write_bytes(b'{"step": 1}' + b" " * MAX_FILE_BYTES)
        assert file.changed() is None

    @pytest.mark.parametrize("text", ["", "[]", "3", '{"step": "3"', "[" * 100_000, '"x"', "\x00"])
    def test_what_is_no_progress_is_none(self, text: str) -> None:
        assert declared_in(text.encode()) is None

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", '"3"', "true", "null", "1e999", "9" * 400])
    def test_a_step_that_is_no_number_is_none(self, number: str) -> None:
        declared = declared_in(f'{{"step": {number}, "total": {number}, "unit": "::error::", "metrics": [1]}}'.encode())
        assert declared is not None
        assert (declared.step, declared.total, declared.unit, declared.metrics) == (None, None, None, {})

    @given(st.binary(max_size=200))
    def test_no_bytes_break_it(self, text: bytes) -> None:
        declared_in(text)
        followed = Followed()
        followed.progress.take(text)
        followed.progress.end(is_complete=False)
        followed.progress.standing()


@pytest.mark.parametrize(
    ("declared", "loss"),
    [
        ({"step": 1, "unit": "epoch", "metrics": {"loss": 0.7}}, [(1, 0.7), (2, 0.6), (3, 0.5)]),
        ({"step": 3, "unit": "epoch", "metrics": {"loss": 0.51}}, [(1, 0.7), (2, 0.6), (3, 0.51)]),
        ({"step": 4, "unit": "epoch", "metrics": {"loss": 0.4}}, [(1, 0.7), (2, 0.6), (3, 0.5), (4, 0.4)]),
        ({"step": 40, "unit": "batch", "metrics": {"loss": 0.4}}, [(40, 0.4)]),
    ],
)
def test_a_file_that_lags_behind_the_output_does_not_put_an_early_number_at_a_later_step(
    declared: object, loss: list[tuple[int, float]]
) -> None:
    training = Followed()
    for epoch in (1, 2, 3):
        training.says(f"Epoch {epoch}/60 loss={0.8 - epoch / 10:.1f}\n")
    said = declared_in(json.dumps(declared).encode())
    assert said is not None
    training.progress.declare(said)
    found = training.progress.standing().findings
    assert [(point.step, point.value) for point in found.curves["loss"]] == loss
    assert found.metrics == {"loss": loss[-1][1]}


def test_after_its_first_word_only_the_file_tells_of_a_metric() -> None:
    training = Followed()
    for epoch in (1, 2, 3):
        training.says(f"Epoch {epoch}/60 loss=0.{epoch}\n")
    for step, value in ((1, 0.9), (5, 0.8), (6, 0.7)):
        said = declared_in(json.dumps({"step": step, "unit": "epoch", "metrics": {"loss": value}}).encode())
        assert said is not None
        training.progress.declare(said)
        training.says(f"Epoch {step + 1}/60 loss=0.0\n")
    found = training.progress.standing().findings
    assert [(point.step, point.value) for point in found.curves["loss"]] == [(1, 0.1), (2, 0.2), (3, 0.3), (5, 0.8), (6, 0.7)]
