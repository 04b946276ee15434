"""What a chat, a pager and a program get of names that were made to call somebody, to lead elsewhere or to be endless: byte for byte."""

from __future__ import annotations

import json

import pytest

from mlgate.notify import message

LONG = "A" * 10_000_000
HERE = "https://github.com/octo/models"


def notice(text: str, **known: str) -> message.Notice:
    return message.Notice(
        model="digits", repository="octo/models", branch=text, commit="4f1c" * 10, statement="does not pass the gate", because=text,
        headline=text, verdict="worse", is_judged=True, run_url=f"{HERE}/actions/runs/5", commit_url=f"{HERE}/commit/{'4f1c' * 10}",
    )  # fmt: skip


def said(text: str) -> list[str]:
    """The three lines of a chat's message."""
    payload = message.payload("slack", notice(text))
    assert set(payload) == {"text", "unfurl_links", "unfurl_media"}
    return payload["text"].split("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> <!here>", "&lt;!channel&gt; &lt;!here&gt;"),
        ("<@U012AB3CD> <#C1>", "`&lt;@U012AB3CD&gt;` `&lt;#C1&gt;`"),
        ("<https://evil.example|report and log>", "`&lt;https://evil.example|report` and log&gt;"),
        ("[log](//evil.example) www.evil.example mailto:a", "`[log](//evil.example)` `www.evil.example` `mailto:a`"),
        ("@channel @all x@y", "`@channel` `@all` `x@y`"),
        ("`@all` ``` x", "`'@all'` ''' x"),
        ("a & b &lt;!here&gt;", "a &amp; b &amp;lt;!here&amp;gt;"),
        ("f1_macro of lung*", "f1_macro of lung*"),
    ],
    ids=["everybody", "somebody", "link", "links", "mattermost", "code", "references", "an ordinary name"],
)
def test_a_chat_calls_nobody_and_links_nowhere_else(text: str, shown: str) -> None:
    first, second, third = said(text)
    assert first == f"*digits: does not pass the gate — {shown}*"
    assert second == shown
    assert third == f"<{HERE}/commit/{'4f1c' * 10}|4f1c4f1> on {shown} of octo/models · <{HERE}/actions/runs/5|report and log>"


def test_a_pager_gets_it_as_text_in_the_fields_that_it_has() -> None:
    evil = '<!channel> <b>x</b> "}],"event_action":"resolve" $(id) ::error::x'
    payload = message.payload("pagerduty", notice(evil), routing_key="key")
    assert payload == {
        "routing_key": "key",
        "event_action": "trigger",
        "dedup_key": f"mlgate/octo/models/{evil}/digits",
        "client": "mlgate",
        "client_url": f"{HERE}/actions/runs/5",
        "links": [{"href": f"{HERE}/actions/runs/5", "text": "Report and log"}, {"href": f"{HERE}/commit/{'4f1c' * 10}", "text": "Commit"}],
        "payload": {
            "summary": f"digits: does not pass the gate — {evil} ({evil} of octo/models)",
            "source": "octo/models",
            "severity": "error",
            "component": "digits",
            "class": "mlgate gate",
            "custom_details": {"why": evil, "verdict": "worse", "commit": "4f1c" * 10},
        },
    }
    assert json.loads(json.dumps(payload)) == payload


def test_a_program_gets_every_word_as_it_is() -> None:
    evil = '"}, \\ <script> \u2028 é 模'
    payload = message.payload("json", notice(evil))
    assert (payload["branch"], payload["because"], payload["headline"]) == (evil, evil, evil)
    assert list(payload)[:2] == ["schema_version", "event"]
    assert json.loads(json.dumps(payload)) == payload


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "json"])
def test_nothing_is_endless(kind: str) -> None:
    payload = message.payload(kind, notice(LONG), routing_key="k")  # type: ignore[arg-type]
    assert len(json.dumps(payload)) < 10_000
    if kind == "pagerduty":
        assert len(payload["payload"]["summary"]) <= 1024
        assert len(payload["dedup_key"]) <= 255


def test_two_branches_whose_names_begin_alike_are_two_incidents() -> None:
    """The key is cut where PagerDuty would refuse it, and must tell them apart all the same."""
    one, other = (message.payload("pagerduty", notice("b" * 300 + end), routing_key="k")["dedup_key"] for end in ("x", "y"))
    assert one != other
    assert max(len(one), len(other)) <= 255
