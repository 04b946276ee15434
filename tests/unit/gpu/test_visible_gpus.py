"""Which GPUs a runner may use: CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES, as CUDA and the container runtime take them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.gpu.visibility import Visible, choose

GPUS = [
    Visible("GPU-aaaa1111-0000-4000-8000-000000000000", 0, "H100"),
    Visible("GPU-aaaa2222-0000-4000-8000-000000000000", 1, "H100"),
    Visible("GPU-bbbb3333-0000-4000-8000-000000000000", 2, "H100"),
]
PARENT = "GPU-cccc4444-0000-4000-8000-000000000000"
DIVIDED = [
    GPUS[0],
    Visible("MIG-dddd1111-0000-5000-8000-000000000000", 1, "H100 MIG 1g.10gb", PARENT, 0, 7, 0),
    Visible("MIG-dddd2222-0000-5000-8000-000000000000", 1, "H100 MIG 1g.10gb", PARENT, 1, 8, 0),
]


def indices(devices: list[Visible], environ: dict[str, str], *, is_container: bool = False) -> list[int]:
    uuids = choose(devices, environ, is_container=is_container).uuids
    return [[device.uuid for device in devices].index(uuid) for uuid in uuids]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", [0]),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("", []),
        (" ", []),
        ("-1", []),
        ("0,-1,2", [0]),  # what follows a wrong entry is not seen
        ("0,7,1", [0]),
        ("NoDevFiles", []),
        ("0,,1", [0]),
        ("1,1", []),  # CUDA sees none
        ("GPU-aaaa1111-0000-4000-8000-000000000000", [0]),
        ("GPU-AAAA1111", [0]),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa", []),  # the beginning of two
        ("GPU-", []),
        ("gpu-bbbb,0", [2, 0]),
        ("99999999999999999999", []),
        ("٢", []),
        ("0x1", []),
    ],
)
def test_cuda_visible_devices_is_taken_as_cuda_takes_it(value: str, expected: list[int]) -> None:
    assert indices(GPUS, {"CUDA_VISIBLE_DEVICES": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("MIG-dddd2222-0000-5000-8000-000000000000", [2]),
        ("MIG-dddd1", [1]),
        ("MIG-dddd", []),
        (f"MIG-{PARENT}/8/0", [2]),
        (f"MIG-{PARENT}/9/0", []),
        (PARENT, [1, 2]),
        ("GPU-cccc", [1, 2]),
        ("1", [1, 2]),
        ("0", [0]),
        ("1:1", [2]),
    ],
)
def test_instances_of_a_divided_gpu_are_the_devices(value: str, expected: list[int]) -> None:
    assert indices(DIVIDED, {"CUDA_VISIBLE_DEVICES": value}) == expected


@pytest.mark.parametrize(
    ("value", "on_the_machine", "in_a_container"),
    [
        ("all", [0, 1, 2], [0, 1, 2]),
        ("void", [0, 1, 2], [0, 1, 2]),
        ("", [0, 1, 2], [0, 1, 2]),
        ("none", [], []),
        ("1", [1], [1]),  # a container that sees more than was named sees all of the machine: it is privileged
        ("0,1,5", [0, 1], [0, 1, 2]),  # as many as it sees: the runtime has counted anew
        ("GPU-bbbb3333-0000-4000-8000-000000000000", [2], [2]),
    ],
)
def test_nvidia_visible_devices_is_kept_to(value: str, on_the_machine: list[int], in_a_container: list[int]) -> None:
    environ = {"NVIDIA_VISIBLE_DEVICES": value}
    assert indices(GPUS, environ) == on_the_machine
    assert indices(GPUS, environ, is_container=True) == in_a_container


def test_both_variables_together_leave_what_both_allow() -> None:
    assert indices(GPUS, {"NVIDIA_VISIBLE_DEVICES": "1,2", "CUDA_VISIBLE_DEVICES": "2,0"}) == [2]


def test_what_hides_every_gpu_is_said() -> None:
    assert choose(GPUS, {"CUDA_VISIBLE_DEVICES": ""}).notes == ["CUDA_VISIBLE_DEVICES= hides all GPUs from this runner"]
    assert choose(GPUS, {"NVIDIA_VISIBLE_DEVICES": "none"}).notes == ["NVIDIA_VISIBLE_DEVICES=none hides all GPUs from this runner"]
    [note] = choose(GPUS, {"CUDA_VISIBLE_DEVICES": "0,7,1"}).notes
    assert note == "CUDA_VISIBLE_DEVICES=0,7,1: no GPU '7' here; it and what follows it are not seen"
    [note] = choose(GPUS, {"CUDA_VISIBLE_DEVICES": "1,GPU-aaaa2222"}).notes
    assert "names a GPU twice" in note


def test_indices_among_several_models_are_said_to_be_unsure() -> None:
    mixed = [GPUS[0], Visible("GPU-eeee5555-0000-4000-8000-000000000000", 1, "RTX 4090")]
    [note] = choose(mixed, {"CUDA_VISIBLE_DEVICES": "1"}).notes
    assert "several models" in note
    assert choose(mixed, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).notes == []
    assert choose(mixed, {"CUDA_VISIBLE_DEVICES": "GPU-eeee"}).notes == []


def _reference(value: str, count: int) -> list[int]:
    """CUDA's rule for numbers, written another way."""
    seen: list[int] = []
    for entry in value.split(","):
        if not entry.strip().isdigit() or int(entry) >= count:
            return seen
        if int(entry) in seen:
            return []
        seen.append(int(entry))
    return seen


@given(st.lists(st.integers(-2, 12), max_size=10), st.integers(0, 10))
def test_any_list_of_numbers_is_taken_as_cuda_takes_it(numbers: list[int], count: int) -> None:
    devices = [Visible(f"GPU-{place:08x}", place, "H100") for place in range(count)]
    value = ",".join(map(str, numbers))
    # an entry behind the first wrong one is not even read, so a number that comes twice there does no harm
    assert indices(devices, {"CUDA_VISIBLE_DEVICES": value}) == _reference(value, count)


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_no_text_breaks_it_or_shows_a_gpu_that_is_none(cuda: str, container: str, is_container: bool) -> None:
    chosen = choose(DIVIDED, {"CUDA_VISIBLE_DEVICES": cuda, "NVIDIA_VISIBLE_DEVICES": container}, is_container=is_container)
    assert len(set(chosen.uuids)) == len(chosen.uuids)
    assert set(chosen.uuids) <= {device.uuid for device in DIVIDED}
    assert all("\n" not in note and note.isprintable() for note in chosen.notes)


@given(st.data())
def test_a_beginning_of_a_uuid_means_its_gpu_if_only_one_begins_so(data: st.DataObject) -> None:
    digits = data.draw(st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), min_size=1, max_size=6, unique=True))
    devices = [Visible(f"GPU-{digit}-0000-4000-8000-000000000000", place) for place, digit in enumerate(digits)]
    wanted = data.draw(st.sampled_from(devices))
    begun = wanted.uuid[: data.draw(st.integers(4, len(wanted.uuid)))]
    expected = [wanted.index] if sum(device.uuid.startswith(begun) for device in devices) == 1 else []
    assert indices(devices, {"CUDA_VISIBLE_DEVICES": begun}) == expected
