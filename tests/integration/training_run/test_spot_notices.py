"""Clouds that say that a machine goes, asked over HTTP as they want it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgate.errors import InputError
from mlgate.training import spot
from mlgate.training.spot import Metadata, Notice, Watch

sys.path.insert(0, str(Path(__file__).parent))
from metadata_server import Cloud, cloud


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the machine's own address is never asked through a proxy
    with cloud() as it:
        yield it


def test_aws_ends_a_machine_and_warns_before(said: Cloud) -> None:
    metadata = Metadata("aws", said.endpoint)
    assert metadata.notice() is None
    said.rebalance = {"noticeTime": "2026-11-22T03:00:00Z"}
    assert metadata.notice() == Notice("AWS: at risk since 2026-11-22T03:00:00Z (rebalance recommendation)", None)
    said.instance_action = {"action": "terminate", "time": "2026-11-22T03:10:30Z"}
    assert metadata.notice() == Notice("AWS: terminate at 2026-11-22T03:10:30Z", 120)
    assert said.tokens == 1


def test_a_token_that_has_run_out_is_asked_for_again(said: Cloud) -> None:
    metadata = Metadata("aws", said.endpoint)
    assert metadata.notice() is None
    said.is_token_stale = True
    said.instance_action = {"action": "stop", "time": "soon"}
    assert [metadata.notice(), metadata.notice()][1] == Notice("AWS: stop at soon", 120)
    assert said.tokens == 2


def test_google_preempts(said: Cloud) -> None:
    metadata = Metadata("gcp", said.endpoint)
    assert metadata.notice() is None
    said.preempted = True
    assert metadata.notice() == Notice("Google Cloud: preempted", 30)


def test_azure_schedules(said: Cloud) -> None:
    metadata = Metadata("azure", said.endpoint)
    said.events = [{"EventType": "Freeze"}]
    assert metadata.notice() is None
    said.events += [{"EventType": "Preempt", "NotBefore": "Mon, 19 Sep 2026 18:29:47 GMT"}]
    assert metadata.notice() == Notice("Azure: Preempt not before Mon, 19 Sep 2026 18:29:47 GMT", 30)


@pytest.mark.parametrize("of", ["aws", "gcp", "azure"])
def test_a_cloud_that_is_away_or_talks_nonsense_has_said_nothing(of: spot.Cloud, said: Cloud) -> None:
    assert Metadata(of, "http://127.0.0.1:9").notice() is None
    assert Metadata(of, f"{said.endpoint}/elsewhere").notice() is None


def test_the_watch_warns_once_and_goes_on_to_the_last_word(said: Cloud) -> None:
    said.rebalance = {"noticeTime": "now"}
    heard: list[float | None] = []
    watch = Watch(Metadata("aws", said.endpoint), lambda notice: heard.append(notice.left_s), every_s=0.02)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    said.instance_action = {"action": "terminate", "time": "soon"}
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.end()
    assert heard == [None, 120]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"sys_vendor": "Amazon EC2"}, "aws"),
        ({"bios_vendor": "Amazon EC2", "sys_vendor": "x"}, "aws"),
        ({"product_name": "Google Compute Engine", "sys_vendor": "Google"}, "gcp"),
        ({"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"}, "azure"),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, None),
        ({"sys_vendor": "Dell Inc."}, None),
        ({}, None),
    ],
)
def test_a_cloud_is_asked_only_where_the_machine_says_it_stands_in_it(facts: dict[str, str], found: str | None, tmp_path: Path) -> None:
    for name, fact in facts.items():
        (tmp_path / name).write_text(f"{fact}\n")
    assert spot.cloud({}, tmp_path) == found
    assert spot.cloud({"MLGATE_SPOT": "GCP"}, tmp_path) == "gcp"
    assert spot.cloud({"MLGATE_SPOT": "off"}, tmp_path) is None
    with pytest.raises(InputError, match="MLGATE_SPOT: expected aws, gcp, azure or off, got 'ibm'"):
        spot.cloud({"MLGATE_SPOT": "ibm"}, tmp_path)
