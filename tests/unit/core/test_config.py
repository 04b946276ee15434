"""mlgate.yaml: what is accepted, and the one line that every mistake gets."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate import config
from mlgate.config import Config
from mlgate.errors import InputError
from support import MINIMAL_CONFIG

FULL_CONFIG = """\
model: digits
checks: [pytest -q]
data:
  prepare: dvc repro prepare
  pull: [data/train.parquet, data/holdout.parquet]
  remote: null
  contracts:
    - data: data/train.parquet
      schema: contracts/train.yaml
train:
  command: dvc repro
  timeout: 2h
  params: [params.yaml]
evaluation:
  task: classification
  predictions: eval/predictions.parquet
  columns: {id: id, target: y, prediction: y_pred, score: y_score}
  metrics: [accuracy, f1_macro, log_loss]
  metrics_files: [eval/metrics.json]
  slices: [writer]
gate:
  baseline: base
  confidence: 0.95
  rules:
    - {metric: accuracy, min: 0.90}
    - {metric: accuracy, margin: 0.01}
    - {metric: latency_p95_ms, max: 200}
mlflow: {tracking_uri: null}
store: null
report: {title: null, comment: true, status: true, plots: mermaid, examples: false}
"""


def parsed(text: str) -> Config:
    return config.parse(text.encode(), "mlgate.yaml")


def refusal(text: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        config.parse(text if isinstance(text, bytes) else text.encode(), "mlgate.yaml")
    return str(caught.value)


def test_the_documented_example_is_accepted_in_full() -> None:
    found = parsed(FULL_CONFIG)

    assert found.train.timeout == 7200
    assert found.data.contracts[0].schema_ == "contracts/train.yaml"
    assert [rule.metric for rule in found.gate.rules] == ["accuracy", "accuracy", "latency_p95_ms"]


def test_three_keys_are_enough() -> None:
    found = parsed(MINIMAL_CONFIG)

    assert (found.gate.baseline, found.gate.confidence, found.gate.rules, found.store) == ("base", 0.95, [], None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("modle: x", "modle: unknown key; did you mean 'model'?"),
        ("gate: {rulez: []}", "gate.rulez: unknown key; did you mean 'rules'?"),
        ("gate: {rules: [{metric: accuracy, mim: 1}]}", "gate.rules[0].mim: unknown key; did you mean 'min'?"),
        ("data: {contracts: [{data: a.csv, schema: a.yaml, shcema: b}]}", "data.contracts[0].shcema: unknown key; did you mean 'schema'?"),
        ("data: {contracts: [{data: a.csv, schema_: a.yaml}]}", "data.contracts[0].schema_: unknown key; did you mean 'schema'?"),
        ("data: {contracts: [{data: a.csv}]}", "data.contracts[0].schema: missing; name a pandera schema, or write rules here"),
        ("zzz: 1", "zzz: unknown key; expected one of model, checks, data, train, evaluation, gate, mlflow, inputs, store, report, notify"),
        ("checks: pytest -q", "checks: expected a list, such as [pytest -q], got the text 'pytest -q'"),
        ("checks: '{x}'", "checks: expected a list, such as ['{x}'], got the text '{x}'"),
        ("checks: {unit: pytest, style: ruff check}", "checks: expected a list, such as [pytest, ruff check], got a mapping"),
        ("checks: 7", "checks: expected a list, such as [first, second], got 7 (an integer)"),
        ("checks:", "checks: expected a list, such as [first, second], got nothing"),
        ("data: {contracts: {a.csv: a.yaml}}", "data.contracts: expected a list, such as [{data: …}], got a mapping"),
        ("gate: {rules: {metric: accuracy}}", "gate.rules: expected a list, such as [{metric: …, min: …}], got a mapping"),
        (
            "data: {contracts: [{data: d, unique: customer_id}]}",
            "data.contracts[0].unique: expected a list, such as [[first, second]], got the text 'customer_id'",
        ),
        (
            "data: {contracts: [{data: d, files: {types: png}}]}",
            "data.contracts[0].files.types: expected a list, such as [png], got the text 'png'",
        ),
        (
            "data: {contracts: [{data: d, files: {types: pgn}}]}",
            "data.contracts[0].files.types: expected a list, such as [png, jpg], got the text 'pgn'",
        ),
        (
            "data: {contracts: [{data: d, columns: {a: {in: 7}}}]}",
            "data.contracts[0].columns.a.in: expected a list, such as [7], got 7 (an integer)",
        ),
        (
            "data: {contracts: [{data: d, files: {types: [wav], sample_rate: 16000}}]}",
            "data.contracts[0].files.sample_rate: expected a list, such as [16000], got 16000 (an integer)",
        ),
        (
            "data: {contracts: [{data: d, files: {types: [png], count: 7}}]}",
            "data.contracts[0].files.count: expected two values, [least, greatest], got 7 (an integer)",
        ),
        ("checks: [{a: 1}]", "checks[0]: expected text, got a mapping"),
        ("checks: ['']", "checks[0]: string should have at least 1 character, got the text ''"),
        ("store: 7", "store: expected text, got 7 (an integer)"),
        ("gate: {confidence: 95}", "gate.confidence: expected less than 1, got 95 (an integer)"),
        ("gate: {confidence: yes}", "gate.confidence: expected a number, got true (a yes/no value)"),
        ("gate: {cannot_tell: blok}", "gate.cannot_tell: 'blok' is not possible; did you mean 'block'?"),
        ("gate: {rules: [{metric: accuracy}]}", "gate.rules[0]: expected at least one of min, max, margin"),
        ("gate: {rules: [{metric: accuracy, min: 2, max: 1}]}", "gate.rules[0]: min 2 is above max 1"),
        (
            "gate: {rules: [{metric: accuracy, margin: -1}]}",
            "gate.rules[0].margin: expected at least 0",
        ),
        ("gate: {rules: [{metric: accuracy, min: .nan}]}", "gate.rules[0].min: expected a finite number, got nan (a number)"),
        ("gate: {rules: [{metric: accuracy, max: .inf}]}", "gate.rules[0].max: expected a finite number, got inf (a number)"),
        ("gate: {rules: [{metric: accuracy, min: true}]}", "gate.rules[0].min: expected a number, got true (a yes/no value)"),
        ("gate: {rules: [{metric: acuracy, min: 1}]}", "gate.rules[0].metric: no metric 'acuracy' in evaluation; did you mean 'accuracy'?"),
        ("data: {pull: [../secret]}", "data.pull[0]: expected a path inside the working directory, got '../secret'"),
        ("data: {pull: [/etc/passwd]}", "data.pull[0]: expected a path inside the working directory, got '/etc/passwd'"),
        ("data: {pull: ['C:\\data']}", "data.pull[0]: expected a path inside the working directory, got 'C:\\data'"),
        ("data: {pull: ['.']}", "data.pull[0]: expected a path inside the working directory, got '.'"),
        ("report: {plots: mermade}", "report.plots: 'mermade' is not possible; did you mean 'mermaid'?"),
        ("1: x", "top level: expected text as a key, got 1 (an integer)"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_was_expected(change: str, line: str) -> None:
    assert f"mlgate.yaml: {line}" in refusal(MINIMAL_CONFIG + change + "\n")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("model: digits", "model: a b", "model: string should match pattern"),
        ("model: digits", "model: .hidden", "model: string should match pattern"),
        ("model: digits", "model: store", "model: the name 'store' is reserved; choose another"),
        ("model: digits", "model: a..b", "model: the name 'a..b' is reserved; choose another"),
        ("model: digits", "model: x.lock", "model: the name 'x.lock' is reserved; choose another"),
        ("model: digits", "model: 2024-01-01", "model: expected text, got 2024-01-01 (a date)"),
        ("model: digits", "", "model: missing; this key is required"),
        ("task: classification", "task: clasification", "evaluation.task: 'clasification' is not possible; did you mean 'classification'?"),
        ("[accuracy]", "[acuracy]", "evaluation.metrics: no metric 'acuracy' for classification; did you mean 'accuracy'?"),
        ("[accuracy]", "[rmse]", "evaluation.metrics: no metric 'rmse' for classification"),
        ("[accuracy]", "[]", "evaluation.metrics: expected at least 1 entry, got an empty list"),
        ("[accuracy]", "[accuracy, accuracy]", "evaluation.metrics: metric 'accuracy' is listed more than once"),
        ("[accuracy]", "[accuracy, a.py:accuracy]", "evaluation.metrics: metric 'accuracy' is listed more than once"),
        ("[accuracy]", "[../a.py:cost]", "evaluation.metrics: expected a path inside the working directory, got '../a.py'"),
        ("[accuracy]", "[log_loss]", "evaluation: metric 'log_loss' needs probabilities: name their column in evaluation.columns.score"),
        (
            "{command: python train.py}",
            "{command: x, timeout: soon}",
            "train.timeout: expected a duration such as 90s, 30m, 2h or 1h30m, got the text 'soon'",
        ),
        ("{command: python train.py}", "{command: x, timeout: 0}", "train.timeout: expected more than 0, got 0 (an integer)"),
        ("{command: python train.py}", "{command: x, timeout: yes}", "train.timeout: expected a number, got true (a yes/no value)"),
        ("{command: python train.py}", "{command: x, timeout: 9999d}", "train.timeout: expected at most 31,622,400"),
        (
            "{command: python train.py}",
            "{command: x, gpu: 2}",
            "train.gpu: expected keys below it, such as count, memory, model; got 2 (an integer)",
        ),
        (
            "{command: python train.py}",
            "{command: x, checkpoints: true}",
            "train.checkpoints: expected a folder such as checkpoints, or keys below it, such as path, store, every; got true (a yes/no",
        ),
        (
            "{command: python train.py}",
            "{command: x, gpu: {model: 3}}",
            "train.gpu.model: expected a name such as H100, or a list of names, got 3 (an integer)",
        ),
        ("{command: python train.py}", "{command: x, gpu: }", "train.gpu: is empty; write 'gpu: {}' for any one GPU, or leave the key out"),
        (
            "{command: python train.py}",
            "{command: x, gpu: {memory: 20}}",
            "train.gpu.memory: expected a size with its unit, such as 20GB, got 20 (an",
        ),
        ("{command: python train.py}", "{command: x, gpu: {count: one}}", "train.gpu.count: expected a whole number, got the text 'one'"),
        ("{command: python train.py}", "{command: x, gpu: {count: 0}}", "train.gpu.count: expected at least 1, got 0 (an integer)"),
        ("{command: python train.py}", "{command: x, gpu: {wait: -1}}", "train.gpu.wait: expected at least 0, got -1 (an integer)"),
        (
            "{command: python train.py}",
            "{command: x, price: {gpu_hour: 2.50 EUR}}",
            "train.price.gpu_hour: expected a number, got the text '2.50 EUR'",
        ),
        ("{command: python train.py}", "{command: x, reuse: maybe}", "train.reuse: expected true or false, got the text 'maybe'"),
        ("{command: python train.py}", "{command: x, progress: [a]}", "train.progress: expected text, got a list"),
        (
            "{command: python train.py}",
            "{command: x, checkpoints: {path: out, store: 's3:/bucket'}}",
            "train.checkpoints.store: expected two slashes after the colon, as in s3://bucket/checkpoints, got 's3:/bucket'",
        ),
        (
            "{command: python train.py}",
            "{command: x, price: {gpu_hour: 2, currency: eur}}",
            "train.price.currency: expected the three capital letters of a currency, such as EUR, got the text 'eur'",
        ),
        (
            "{command: python train.py}",
            "{command: x, launcher: torchrun, torchrun: {nodes: 2, rendezvous: a}}",
            "train.torchrun.rendezvous: expected host:port of rank 0, such as 10.0.0.5:29500, got the text 'a'",
        ),
        (
            "{command: python train.py}",
            "python train.py",
            "train: expected keys below it, such as command, timeout, grace; got the text 'python train.py'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key(old: str, new: str, line: str) -> None:
    assert f"mlgate.yaml: {line}" in refusal(MINIMAL_CONFIG.replace(old, new))


def test_all_mistakes_are_told_at_once_each_on_its_line() -> None:
    lines = refusal(MINIMAL_CONFIG + "modle: x\ngate: {confidence: 2}\nreport: {plots: x}\n").splitlines()

    assert len(lines) == 3
    assert all(line.startswith("mlgate.yaml: ") for line in lines)


def test_very_many_or_very_long_mistakes_stay_readable() -> None:
    lines = refusal(MINIMAL_CONFIG + "".join(f"key{n}: 1\n" for n in range(1000)) + f"? {'k' * 5000}\n: 1\n").splitlines()

    assert len(lines) == 26
    assert lines[-1] == "mlgate.yaml: and 976 more mistakes"
    assert len(refusal(MINIMAL_CONFIG + f"? {'k' * 5000}\n: 1\n")) < 600


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "expected keys such as 'model', 'train' and 'evaluation', got nothing"),
        ("- a", "expected keys such as 'model', 'train' and 'evaluation', got a list"),
        ("hello", "expected keys such as 'model', 'train' and 'evaluation', got the text 'hello'"),
        ("a: [", "line 1, column 5: not valid YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\na: 2", "line 2, column 1: not valid YAML: key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "line 1, column 11: not valid YAML: key 'b' is given twice"),
        ("a: &x 1\nb: *x", "line 2, column 4: not valid YAML: aliases (*name) are not supported; write the value out"),
        ("a: !!python/object:os.system x", "line 1, column 4: not valid YAML: could not determine a constructor for the tag"),
        ("a: !!bool perhaps", "line 1, column 4: not valid YAML: 'perhaps' is no bool"),
        ("a: !!map 1", "line 1, column 4: not valid YAML: expected a mapping node, but found scalar"),
        ("a: 2001-99-99", "line 1, column 4: not valid YAML: '2001-99-99' is no timestamp"),
        ("a: !!int ''", "line 1, column 4: not valid YAML: '' is no int"),
        ("? [a]\n: b", "line 1, column 3: not valid YAML: found unhashable key"),
        ("a: 1\n---\nb: 1", "line 2, column 1: not valid YAML: but found another document"),
        ("\ta: 1", "line 1, column 1: not valid YAML: found character '\\t' that cannot start any token; indent by blanks, not by tabs"),
        (
            "a: sh -c 'b: 1'",
            "line 1, column 12: not valid YAML: mapping values are not allowed here; write a text that has ': ' in it in quotes",
        ),
        ("a:\n  b: 1\n   c: 2", "line 3, column 5: not valid YAML: mapping values are not allowed here; write a text"),
        (b"a: \xff", "not UTF-8 text at byte 3; save the file as UTF-8"),
        ("a: b".encode("utf-16"), "not UTF-8 text at byte 0; save the file as UTF-8"),
        (b"a: \0", "not valid YAML: unacceptable character"),
        ("{a: " * 900, "not valid YAML: nested too deeply"),
        ("a: " + "9" * 5000, "line 1, column 4: not valid YAML: '99999"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_place(text: str | bytes, line: str) -> None:
    said = refusal(text)

    assert said.startswith(f"mlgate.yaml: {line}")
    assert "\n" not in said


def test_a_file_that_would_unfold_into_gigabytes_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    started = time.monotonic()

    assert "aliases" in refusal(bomb)
    assert "expected a YAML file of at most 1,000,000" in refusal("x" * 1_000_001)
    assert time.monotonic() - started < 2


def test_windows_line_endings_and_a_byte_order_mark_change_nothing() -> None:
    windows = b"\xef\xbb\xbf" + FULL_CONFIG.replace("\n", "\r\n").encode()

    assert config.parse(windows, "mlgate.yaml") == parsed(FULL_CONFIG)
    assert config.sha256(FULL_CONFIG.replace("\n", "\r\n").encode()) == config.sha256(FULL_CONFIG.encode())
    assert config.sha256(b"a") != config.sha256(b"b")


def test_paths_written_on_windows_mean_the_same_everywhere() -> None:
    assert parsed(MINIMAL_CONFIG + "data: {pull: ['data\\train.csv', './a//b.csv']}\n").data.pull == ["data/train.csv", "a/b.csv"]


def test_an_absent_or_unreadable_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^mlgate.yaml: no such file; write one, or let 'mlgate init' propose it$"):
        config.load(tmp_path / "mlgate.yaml", "mlgate.yaml")
    with pytest.raises(InputError, match=r"expected a file, found a folder"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d 2h", 93600), ("45", 45), (45, 45)]
)
def test_a_duration_may_be_written_in_several_ways(text: str | int, seconds: int) -> None:
    quoted = f"'{text}'" if isinstance(text, str) and not text.isdigit() else text

    assert parsed(MINIMAL_CONFIG.replace("{command: python train.py}", f"{{command: x, timeout: {quoted}}}")).train.timeout == seconds


def test_the_schema_for_editors_accepts_what_we_accept() -> None:
    import jsonschema

    schema = config.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    assert validator.is_valid(yaml.safe_load(FULL_CONFIG))
    assert validator.is_valid(yaml.safe_load(MINIMAL_CONFIG))
    for wrong in ("modle: x", "gate: {confidence: 2}", "gate: {rules: [{metric: 1}]}", "train: {command: x, timeout: soon}"):
        assert not validator.is_valid({**yaml.safe_load(MINIMAL_CONFIG), **yaml.safe_load(wrong)})
    json.dumps(schema, allow_nan=False)


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["model", "checks", "data", "train", "evaluation", "gate", "mlflow", "store", "report", "command", "rules", "metrics"]
)


def refusal_of(text: bytes) -> str | None:
    """What is said of a text, one printable line a mistake; None where it is accepted, and then means the same when written again."""
    try:
        found = config.parse(text, "mlgate.yaml")
    except InputError as error:
        said = str(error)
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8").write(said)  # printable, also where a key is half a surrogate pair
        assert all(line.startswith("mlgate.yaml: ") for line in said.split("\n")), "one line a mistake"
        return said
    written = yaml.safe_dump(found.model_dump(mode="json", by_alias=True, exclude_unset=True), allow_unicode=True)
    assert config.parse(written.encode(), "mlgate.yaml") == found
    return None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "expected keys such as 'model', 'train' and 'evaluation', got nothing"),
        (b"- a", "expected keys such as 'model', 'train' and 'evaluation', got a list"),
        (b"a: !!timestamp x", "line 1, column 4: not valid YAML: 'x' is no timestamp"),
        (b"a: !!float ''", "line 1, column 4: not valid YAML: '' is no float"),
        (b"a: [1", "line 1, column 6: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"\xff\xfe\x00", "not UTF-8 text at byte 0; save the file as UTF-8"),
    ],
)
def test_what_is_no_configuration_at_all_is_refused_by_what_it_is(text: bytes, said: str) -> None:
    assert refusal_of(text) == f"mlgate.yaml: {said}"


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@example(b'"\\ud800": 1')
@example(b"a: !!timestamp x")
@example(b"a: !!float ''")
@example(b"!!map 1")
@example(b"%YAML 9.9\n---\na")
def test_no_bytes_bring_anything_but_a_refusal(text: bytes) -> None:
    assert refusal_of(text), "too little to say a model and where its numbers are"
    longer = MINIMAL_CONFIG.encode() + text
    assert refusal_of(longer) or config.parse(longer, "mlgate.yaml").model == "digits", "what comes after a key cannot take its place"


SECTIONS: dict[tuple[str, ...], set[str]] = {
    path: {field.alias or name for name, field in model.model_fields.items()}
    for path, model in {
        (): Config,
        ("gate",): config.GateConfig,
        ("evaluation",): config.EvaluationConfig,
        ("train",): config.TrainConfig,
        ("data",): config.DataConfig,
        ("report",): config.ReportConfig,
    }.items()
}


@given(st.dictionaries(KEYS, YAML_VALUES, max_size=4), st.sampled_from(sorted(SECTIONS)))
@example({}, ())
@example({"command": "x"}, ("gate",))
def test_no_value_anywhere_brings_anything_but_a_refusal(values: dict[str, object], path: tuple[str, ...]) -> None:
    document = yaml.safe_load(FULL_CONFIG)
    section = document
    for key in path:
        section = section[key]
    section.update(values)
    said = refusal_of(yaml.safe_dump(document, allow_unicode=True).encode(errors="surrogatepass"))
    assert values or said is None
    for key in values.keys() - SECTIONS[path]:
        assert said is not None, f"'{key}' is no key there"
        assert f"mlgate.yaml: {'.'.join((*path, key))}: " in said or "more" in said
