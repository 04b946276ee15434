"""A fold in GitHub's log that a training's output cannot end, read as GitHub's runner reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.log_group import LogGroup, opened

_BLANK = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000"


def obeyed(shown: bytes) -> list[str]:
    """Commands that the runner takes from a log: its lines end with either character, blanks in front are trimmed, case is one."""
    found = []
    for line in re.split("\r\n|\n|\r", shown.decode(errors="replace")):
        if match := re.match(r"::([^ :]+)[^:]*(?::[^:]+)*::", line.lstrip(_BLANK)):
            found.append(match[1].lower())
        found += [name.lower() for name in re.findall(r"##\[([^\] ;]+)", line)]
    return found


def shown(*chunks: bytes) -> bytes:
    group = LogGroup()
    return b"".join(map(group.passed, chunks)) + group.rest()


@pytest.mark.parametrize(
    "said",
    [
        b"::endgroup::\n",
        b"  ::endgroup::\n",
        b"45%|##\r::endgroup::",
        b"::EndGroup::",
        b"::group::mine\n",
        b"::group title=x::mine\n",
        b"x ##[endgroup] y\n",
        b"##[Group]mine",
        "\u3000\u00a0::endgroup::\n".encode(),
        b"\x1c::endgroup::",
        b"a\n\t \n::endgroup::\n",
    ],
)
def test_output_neither_ends_nor_opens_a_fold_however_it_is_cut(said: bytes) -> None:
    assert not {"group", "endgroup"} & set(obeyed(shown(said)))
    for cut in range(len(said)):
        assert not {"group", "endgroup"} & set(obeyed(shown(said[:cut], said[cut:]))), cut
    assert not {"group", "endgroup"} & set(obeyed(shown(*(said[i : i + 1] for i in range(len(said))))))


@given(
    st.lists(
        st.sampled_from(
            [
                b"::",
                b"endgroup",
                b"group",
                b"##[",
                b"]",
                b" ",
                b"\n",
                b"\r",
                b"x",
                b":",
                b"#",
                b"\xc2",
                b"\xa0",
                b"\xe3\x80\x80",
                b"stop-commands",
            ]
        )
    )
)
def test_no_sequence_of_pieces_does(pieces: list[bytes]) -> None:
    assert not {"group", "endgroup"} & set(obeyed(shown(*pieces)))


def test_all_else_passes_as_it_is_and_at_once() -> None:
    group = LogGroup()
    for said in (b"epoch 1\n", b"45%|##|", b"\r46%|##|", b"\n::notice::done\n", b"::add-mask::x\n", b"\xff\xfe::\n", b"a ::endgroup:: b\n"):
        assert group.passed(said) == said


def test_a_piece_that_may_become_a_command_is_only_held_back() -> None:
    group = LogGroup()
    assert group.passed(b"a\n  ::end") == b"a\n"
    assert group.passed(b"ing\n") == b"  ::ending\n"
    assert group.passed(b"::") == b""
    assert group.rest() == b"::"


def test_what_stops_commands_does_not_stop_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with opened("training", is_github=True) as group:
        assert group is not None
        assert group.passed(b"::stop-commands::word\nfree text\n") == b"::stop-commands::word\nfree text\n"
    assert capsys.readouterr().out == "::group::training\n::word::\n::endgroup::\n"
    with opened("training", is_github=True) as group:
        assert group is not None
        group.passed(b"::stop-commands::word\nfree text\n::wo")
        group.passed(b"rd::\n")
    assert capsys.readouterr().out == "::group::training\n::endgroup::\n"


def test_elsewhere_nothing_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    with opened("training", is_github=False) as group:
        assert group is None
    assert capsys.readouterr().out == ""
