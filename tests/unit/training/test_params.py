"""Parameter files as flat tables, and what a form may change in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import InputError
from mlgate.training import params

YAML = """\
# how the model is trained
lr: 0.1  # rate
depth: 3
name: base
optional: null
shuffle: true
layers: [64, 32]
model:
  kind: forest
  trees: 1e2
1.5: odd
"""

# each line doubles the one before: a kilobyte that would unfold into a billion values
BOMB = b"a0: &a0 {l: 1, r: 1}\n" + b"".join(b"a%d: &a%d {l: *a%d, r: *a%d}\n" % (i, i, i - 1, i - 1) for i in range(1, 30))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(YAML)
    return tmp_path


def asked(text: str, root: Path, *paths: str) -> dict[str, object]:
    return {override.key: override.value for override in params.overrides(text, root, paths or ("params.yaml",))}


class TestFlatten:
    def test_nested_keys_are_joined_by_dots(self) -> None:
        assert params.flatten(YAML.encode(), "params.yaml") == {
            "lr": "0.1", "depth": "3", "name": "base", "optional": "null", "shuffle": "true", "layers": "[64, 32]",
            "model.kind": "forest", "model.trees": "100.0", "1.5": "odd",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("p.json", '{"a": {"b": 1}, "c": "x"}'),
            ("p.toml", 'c = "x"\n[a]\nb = 1\n'),
            ("p.yaml", "a: {b: 1}\nc: x\n"),
            ("p.yml", "c: x\na:\n  b: 1\n"),
        ],
    )
    def test_every_format_gives_the_same_table(self, name: str, text: str) -> None:
        assert params.flatten(text.encode(), name) == {"a.b": "1", "c": "x"}

    def test_yaml_is_read_as_dvc_reads_it(self) -> None:
        serialize = pytest.importorskip("dvc.utils.serialize")
        text = "a: 1e-3\nb: on\nc: 0o17\nd: 010\ne: 1_000\nf: 12:30\ni: -0x1F\nj: .5\nk: 1.\no: 1e5\np: +3\nq: '1'\nr: yes\ns: ~\nt: TRUE\n"
        assert params.parse(text.encode(), "p.yaml") == serialize.parse_yaml(text, "p.yaml")

    @pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xef\xbb\xbf{}"])
    def test_an_empty_file_has_no_parameters(self, content: bytes) -> None:
        assert params.flatten(content, "p.yaml") == {}

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("p.yaml", b"a: [", "p.yaml: not a valid parameter file"),
            ("p.yaml", b"- 1\n", "expected parameters by name, got list"),
            ("p.json", b"{", "not a valid parameter file"),
            ("p.toml", b"a =", "not a valid parameter file"),
            ("p.yaml", b"\xff\xfe\x00", "not UTF-8"),
            ("p.yaml", b"!!python/object/apply:os.system [touch x]", "not a valid parameter file"),
            ("p.yaml", b"a: " + b"[" * 5_000, "not a valid parameter file"),
            ("p.yaml", b"x" * 1_000_001, "at most 1,000,000"),
            ("p.yaml", BOMB, "more than"),
            ("p.yaml", b"a: &a {b: *a}\n", "nested deeper"),
        ],
    )  # fmt: skip
    def test_a_file_that_is_none_is_refused_in_one_line(self, name: str, content: bytes, said: str) -> None:
        with pytest.raises(InputError, match=said) as error:
            params.flatten(content, name)
        assert "\n" not in str(error.value)

    def test_a_list_that_holds_itself_does_no_harm(self) -> None:
        assert params.flatten(b"a: &a [1, *a]\n", "p.yaml") == {"a": "list"}

    @given(st.dictionaries(st.text("abc", min_size=1), st.integers() | st.booleans() | st.none() | st.text() | st.floats(allow_nan=False)))
    def test_json_values_keep_their_text(self, values: dict[str, object]) -> None:
        flat = params.flatten(json.dumps(values).encode(), "p.json")
        assert set(flat) == set(values)
        assert all(flat[key] == value for key, value in values.items() if isinstance(value, str))

    def test_files_that_share_a_key_are_told_apart(self, root: Path) -> None:
        (root / "more.json").write_text('{"lr": 9, "b": 1}')
        found = params.read(root, ["params.yaml", "more.json"])
        assert (found["lr"], found["more.json:lr"], found["b"]) == ("0.1", "9", "1")

    def test_an_absent_file_is_named(self, root: Path) -> None:
        with pytest.raises(InputError, match=r"train.params: no file 'no.yaml'"):
            params.read(root, ["no.yaml"])


class TestOverrides:
    def test_values_are_typed_as_in_the_file(self, root: Path) -> None:
        lines = "lr=1e-3\n\n# a remark\ndepth = 5\nname=other model\noptional=4\nshuffle=false\nlayers=[1, 2]\nmodel.trees=7"
        assert asked(lines, root) == {
            "lr": 0.001, "depth": 5, "name": "other model", "optional": 4, "shuffle": False, "layers": [1, 2], "model.trees": 7,
        }  # fmt: skip

    def test_a_text_stays_a_text(self, root: Path) -> None:
        assert asked("name=1.10", root) == {"name": "1.10"}
        assert asked("name='null'", root) == {"name": "null"}
        assert asked("name=", root) == {"name": ""}
        assert asked("name=null", root) == {"name": None}

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("lrr=1", "line 1: no parameter 'lrr' in params.yaml; did you mean 'lr'?"),
            ("lr", "line 1: expected key=value, got 'lr'"),
            ("=1", "expected key=value"),
            ("\nlr=1\nlr=2", "line 3: 'lr' is given twice"),
            ("lr=fast", "lr: expected a number such as 0.1, got 'fast'"),
            ("shuffle=1", "shuffle: expected a boolean such as true"),
            ("depth=true", "depth: expected a number"),
            ("layers=5", "layers: expected a list"),
            ("model=5", "model: expected a mapping"),
            ("lr=.inf", "expected a finite number"),
            ("lr=[", "not a valid YAML value"),
            ("optional=&a [*a]", "aliases"),
            ("params.yaml:lrr=1", "no parameter 'lrr' in params.yaml; did you mean 'lr'"),
            ("name=" + "x" * 3_000, "at most 2,000"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_with_its_line(self, line: str, said: str, root: Path) -> None:
        with pytest.raises(InputError) as error:
            asked(line, root)
        assert said in str(error.value)
        assert str(error.value).startswith("MLGATE_PARAMS: line ")

    @pytest.mark.parametrize(
        "value",
        [
            "$(touch x)", "`touch x`", "a; touch x", "a && touch x", "a | sh", "${oc.env:HOME}", "x' ; touch x; '", 'x" ; touch x; "',
            "--evil", "a > x", "\\", "a\x1bb",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("key", ["name", "optional", "lr", "layers"])
    def test_a_value_that_a_shell_would_run_is_refused(self, key: str, value: str, root: Path) -> None:
        for line in (f"{key}={value}", f"{key}=[{json.dumps(value)}]", f"{key}={json.dumps(value)}", f"{key}={{a: {json.dumps(value)}}}"):
            with pytest.raises(InputError):
                asked(line, root)

    def test_an_escaped_newline_is_refused(self, root: Path) -> None:
        with pytest.raises(InputError):
            asked(r'name="a\nb"', root)

    def test_which_file_is_meant_can_be_said(self, root: Path) -> None:
        (root / "more.json").write_text('{"lr": 9}')
        with pytest.raises(InputError, match=r"'lr' is in params.yaml and more.json; write 'params.yaml:lr="):
            asked("lr=1", root, "params.yaml", "more.json")
        assert params.overrides("more.json:lr=1", root, ("params.yaml", "more.json")) == [params.Override("more.json", "lr", 1)]

    def test_without_parameter_files_there_is_nothing_to_override(self, root: Path) -> None:
        with pytest.raises(InputError, match="name the parameter files"):
            params.overrides("lr=1", root, ())
        assert params.overrides("\n# nothing\n", root, ()) == []


class TestApply:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("p.yaml", "# remark\na: {b: 1}  # why\nc: x\n"),
            ("p.json", '{"a": {"b": 1}, "c": "x"}'),
            ("p.toml", '# remark\nc = "x"\n[a]\nb = 1\n'),
        ],
    )
    def test_only_what_was_asked_changes(self, name: str, text: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text)
        params.apply(params.overrides("a.b=2.5", tmp_path, [name]), tmp_path)
        assert params.read(tmp_path, [name]) == {"a.b": "2.5", "c": "x"}
        assert "remark" not in text or "# remark" in (tmp_path / name).read_text()

    def test_a_key_with_dots_in_it_is_found(self, root: Path) -> None:
        params.apply(params.overrides("1.5=even", root, ["params.yaml"]), root)
        assert params.read(root, ["params.yaml"])["1.5"] == "even"

    def test_doing_it_twice_changes_nothing_more(self, root: Path) -> None:
        texts = []
        for _ in range(2):
            params.apply(params.overrides("lr=0.5\nname=y", root, ["params.yaml"]), root)
            texts.append((root / "params.yaml").read_text())
        assert texts[0] == texts[1]
        expected = YAML.replace("lr: 0.1", "lr: 0.5").replace("name: base", "name: y")
        assert params.flatten(texts[0].encode(), "params.yaml") == params.flatten(expected.encode(), "params.yaml")
