"""The file that users copy: what it keeps, what it refuses, and that a damaged checkpoint is never gone on from."""

from __future__ import annotations

import ast
import collections
import importlib.util
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interrupted_training import GLUE

_SPEC = importlib.util.spec_from_file_location("mlgate_checkpoint", GLUE)
assert _SPEC
assert _SPEC.loader
glue: Any = importlib.util.module_from_spec(_SPEC)
sys.modules["mlgate_checkpoint"] = glue
_SPEC.loader.exec_module(glue)
Checkpoint, CheckpointError = glue.Checkpoint, glue.CheckpointError


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("MLGATE_CHECKPOINTS", "MLGATE_PROGRESS", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    before = random.getstate(), np.random.get_state()
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])


def train(epochs: int, **objects: Any) -> list[int]:
    """Epochs that were done."""
    return list(Checkpoint(**objects).epochs(epochs, every_s=0))


def saved() -> list[Path]:
    return sorted(path for path in Path("checkpoints").iterdir() if path.name != ".lock")


class TestItIsOneFile:
    def test_it_needs_python_3_9_and_nothing_else(self) -> None:
        tree = ast.parse(GLUE.read_text(), feature_version=(3, 9))
        imported = {name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names} | {
            (node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        }
        assert imported <= set(sys.stdlib_module_names)


class Counting:
    """An object of the user's with a state of its own."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.tuples(st.integers(), st.text(max_size=2)), inner, max_size=3)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=12,
)


class TestWhatIsKept:
    @settings(max_examples=150, deadline=None)
    @given(_plain)
    def test_plain_values_come_back_as_they_were(self, value: Any) -> None:
        parts = glue._Parts()
        found = glue._decode(glue.json.loads(glue.json.dumps(parts.encode(value, "x"))), None)
        assert found == value
        assert type(found) is type(value)

    def test_arrays_of_all_kinds_come_back_with_type_and_shape(self) -> None:
        names = np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])
        given_ = {
            "large": np.arange(20_000.0).reshape(100, 200).T,
            "none": np.zeros((0, 3), "f4"),
            "scalar": np.float32(0.1),
            "text": np.array(["a", "bcd"]),
            "records": names,
            "half": np.arange(4, dtype=">f2"),
            "counter": collections.Counter(a=2),
            "ordered": collections.OrderedDict(b=1, a=2),
            "last": collections.deque([1, 2]),
        }
        train(1, state=given_)
        found: dict[str, Any] = {}
        train(1, state=found)
        assert found.keys() == given_.keys()
        for name, value in given_.items():
            assert type(found[name]) is type(value), name
            assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None)
            assert np.array_equal(found[name], value)
        assert found["large"].flags.writeable

    def test_every_random_generator_goes_on_where_it_was(self) -> None:
        def generators() -> dict[str, Any]:
            kinds = [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
            own = {kind.__name__: np.random.Generator(kind(3)) for kind in kinds}
            random.seed(1)
            np.random.seed(2)
            return {**own, "old": np.random.RandomState(4), "plain": random.Random(5)}

        def drawn(own: dict[str, Any]) -> list[float]:
            numbers = [generator.normal() for name, generator in own.items() if name != "plain"]
            return [*numbers, own["plain"].gauss(0, 1), random.gauss(0, 1), np.random.normal()]

        first = generators()
        for _ in Checkpoint(**first).epochs(1):
            drawn(first)
        expected = drawn(first)
        again = generators()
        assert train(1, **again) == []
        assert drawn(again) == expected

    def test_an_array_is_restored_in_place(self) -> None:
        weights = np.zeros(3)
        for _ in Checkpoint(weights=weights).epochs(1):
            weights += 2
        again = np.zeros(3)
        view = again[1:]
        train(1, weights=again)
        assert view.tolist() == [2, 2]

    def test_what_was_done_before_is_not_done_again(self) -> None:
        assert train(2, state={}) == [0, 1]
        assert train(4, state={}) == [2, 3]
        assert train(3, state={}) == []
        assert [path.name for path in saved()] == ["checkpoint-000003-00000000.zip", "checkpoint-000004-00000000.zip"]

    def test_two_loops_have_names_of_their_own(self) -> None:
        assert list(Checkpoint("one", a=[]).epochs(1)) == [0]
        assert list(Checkpoint("two", a=[]).epochs(1)) == [0]
        assert list(Checkpoint("two", a=[]).epochs(1)) == []

    def test_a_running_total_goes_on_in_the_middle_of_an_epoch(self) -> None:
        def run(stop_after: int) -> dict[str, Any]:
            state: dict[str, Any] = {"total": 0.0, "totals": []}
            checkpoint = Checkpoint(state=state)
            for _ in checkpoint.epochs(3, every_s=0):
                state["total"] = 0.0
                for batch in checkpoint.batches(range(10)):
                    state["total"] += batch * random.random()
                    stop_after -= 1
                    if stop_after == 0:
                        signal.raise_signal(signal.SIGTERM)
                state["totals"].append(state["total"])
            return state

        random.seed(1)
        whole = run(0)
        shutil.rmtree("checkpoints")
        random.seed(1)
        with pytest.raises(SystemExit) as ended:
            run(14)
        assert ended.value.code == 143
        random.seed(99)
        assert run(0) == whole


class TestDamage:
    def test_a_cut_checkpoint_gives_way_to_the_one_before(self, capsys: pytest.CaptureFixture[str]) -> None:
        train(3, state={"a": np.arange(9.0)})
        newest = saved()[-1]
        content = newest.read_bytes()
        for size in (0, 1, len(content) // 2, len(content) - 1):
            newest.write_bytes(content[:size])
            checkpoint = Checkpoint(state={})
            epochs = checkpoint.epochs(4)
            assert next(epochs) == 2
            epochs.close()
            assert f"{newest} is cut or damaged and passed over" in capsys.readouterr().err

    def test_with_all_of_them_cut_it_begins_anew(self) -> None:
        train(2, state={})
        for path in saved():
            path.write_bytes(path.read_bytes()[:-5])
        assert train(2, state={}) == [0, 1]

    def test_no_changed_byte_gives_other_weights(self) -> None:
        rng = random.Random(4)
        expected = np.arange(40.0)
        train(1, weights=expected, state={"a": [1.5, "x"]})
        (path,) = saved()
        content = path.read_bytes()
        for position in {*range(60), *range(len(content) - 80, len(content)), *rng.sample(range(len(content)), 250)}:
            changed = bytearray(content)
            changed[position] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            weights, state = np.zeros(40), dict[str, Any]()
            if next(Checkpoint(weights=weights, state=state).epochs(2)) == 1:
                assert (weights.tolist(), state) == (expected.tolist(), {"a": [1.5, "x"]}), position

    def test_a_cut_one_does_not_push_a_whole_one_out(self) -> None:
        train(1, state={})
        first = saved()[0].read_bytes()
        train(5, state={})
        damaged = saved()[-1]
        damaged.write_bytes(b"PK")
        assert train(5, state={}) == [4]
        for path in saved():
            path.unlink()
        Path("checkpoints/checkpoint-000001-00000000.zip").write_bytes(first)
        damaged.write_bytes(b"PK")  # it is further than the training gets before it is ended once more
        epochs = Checkpoint(state={}).epochs(5, every_s=0)
        assert [next(epochs), next(epochs), next(epochs)] == [1, 2, 3]
        epochs.close()
        assert [path.name[:17] for path in saved()] == ["checkpoint-000002", "checkpoint-000003"]

    def test_half_written_files_of_a_killed_process_are_cleared_away(self) -> None:
        Path("checkpoints").mkdir()
        Path("checkpoints/.checkpoint-000001-00000000.zip.tmp").write_bytes(b"PK")
        Path("checkpoints/notes.tmp").write_text("the user's own")
        train(1, state={})
        assert [path.name for path in saved()] == ["checkpoint-000001-00000000.zip", "notes.tmp"]

    def test_a_full_disk_does_not_end_the_training(self, tmp_path: Path) -> None:
        shutil.copy(GLUE, tmp_path)
        program = (
            "import resource, numpy; from mlgate_checkpoint import Checkpoint\n"
            "weights = numpy.zeros(10_000)\n"
            "for epoch in Checkpoint(weights=weights).epochs(4, every_s=0):\n"
            "    weights += 1\n"
            "    size = 4_096 if epoch in (1, 2) else resource.RLIM_INFINITY\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
            "print(weights[0])\n"
        )
        finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (finished.returncode, finished.stdout) == (0, "4.0\n"), finished.stderr
        assert finished.stderr.count("checkpoint: not saved after") == 2
        assert "File too large; the one before stays" in finished.stderr
        assert [path.name[:17] for path in saved()] == ["checkpoint-000001", "checkpoint-000004"]


_SLOW = (
    "import sys, time; from mlgate_checkpoint import Checkpoint\n"
    "for epoch in Checkpoint(state={}).epochs(1000, every_s=0):\n"
    "    print(epoch, flush=True)\n    time.sleep(0.01)\n"
)


class TestTwoAtOnce:
    @pytest.fixture
    def other(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        """Another training in the same folder, which runs."""
        shutil.copy(GLUE, tmp_path)
        with subprocess.Popen([sys.executable, "-c", _SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
            yield process
            process.kill()

    def test_the_second_one_is_told_of_the_first(self, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(glue, "_WAIT_FOR_ANOTHER_S", 0.2)
        with pytest.raises(
            CheckpointError, match=rf"checkpoints: another training \(process {other.pid}\) keeps its checkpoints here; end it"
        ):
            train(1, state={})

    def test_the_second_one_waits_for_the_last_save_of_the_first(self, other: subprocess.Popen[str]) -> None:
        other.terminate()
        epochs = Checkpoint(state={}).epochs(1000)
        assert next(epochs) >= 3
        epochs.close()
        assert other.wait(10) == 143

    def test_one_whose_folder_was_taken_over_ends(self, other: subprocess.Popen[str]) -> None:
        Path("checkpoints").rename("before")
        epochs = Checkpoint(state={}).epochs(5, every_s=0)
        assert next(epochs) == 0
        assert other.wait(10) == 1
        assert other.stderr
        assert "another training keeps its checkpoints here since; this one ends" in other.stderr.read()
        assert [*epochs] == [1, 2, 3, 4]

    def test_one_whose_folder_is_gone_goes_on_and_says_so(self, other: subprocess.Popen[str]) -> None:
        Path("checkpoints").rename("before")
        other.terminate()
        assert other.wait(10) == 143
        assert other.stderr
        assert "checkpoints: it was taken away while the training ran; the one before stays" in other.stderr.read()
        assert not Path("checkpoints").exists()


class TestWhatIsRefused:
    def test_a_checkpoint_of_another_training(self) -> None:
        train(1, weights=np.zeros(3))
        with pytest.raises(CheckpointError, match=r"holds weights; the training keeps model: it is of another training"):
            train(2, model=[])
        with pytest.raises(CheckpointError, match=r"'weights' cannot be restored \(ValueError: it is float64\[3\], not float64\[4\]\)"):
            train(2, weights=np.zeros(4))

    def test_one_that_is_in_the_middle_of_other_data(self) -> None:
        checkpoint = Checkpoint(state={})
        for _ in checkpoint.epochs(1, every_s=0):
            for batch in checkpoint.batches(range(5)):
                if batch == 4:
                    break
            break
        again = Checkpoint(state={})
        epochs = again.epochs(1)
        assert next(epochs) == 0
        with pytest.raises(CheckpointError, match="saved after 4 batches of an epoch, which now has fewer"):
            list(again.batches(range(2)))
        epochs.close()
        with pytest.raises(CheckpointError, match=r"the loop did not go through checkpoint\.batches\(\)"):
            train(1, state={})

    def test_objects_that_cannot_be_restored_are_named_at_once(self) -> None:
        with pytest.raises(TypeError, match=r"Checkpoint\(rate=…\): float cannot be restored in place"):
            Checkpoint(rate=0.1)
        with pytest.raises(CheckpointError, match=r"state\.inner\[1\] is a builtins\.object, which is not kept"):
            Checkpoint(state={"inner": [1, object()]})
        with pytest.raises(CheckpointError, match="an array of Python objects"):
            Checkpoint(weights=np.array([object()]))
        mine = Counting()
        mine.state = {"function": print, "steps": 3}
        train(1, mine=mine)
        again = Counting()
        train(1, mine=again)
        assert again.state == {"steps": 3}, "functions are the code's"

    def test_loops_that_would_not_go_on_rightly(self) -> None:
        checkpoint = Checkpoint(state={})
        with pytest.raises(CheckpointError, match="belongs into a loop over checkpoint"):
            next(checkpoint.batches([1]))
        for _ in checkpoint.epochs(1):
            list(checkpoint.batches([1]))
            with pytest.raises(CheckpointError, match="used twice in an epoch"):
                list(checkpoint.batches([1]))
        with pytest.raises(CheckpointError, match="serves one loop"):
            list(checkpoint.epochs(1))

    def test_one_process_of_several_that_does_not_know_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(CheckpointError, match=r"call torch\.distributed\.init_process_group\(\)"):
            train(1, state={})

    def test_an_array_under_a_name_bound_anew_is_warned_of(self, capsys: pytest.CaptureFixture[str]) -> None:
        weights = np.zeros(3)
        for _ in Checkpoint(weights=weights).epochs(3, every_s=0):
            weights = weights + 1
        assert capsys.readouterr().err.count("'weights' is as it was after 1 epoch. Was the name bound to another array") == 1


class TestSignals:
    def test_after_the_loop_signals_are_the_users_again(self) -> None:
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        for _ in Checkpoint(state={}).epochs(3):
            assert signal.getsignal(signal.SIGTERM) != before[0]
            break
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        train(1, state={})
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_the_epoch_is_done_and_saved_first(self, number: int, code: int) -> None:
        state = {"done": 0}
        epochs = Checkpoint(state=state).epochs(3)
        next(epochs)
        signal.raise_signal(number)
        state["done"] += 1
        with pytest.raises(SystemExit) as ended:
            next(epochs)
        assert ended.value.code == code
        again = {"done": 0}
        assert next(Checkpoint(state=again).epochs(3)) == 1
        assert again == {"done": 1}
