"""Xid messages in the kernel's log."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlgate.gpu import kernel_log

HOUR = 3600.0
NOW = 100 * HOUR


def record(hours_ago: float, text: str, priority: int = 3) -> str:
    return f"{priority},{7},{int((NOW - hours_ago * HOUR) * 1e6)},-;{text}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:17:00.0\n"


def xid(
    hours_ago: float, number: int, pci: str = "PCI:0000:17:00", more: str = ", pid=4242, name=python, GPU has fallen off the bus."
) -> str:
    return record(hours_ago, f"NVRM: Xid ({pci}): {number}{more}")


def texts(log: str) -> list[str]:
    return [f"{found.pci} {found.text}" for found in kernel_log.xids(log, now_s=NOW)]


def test_a_fault_of_a_gpu_is_found_with_its_age_and_meaning() -> None:
    assert texts(xid(3, 79)) == ["0000:17:00 Xid 79 (fell off the bus) 3 h ago"]
    assert texts(xid(2, 119) + xid(0.5, 119)) == ["0000:17:00 Xid 119 (GSP does not answer) 2 times, last 30 min ago"]
    assert texts(xid(0.001, 200)) == ["0000:17:00 Xid 200 just now"]


def test_the_address_is_one_whichever_form_it_comes_in() -> None:
    for form in ("PCI:0000:17:00", "0000:17:00", "PCI:0000:17:00.0"):
        assert texts(xid(1, 48, form))[0].startswith("0000:17:00 ")
    assert kernel_log.address("00000000:AF:00.0") == kernel_log.address("0000:af:00") == "0000:af:00"


def test_what_a_program_caused_is_no_fault_of_the_gpu() -> None:
    assert texts(xid(1, 13) + xid(1, 31) + xid(1, 43) + xid(1, 45)) == []


def test_what_is_older_than_a_day_is_no_news() -> None:
    assert texts(xid(25, 79)) == []


def test_a_driver_that_was_loaded_again_begins_anew() -> None:
    loaded = record(1, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.86.15  Release Build")
    assert texts(xid(2, 79) + loaded) == []
    assert len(texts(loaded + xid(0.5, 79))) == 1


def test_a_gpu_that_says_it_has_recovered_is_believed_and_no_other() -> None:
    recovered = xid(1, 154, more=", GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)")
    other = xid(2, 95, "PCI:0000:18:00")
    assert texts(xid(2, 95) + other + recovered) == ["0000:18:00 Xid 95 (uncontained memory error) 2 h ago"]


def test_only_what_the_kernel_itself_says_counts() -> None:
    assert texts(record(1, "NVRM: Xid (PCI:0000:17:00): 79, forged", priority=8 + 3)) == []


def test_a_log_that_may_not_be_read_says_nothing(tmp_path: Path) -> None:
    assert kernel_log.read(tmp_path / "none") == ""
    assert kernel_log.read(tmp_path) == ""
    log = tmp_path / "kmsg"
    log.write_text(xid(1, 79) * 2000)
    assert len(kernel_log.xids(kernel_log.read(log), now_s=NOW)) == 1
    queue = tmp_path / "fifo"
    os.mkfifo(queue)
    assert kernel_log.read(queue) == ""


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    kernel_log.xids(text + "\n3,1,1,-;NVRM: Xid (PCI:0000:17:00): " + text, now_s=NOW)
