"""A Spark session and the tables it reads: what contracts and drift run on where data outgrows one machine.

No Python runs on the cluster: everything is asked in SQL, so that a cluster needs neither our Python nor our packages. The session is
ours alone, ends when it is left, and its log goes to a file of its own, never into our output.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from mlgate import own_secrets
from mlgate.errors import InfrastructureError, InputError, MlgateError
from mlgate.tables import scan as on_one_machine
from mlgate.tables.table import SUFFIXES, Format

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import DataFrame, SparkSession

START_LIMIT_S = 180.0
"""For a session and its first answer: a cluster whose workers are all taken never says no, it waits."""
QUERY_LIMIT_S = 3600.0
_CONNECT_LIMIT_S = 10.0
_STOP_LIMIT_S = 15.0
_JAVA = 17
_HADOOP = "3.5.0"
_SUBMIT_OPTIONS = "SPARK_SUBMIT_OPTS"
"""What Spark's own launcher gives to the Java process, before the options of its configuration."""

# Semantics of ours, whatever a cluster has as its defaults: zones, letters of column names, and no error for 1/0 or a cast that fails.
_SEMANTICS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.timeType.enabled": "true",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.variable.substitute": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}
_SCHEMES = ("s3", "gs", "hdfs", "abfs", "abfss", "s3a")
_POLARS_READS = ("s3", "gs", "az", "abfs", "abfss")
_BLANKS = " \\t\\r"
# What stands for nothing in an empty place: Spark would otherwise take an empty text for it, too, before we look at it.
_NO_CELL = "\x00mlgate: nothing"

Scalar = bool | int | float | str
_T = TypeVar("_T")


@dataclass(frozen=True)
class Spark:
    """A session that is ready to answer."""

    session: SparkSession
    master: str
    """Where it runs: `local[*]`, `spark://host:7077`, `sc://host`."""
    _stop: Callable[[], None] = field(repr=False)

    def ask(self, question: Callable[[], _T], about: str, *, limit_s: float = QUERY_LIMIT_S) -> _T:
        """The answer to a question that runs jobs, within a time limit.

        Args:
            question: runs the jobs.
            about: what the message of an error begins with, the name of the data.
            limit_s: after so long the session is ended.

        Raises:
            InputError: Spark cannot read the data.
            InfrastructureError: the cluster went away, or took too long.
        """
        try:
            return _within(limit_s, question)
        except TimeoutError:
            self._stop()
            raise InfrastructureError(f"{about}: Spark at {self.master} gave no answer within {limit_s:.0f} s") from None
        except MlgateError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever Java says; told in one line
            raise _told(error, about, self.master) from None


@dataclass(frozen=True)
class SparkTable:
    """A table of Spark's that is read when it is asked something."""

    name: str
    """As the configuration spells it."""
    frame: DataFrame
    """Missing cells are null, never NaN. Rows have no order."""
    schema: Mapping[str, pl.DataType]
    """The types that Polars has for the same columns."""
    format: Format
    spark: Spark
    mixed: frozenset[str] = frozenset()
    """As of `tables.table.Table`."""
    notes: tuple[str, ...] = ()
    """As of `tables.table.Table`."""


@contextmanager
def session(settings: Mapping[str, str] | None = None, *, start_limit_s: float = START_LIMIT_S) -> Iterator[Spark]:
    """A session for as long as the context lasts.

    Where it runs, first found: Spark Connect at `SPARK_REMOTE`; the master in `MLGATE_SPARK_MASTER`; `spark.master` of
    `spark-defaults.conf`; this machine, on all its cores.

    Args:
        settings: Spark's, on top of `spark-defaults.conf`.
        start_limit_s: how long to wait for the first answer.

    Raises:
        InputError: PySpark or Java is missing or too old, or the master's address is none (exit 2).
        InfrastructureError: nothing answers there (exit 3).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"pyspark\..*")  # it has not been tried with pandas 3
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"pyspark\..*")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"pyspark\..*")  # of settings that Spark 5 may not know
        try:
            import pyspark.sql  # noqa: F401
        except ImportError:
            raise InputError("engine: spark needs PySpark; install mlgate with its extra 'spark'") from None
        logging.getLogger("SQLQueryContextLogger").disabled = True  # it prints what it raises, a page of Java
        remote = os.environ.get("SPARK_REMOTE", "")
        opened = _remote(remote, start_limit_s) if remote else _own(_master(), dict(settings or {}), start_limit_s)
    try:
        yield opened
    finally:
        opened._stop()  # noqa: SLF001 -- ours


@contextmanager
def on_demand() -> Iterator[Callable[[], Spark]]:
    """One session for all that asks, started when it is first asked for: it takes seconds."""
    with ExitStack() as opened:
        yield functools.cache(lambda: opened.enter_context(session()))


def is_configured(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a cluster."""
    return bool(environ.get("SPARK_REMOTE") or environ.get("MLGATE_SPARK_MASTER"))


def scan(spark: Spark, root: Path, name: str, as_text: Collection[str] = ()) -> SparkTable:
    """The table of that name: CSV, Parquet, JSON lines, or a folder of such files, here or on a store that Spark's machines reach.

    Columns and types are those that `tables.scan` finds, by the same code: of Parquet in the files' own words, of CSV and JSON lines in a
    look through all cells, which this machine does alone.

    Args:
        spark: the session.
        root: the working directory; every worker must see it under the same path.
        name: file or folder relative to `root`, or an address.
        as_text: columns of CSV that stay text.

    Raises:
        InputError: it is absent, empty, or no table.
    """
    scheme = urlsplit(name).scheme if "://" in name else ""
    if scheme and scheme not in _SCHEMES:
        raise InputError(f"{name}: Spark reads no {scheme}:// here; expected {', '.join(f'{each}://' for each in _SCHEMES)}")
    known = None if scheme and scheme not in _POLARS_READS else on_one_machine.scan(root, name, as_text)
    kind: Format = "parquet" if known is None else known.format
    if kind == "arrow" or (known is None and name.lower().endswith((".csv", ".jsonl", ".ndjson"))):
        raise InputError(f"{name}: Spark reads no {'Arrow' if kind == 'arrow' else f'text at {scheme}://'} here; expected Parquet")
    schema = None if known is None else dict(known.frame.collect_schema())
    address = re.sub(r"^s3://", "s3a://", name) if scheme else (root / name).resolve().as_uri()

    def read() -> SparkTable:
        frame = _read(spark.session, address, kind, schema)
        types = schema if schema is not None else {column: _polars_type(dtype) for column, dtype in frame.dtypes}
        more = (known.mixed, known.notes) if known is not None else ()
        return SparkTable(name, _as_declared(frame, types, kind), types, kind, spark, *more)

    return spark.ask(read, name)  # Spark Connect looks at the data only when it is asked for the types


def identifier(name: str) -> str:
    """A column's name as SQL spells it."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: Scalar) -> str:
    """A value as SQL spells it. What is neither letter nor digit is told by its number, so that no text ends a literal or is replaced."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}L" if -(2**63) < value < 2**63 else f"{value}BD"
        case float():
            return f"{value!r}D" if math.isfinite(value) else f"CAST('{value}' AS DOUBLE)"
        case _:
            return "'" + "".join(one if one.isascii() and (one.isalnum() or one in " _-") else _escaped(ord(one)) for one in value) + "'"


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _polars_type(dtype: str) -> pl.DataType:
    import polars as pl

    simple: dict[str, pl.DataType] = {
        "tinyint": pl.Int8(), "smallint": pl.Int16(), "int": pl.Int32(), "bigint": pl.Int64(), "decimal(20,0)": pl.UInt64(),
        "float": pl.Float32(), "double": pl.Float64(), "string": pl.String(), "boolean": pl.Boolean(), "date": pl.Date(),
        "timestamp": pl.Datetime("us", "UTC"), "timestamp_ntz": pl.Datetime("us"), "void": pl.Null(), "binary": pl.Binary(),
    }  # fmt: skip
    if dtype in simple:
        return simple[dtype]
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", dtype):
        return pl.Decimal(int(decimal[1]), int(decimal[2]))
    if dtype.startswith("time("):
        return pl.Time()
    return pl.String() if dtype.startswith(("varchar", "char")) else pl.Object()


def _read(session: SparkSession, address: str, kind: Format, schema: Mapping[str, pl.DataType] | None) -> DataFrame:
    reader = session.read
    endings = [ending for ending, each in SUFFIXES.items() if each == kind]
    if not address.lower().endswith(tuple(endings)):
        reader = reader.option("pathGlobFilter", f"*{{{','.join(endings)}}}")
        if "=" not in _first_below(address):
            reader = reader.option("recursiveFileLookup", "true")
    if schema is None or kind == "parquet":
        # It refuses nanoseconds otherwise. They are whole numbers then, and known as what they are from the files' own words.
        session.conf.set("spark.sql.legacy.parquet.nanosAsLong", "ns" in str(schema))
        return reader.parquet(address)
    if kind == "csv":  # quoted cells may hold line breaks; a doubled quote is a quote
        text = reader.option("header", "true").option("escape", '"').option("multiLine", "true").option("nullValue", _NO_CELL)
        return text.option("mode", "FAILFAST").schema(", ".join(f"{identifier(name)} STRING" for name in schema)).csv(address)
    declared = ", ".join(f"{identifier(name)} {_sql_type(dtype)}" for name, dtype in schema.items())
    return reader.option("mode", "FAILFAST").schema(declared).json(address)


def _first_below(address: str) -> str:
    """Of a folder of this machine, its first folder; of a store's, what stands for partitions: they are the rule there."""
    if not address.startswith("file:"):
        return "="
    folder = Path(unquote(urlsplit(address).path))
    return next((part.name for part in sorted(folder.iterdir()) if part.is_dir() and part.name[0] not in "._"), "")


def _sql_type(dtype: pl.DataType) -> str:
    import polars as pl

    types: dict[pl.DataType, str] = {
        pl.Int64(): "BIGINT", pl.UInt64(): "DECIMAL(20, 0)", pl.Int128(): "DECIMAL(38, 0)", pl.Float64(): "DOUBLE", pl.Boolean(): "BOOLEAN",
    }  # fmt: skip
    return types.get(dtype, "STRING")


def _as_declared(frame: DataFrame, schema: Mapping[str, pl.DataType], kind: Format) -> DataFrame:
    """The columns in order, with the types that are known of them. NaN is a missing cell."""
    dtypes = dict(frame.dtypes)
    return frame.selectExpr(*(f"{_cell(name, dtypes[name], schema[name], kind)} AS {identifier(name)}" for name in schema))


def _cell(name: str, found: str, dtype: pl.DataType, kind: Format) -> str:
    import polars as pl

    cell = identifier(name)
    if dtype == pl.Null:
        return "CAST(NULL AS VOID)"
    if kind == "csv":
        return _cell_of_csv(cell, dtype)
    if found in ("float", "double"):
        return f"nullif({cell}, CAST('NaN' AS {found}))"
    if found == "bigint" and isinstance(dtype, pl.Datetime):  # of nanoseconds
        moment = f"timestamp_micros({cell} DIV 1000L)"
        return moment if dtype.time_zone else f"CAST({moment} AS TIMESTAMP_NTZ)"
    if found == "string" and not isinstance(dtype, pl.String | pl.Categorical | pl.Enum) and kind == "parquet":  # of a folder's name
        return f"try_cast({cell} AS {'DATE' if dtype == pl.Date else _sql_type(dtype)})"
    return cell


def _cell_of_csv(cell: str, dtype: pl.DataType) -> str:
    """Text as the type that all of the column's cells have been found to be of."""
    import polars as pl

    from mlgate.tables.csv_files import MISSING

    there = f"CASE WHEN {cell} NOT IN ({', '.join(map(literal, MISSING))}) THEN {cell} END"
    bare = f"trim(BOTH '{_BLANKS}' FROM {there})"
    if dtype == pl.Boolean:
        return f"(lower({bare}) = 'true')"
    if dtype == pl.Float64:  # Java knows infinity by another name
        endless = f"CASE WHEN {bare} LIKE '-%' THEN CAST('-Infinity' AS DOUBLE) ELSE CAST('Infinity' AS DOUBLE) END"
        return f"(CASE WHEN lower({bare}) RLIKE 'inf' THEN {endless} ELSE nullif(try_cast({bare} AS DOUBLE), CAST('NaN' AS DOUBLE)) END)"
    return there if dtype == pl.String else f"try_cast({bare} AS {_sql_type(dtype)})"


def _master() -> str:
    chosen = os.environ.get("MLGATE_SPARK_MASTER", "") or _default_master() or "local[*]"
    if not re.match(r"^(local(\[.*\])?$|yarn$|spark://|k8s://)", chosen):
        raise InputError(f"Spark's master '{chosen}': expected local[*], spark://host:port, k8s://https://host:port or yarn")
    return chosen


def _default_master() -> str | None:
    folder = os.environ.get("SPARK_CONF_DIR") or (f"{os.environ['SPARK_HOME']}/conf" if os.environ.get("SPARK_HOME") else None)
    path = Path(folder or os.devnull) / "spark-defaults.conf"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if folder and path.is_file() else []
    said = [match[1] for line in lines if (match := re.match(r"^\s*spark\.master[\s=:]+(\S+)", line))]
    return said[-1] if said else None


def _remote(address: str, limit_s: float) -> Spark:
    shown = address.split(";", 1)[0].split("/;", 1)[0]  # a token stands behind the semicolon
    if not address.startswith("sc://"):
        raise InputError(f"SPARK_REMOTE '{shown}': expected sc://host:port")
    try:
        from pyspark.sql.connect.session import SparkSession as Remote
    except ImportError as error:
        raise InputError(f"SPARK_REMOTE needs Spark Connect's packages: {_one_line(error)}") from None
    parts = urlsplit(address)
    _reach(parts.hostname, parts.port or 15002, shown)
    found: list[SparkSession] = []

    def start() -> None:
        opened: Any = Remote.builder.remote(address).create()
        found.append(opened)
        for name, value in _SEMANTICS.items():
            opened.conf.set(name, value)
        opened.range(1).count()

    def stop() -> None:
        for each in found:
            with suppress(Exception):
                each.stop()

    _started(start, stop, shown, limit_s, None)
    return Spark(found[0], shown, stop)


def _own(master: str, settings: dict[str, str], limit_s: float) -> Spark:
    """A driver of our own: a Java process beside us, which ends with us."""
    _check_java()
    if master.startswith("spark://"):
        for host in master.removeprefix("spark://").split(",")[:1]:
            parts = urlsplit(f"//{host}")
            _reach(parts.hostname, parts.port or 7077, master)
    from py4j.java_gateway import JavaGateway
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    folder = Path(tempfile.mkdtemp(prefix="mlgate-spark-"))
    log = folder / "spark.log"
    conf = SparkConf(loadDefaults=False).setMaster(master).setAppName("mlgate")
    own = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.warehouse.dir": str(folder / "warehouse")}
    if master.startswith("local"):
        own |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    for name, value in {**own, **settings, **_SEMANTICS}.items():
        conf.set(name, value)
    gateways: list[JavaGateway] = []
    found: list[SparkSession] = []

    def start() -> None:
        with log.open("wb") as file, _environment_of_java(folder / "temporary"):
            gateways.append(launch_gateway(conf, {"stdout": file, "stderr": file}))
        SparkContext(conf=conf, gateway=gateways[0])
        found.append(SparkSession.builder.getOrCreate())
        found[0].range(1).count()

    def stop() -> None:
        process = getattr(gateways[0], "proc", None) if gateways else None
        with suppress(Exception):
            if found and process is not None and process.poll() is None:
                _within(_STOP_LIMIT_S, found[0].stop)
        for each in gateways:
            with suppress(Exception):
                each.shutdown()
        if process is not None:
            _end(process)
        gateways.clear()
        # Of the process that has just ended; the next session starts its own.
        SparkContext._gateway = None  # noqa: SLF001
        SparkContext._jvm = None  # noqa: SLF001
        SparkContext._active_spark_context = None  # noqa: SLF001
        shutil.rmtree(folder, ignore_errors=True)

    _started(start, stop, master, limit_s, log)
    return Spark(found[0], master, stop)


@contextmanager
def _environment_of_java(temporary: Path) -> Iterator[None]:
    """What a Java process that is started here is given, for pyspark hands on all of our environment: none of our secrets, and a folder for
    its temporary files (what it sorts and caches, libraries that it unpacks), so that it leaves nothing elsewhere, should it be killed.
    `spark.local.dir`, or an option of the user's, goes before."""
    temporary.mkdir()
    given = own_secrets.without(os.environ)
    given[_SUBMIT_OPTIONS] = f'"-Djava.io.tmpdir={temporary}" {given.get(_SUBMIT_OPTIONS, "")}'.strip()
    ours = dict(os.environ)
    try:
        _put(given)
        yield
    finally:
        _put(ours)


def _put(environ: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)


def _started(start: Callable[[], None], stop: Callable[[], None], master: str, limit_s: float, log: Path | None) -> None:
    try:
        _within(limit_s, start)
    except TimeoutError:
        stop()
        raise InfrastructureError(
            f"Spark at {master}: no first answer within {limit_s:.0f} s; are its workers free, and do they reach this machine?"
        ) from None
    except Exception as error:  # noqa: BLE001 -- whatever Java says; told in one line
        reason = _one_line(error)
        if log is not None and log.is_file() and ("GATEWAY_EXITED" in reason or "null SparkContext" in reason):
            reason = _last_error(log) or reason
        stop()
        raise InfrastructureError(f"Spark at {master} did not start: {reason}") from None


def _within(limit_s: float, action: Callable[[], _T]) -> _T:
    """Its result, or TimeoutError. The thread is left to itself: it ends with the process that it waits for."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def act() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001 -- raised below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=act, daemon=True, name="spark")
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise TimeoutError
    if errors:
        raise errors[0]
    return results[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its standard input is its lifeline: Spark's Java process ends when it closes."""
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    ends: tuple[Callable[[], None], ...] = (lambda: None, process.terminate, process.kill)
    for end in ends:
        end()
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME", "")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    advice = f"engine: spark needs Java {_JAVA} or newer (actions/setup-java, or a package like openjdk-{_JAVA}-jre-headless)"
    if java is None or not Path(java).is_file():
        raise InputError(f"{advice}; found none {f'in JAVA_HOME={home}' if home else 'on PATH'}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{advice}; {java} does not run: {_one_line(error)}") from None
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < _JAVA:
        raise InputError(f"{advice}; {java} is {version[1] if version else 'no Java'}")


def _reach(host: str | None, port: int, shown: str) -> None:
    """A plain connection first: Spark itself tries an address that nobody answers for a minute, and tells it in a page of Java."""
    if not host:
        raise InputError(f"Spark's address '{shown}' names no host")
    try:
        socket.create_connection((host, port), timeout=_CONNECT_LIMIT_S).close()
    except OSError as error:
        raise InfrastructureError(f"Spark at {shown} cannot be reached: {error.strerror or _one_line(error)}") from None


def _told(error: Exception, about: str, master: str) -> MlgateError:
    """What Spark raised as one line of ours."""
    text = str(error)
    if "S3AFileSystem not found" in text or "No FileSystem for scheme" in text:
        return InputError(
            f"{about}: this Spark cannot read such an address: its classpath lacks the connector (for s3://, in spark-defaults.conf: "
            f"spark.jars.packages org.apache.hadoop:hadoop-aws:{_HADOOP})"
        )
    unreadable = re.search(
        r"(MALFORMED_RECORD_IN_PARSING|FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|PATH_NOT_FOUND|UNABLE_TO_INFER_SCHEMA|PARQUET_TYPE|"
        r"PARQUET_COLUMN_DATA_TYPE_MISMATCH|COLUMN_ALREADY_EXISTS|CANNOT_MERGE|is not a Parquet file|Malformed records)",
        text,
    )
    if unreadable:
        return InputError(f"{about}: cannot be read by Spark: {_one_line(error)}")
    return InfrastructureError(f"{about}: Spark at {master} failed: {_one_line(error)}")


def _last_error(log: Path) -> str | None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if re.search(r"\bERROR\b|Exception|^Error", line) and not line.lstrip().startswith("at ")]
    return _one_line(said[-1]) if said else None


def _one_line(error: object) -> str:
    """The first line of a Java exception; what follows is its stack."""
    text = str(error).split("\n\tat ")[0].split("JVM stacktrace")[0]
    return " ".join(text.split())[:300] or type(error).__name__
