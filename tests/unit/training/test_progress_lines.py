"""Lines that trainings really print, and what is read from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.training.progress_lines import Said, parse

LINES = {
    # tqdm 4.67
    "train:  45%|████▌     | 450/1000 [00:12<00:15, 36.0it/s, loss=0.3, acc=0.9]": Said(
        step=450, total=1000, unit="it", label="train", metrics={"loss": 0.3, "acc": 0.9}
    ),
    " 45%|####5     | 450/1000 [00:12<00:15,  2.10s/it]": Said(step=450, total=1000, unit="it"),
    "Epochs:  30%|███       | 3/10 [00:12<00:28,  4.1s/epoch, loss=0.5]": Said(
        label="Epochs", epoch=3, epochs=10, is_epoch_count=True, metrics={"loss": 0.5}
    ),
    "Epoch 3/10:  45%|████▌     | 45/100 [00:12<00:15,  3.6it/s]": Said(step=45, total=100, unit="it", label="Epoch", epoch=3, epochs=10),
    "Downloading data: 100%|██████████| 440M/440M [00:08<00:00, 50.1MB/s]": Said(
        step=440e6, total=440e6, unit="B", label="Downloading data"
    ),
    # the two bars of Lightning
    "Epoch 0:  45%|████▌     | 45/100 [00:12<00:15, 36.00it/s, v_num=0, train_loss=0.301]": Said(
        step=45, total=100, unit="it", label="Epoch", epoch=0, metrics={"train_loss": 0.301}
    ),
    "Epoch 0/9 ━━━━╸━━━━━ 45/100 0:00:12 • 0:00:15 36.00it/s v_num: 0.000 train_loss: 0.321": Said(
        step=45, total=100, unit="step", label="drawn", epoch=0, epochs=9, metrics={"train_loss": 0.321}
    ),
    # Keras 3 with colours, Keras 2
    "\x1b[1m 45/100\x1b[0m \x1b[32m━━━━━\x1b[0m\x1b[37m━━━━━\x1b[0m \x1b[1m0s\x1b[0m 3ms/step - accuracy: 0.9123 - loss: 0.2871": Said(
        step=45, total=100, unit="step", label="drawn", metrics={"accuracy": 0.9123, "loss": 0.2871}
    ),
    "45/100 [============>.................] - ETA: 0s - loss: 0.3012 - accuracy: 0.9034": Said(
        step=45, total=100, unit="step", label="drawn", metrics={"loss": 0.3012, "accuracy": 0.9034}
    ),
    "Epoch 3/10": Said(epoch=3, epochs=10),
    # Hugging Face Trainer, before and after numbers were written as text
    "{'loss': 0.4213, 'grad_norm': 1.2, 'learning_rate': 5e-05, 'epoch': 1.0}": Said(
        label="dictionary", epoch=1, is_epoch_count=True, metrics={"loss": 0.4213, "grad_norm": 1.2, "learning_rate": 5e-05}
    ),
    "{'eval_loss': '0.42', 'eval_runtime': '1.2', 'epoch': '0.5'}": Said(
        label="dictionary", epoch=0.5, is_epoch_count=True, metrics={"eval_loss": 0.42, "eval_runtime": 1.2}
    ),
    '{"step": 10, "total": 100, "loss": 0.3}': Said(
        step=10, total=100, unit="step", label="dictionary", is_epoch_count=True, metrics={"loss": 0.3}
    ),
    # loops people write
    "Epoch [1/5], Step [100/600], Loss: 0.2345": Said(step=100, total=600, unit="step", epoch=1, epochs=5, metrics={"Loss": 0.2345}),
    "epoch 3 of 10 loss 0.4 val_loss: 0.5": Said(epoch=3, epochs=10, metrics={"val_loss": 0.5, "loss": 0.4}),
    "step 120/1000 loss=0.31 lr=1e-4": Said(step=120, total=1000, unit="step", metrics={"loss": 0.31, "lr": 1e-4}),
    "iter 100: loss 2.3456, time 12.3ms, mfu 3.1%": Said(step=100, unit="iteration", metrics={"loss": 2.3456}),
    "step 500: train loss 1.23, val loss 1.45": Said(step=500, unit="step", metrics={"train loss": 1.23, "val loss": 1.45}),
    "Train Epoch: 1 [25600/60000 (43%)]\tLoss: 0.317": Said(
        step=25600, total=60000, unit="step", label="drawn", epoch=1, metrics={"Loss": 0.317}
    ),
    # boosting, scikit-learn
    "[10]\ttrain-logloss:0.48\teval-logloss:0.51": Said(step=10, unit="round", metrics={"train-logloss": 0.48, "eval-logloss": 0.51}),
    "[20]\ttraining's binary_logloss: 0.5\tvalid_1's binary_logloss: 0.6": Said(
        step=20, unit="round", metrics={"training's binary_logloss": 0.5, "valid_1's binary_logloss": 0.6}
    ),
    "10:\tlearn: 0.5400000\ttotal: 123ms\tremaining: 1.2s": Said(step=10, unit="round", metrics={"learn": 0.54}),
    "Iteration 3, loss = 0.41123456": Said(step=3, unit="iteration", metrics={"loss": 0.41123456}),
    # a loss that is lost is no number
    "step 120/1000 loss=nan": Said(step=120, total=1000, unit="step"),
}


@pytest.mark.parametrize(("line", "said"), LINES.items(), ids=[line[:40] for line in LINES])
def test_a_line_of_a_training_says_how_far_it_is(line: str, said: Said) -> None:
    assert parse(line) == said


@pytest.mark.parametrize(
    "line",
    ["", "loading data", "INFO:root:done in 3 s", "192.168.0.1:8080 GET /epoch/3/4", "footstep 12/3", "loss=0.3", "{'a': 1}", "2026-11-22"],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert parse(line) is None


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    for line in (text, f"Epoch {text}", f"{{'epoch': {text}}}", f"45%|##| {text} [00:01<00:02, {text}]"):
        said = parse(line)
        assert said is None or all(value == value and abs(value) != float("inf") for value in said.metrics.values())


def test_a_line_made_to_be_slow_is_not() -> None:
    import time

    began = time.process_time()
    for piece in (
        "a" * 2_000,
        "1/" * 1_000,
        "epoch" * 400,
        "{'a" * 600,
        "a's " * 500,
        "%|" * 1_000,
        "━" * 2_000,
        "a.b/" * 500,
        "train " * 300,
    ):
        parse(piece + " 1")
        parse("45%|" + piece)
        parse("{'" + piece + "1}")
    assert time.process_time() - began < 1
