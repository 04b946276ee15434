"""The command line: one command a stage. Parses, calls, prints, sets the exit code; no logic lives here."""

from __future__ import annotations

import argparse
import atexit
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate import standard_streams
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from mlgate.evidence import Evidence
    from mlgate.workspace import Workspace

# Spelled out again: `evidence.STAGES` would bring pydantic, whose import takes longer than all of `--help`.
STAGE_HELP = {
    "check": "run your own tests",
    "pull-data": "pull the data with DVC and verify every file",
    "validate-data": "check the data: contracts, screens, drift",
    "train": "train the model",
    "evaluate": "compute metrics from predictions on the holdout",
    "gate": "compare with the baseline and decide",
    "report": "write and publish the report",
}
MARKS = {"passed": "✓", "failed": "✗", "skipped": "–", "error": "✗"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit code: 0 passed, 1 the check said no, 2 wrong input, 3 infrastructure failed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a mark that an encoding lacks must not end in a traceback
    options = _parser().parse_args(arguments)
    try:
        if any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")):
            from mlgate import certificates

            certificates.share(os.environ)
        return int(options.call(options))
    except MlgateError as error:
        _print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt as interruption:
        name = str(interruption) or "SIGINT"
        _print_error(f"interrupted by {name}; nothing is left half-written, run it again")
        return 128 + (signal.Signals[name] if name in signal.Signals.__members__ else signal.SIGINT)


_Commands = Any
"""What `add_subparsers` returns; argparse names its type privately."""


def _parser() -> argparse.ArgumentParser:
    import mlgate

    parser = argparse.ArgumentParser(
        prog="mlgate", description="CI/CD for machine-learning models. Each stage writes evidence; the gate decides on it."
    )
    parser.add_argument("--version", action="version", version=f"mlgate {mlgate.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = _common()
    _add_stages(commands, common)
    _add_adoption(commands, common)
    _add_planning(commands, common)
    _add_jobs(commands, common)
    _add_several_models(commands, common)
    _add_conversation(commands, common)
    _add_machines(commands)
    schema = commands.add_parser("schema", help="print the JSON Schema of mlgate.yaml or of a stage's evidence")
    schema.add_argument("of", choices=["config", *STAGE_HELP])
    schema.set_defaults(call=_schema)
    return parser


def _common() -> argparse.ArgumentParser:
    """Options of every command that reads a configuration."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        default=os.environ.get("MLGATE_CONFIG") or "mlgate.yaml",
        help="configuration, relative to the working directory [mlgate.yaml]",
    )
    common.add_argument(
        "-C",
        "--working-directory",
        type=Path,
        default=Path(os.environ.get("MLGATE_WORKING_DIRECTORY") or "."),
        help="folder of the model in the repository [.]",
    )
    return common


def _add_stages(commands: _Commands, common: argparse.ArgumentParser) -> None:
    """All stages in order, and each for itself."""
    run = commands.add_parser("run", parents=[common], help="all stages in order, or the given ones, in one process")
    run.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        help="only these, on what earlier ones left: a process for all is faster than one each",
    )
    run.set_defaults(call=_run_stages)
    for stage, description in STAGE_HELP.items():
        command = commands.add_parser(stage, parents=[common], help=description, description=description.capitalize() + ".")
        command.set_defaults(call=_run_stage, stage=stage)


def _add_adoption(commands: _Commands, common: argparse.ArgumentParser) -> None:
    """To begin with, and to find out what is missing."""
    init = commands.add_parser("init", parents=[common], help="propose mlgate.yaml, a contract and a workflow")
    init.add_argument("--force", action="store_true", help="replace files that exist")
    init.set_defaults(call=_init)
    contract = commands.add_parser("contract", help="write a first contract from data: mlgate contract infer data/train.csv")
    of_contract = contract.add_subparsers(required=True, metavar="COMMAND")
    infer = of_contract.add_parser("infer", parents=[common], help="propose rules that a table keeps, for you to edit")
    infer.add_argument("data", help="CSV, Parquet, JSON lines or Arrow, relative to the working directory")
    infer.add_argument("--output", metavar="FILE.yaml", help="write a pandera schema there [print the short form for mlgate.yaml]")
    infer.add_argument("--force", action="store_true", help="replace the file of --output where it exists")
    infer.set_defaults(call=_infer_contract)
    doctor = commands.add_parser("doctor", parents=[common], help="look at everything a run will need, and say what to do about each")
    doctor.add_argument("--json", action="store_true", help="print what was found for a program")
    doctor.set_defaults(call=_doctor)


def _add_planning(commands: _Commands, common: argparse.ArgumentParser) -> None:
    plan = commands.add_parser(
        "plan", parents=[common], help="what each rule can see on this holdout, how many examples it needs, and whom it fails by chance"
    )
    plan.add_argument("--power", default="", help="how often a model exactly as good is to pass [0.8]")
    plan.add_argument("--examples", default="", help="plan for a holdout of so many examples [the one at hand]")
    plan.add_argument(
        "--disagreement", default="", help="share of the examples that one of two models alone gets right [as the models at hand have it]"
    )
    plan.add_argument("--margin", default="", help="try this margin on the main metric instead of the rules of mlgate.yaml")
    plan.add_argument("--json", action="store_true", help="print the plan for a program")
    plan.set_defaults(call=_plan)


def _add_jobs(commands: _Commands, common: argparse.ArgumentParser) -> None:
    """What a job of a workflow does before its stages."""
    setup = commands.add_parser("setup", parents=[common], help="check the configuration and forget earlier runs")
    setup.set_defaults(call=_setup)
    dispatch = commands.add_parser("dispatch", parents=[common], help="check what a dispatched run asks for, and say what it would do")
    dispatch.add_argument(
        "--pull-request", default=os.environ.get("MLGATE_PULL_REQUEST") or "", help="number of the pull request that is checked out"
    )
    dispatch.add_argument(
        "--data-revision", default=os.environ.get("MLGATE_DATA_REV") or "", help="where data is taken from: a branch, tag or commit"
    )
    dispatch.add_argument("--params", default=os.environ.get("MLGATE_PARAMS") or "", help="parameter overrides, one key=value a line")
    dispatch.set_defaults(call=_dispatch)


def _add_several_models(commands: _Commands, common: argparse.ArgumentParser) -> None:
    """For a repository of several models."""
    changed = commands.add_parser("changed", parents=[common], help="which models of the repository a commit can have changed, and why")
    changed.add_argument("--json", action="store_true", help="print the matrix for a workflow")
    changed.set_defaults(call=_changed)
    aggregate = commands.add_parser("aggregate", parents=[common], help="one answer for all models of the repository")
    aggregate.set_defaults(call=_aggregate)


def _add_conversation(commands: _Commands, common: argparse.ArgumentParser) -> None:
    """What is said on pull requests, and to them."""
    triggering = commands.add_parser(
        "triggering-run", parents=[common], help="in a workflow_run: the pull request of the run before, and its evidence as data"
    )
    triggering.add_argument(
        "task",
        nargs="?",
        choices=["announce", "take", "close", "announce-models", "models"],
        default=os.environ.get("MLGATE_TASK") or "take",
        help="those with models: for all of the repository together [take]",
    )
    triggering.set_defaults(call=_triggering_run)
    comment = commands.add_parser("comment", parents=[common], help="post a Markdown file of your own, or edit what was posted before")
    comment.add_argument("file", nargs="?", default=os.environ.get("MLGATE_FILE"), help="the Markdown file; - for standard input")
    comment.add_argument(
        "--marker", default=os.environ.get("MLGATE_MARKER") or "report", help="name, where a pull request has several [report]"
    )
    comment.add_argument(
        "--pull-request",
        default=os.environ.get("MLGATE_PULL_REQUEST") or "",
        help="its number [that of the event, or the open one of this commit, else the commit itself]",
    )
    comment.add_argument(
        "--pictures",
        choices=["branch", "link"],
        default=os.environ.get("MLGATE_PICTURES") or "",
        help="show local pictures from the branch mlgate-assets, or leave them out with a link [report.plots of mlgate.yaml, else link]",
    )
    comment.set_defaults(call=_comment)
    slash = commands.add_parser("slash-command", parents=[common], help="answer a command in a comment on a pull request: /mlgate override")
    slash.add_argument(
        "--workflow",
        default=os.environ.get("MLGATE_WORKFLOW") or "mlgate.yml",
        help="file name of the workflow that judges, asked for where it posts no report [mlgate.yml]",
    )
    slash.set_defaults(call=_slash_command)


def _add_machines(commands: _Commands) -> None:
    """What is done about the machines that runs need."""
    gpu = commands.add_parser("gpu", help="this machine's GPUs: what is wrong with them, who has them, how many jobs wait")
    gpu.add_argument("--json", action="store_true", help="print what was found for a program")
    gpu.set_defaults(call=_gpu)
    requeue = commands.add_parser("requeue", help="run again what lost its runner: for a scheduled workflow")
    requeue.add_argument(
        "--since", default=os.environ.get("MLGATE_SINCE") or "6h", help="how long ago a run may have ended: 90m, 6h, 2d [6h]"
    )
    requeue.add_argument(
        "--max-attempts", default=os.environ.get("MLGATE_MAX_ATTEMPTS") or "3", help="attempts of a run in all, the first included [3]"
    )
    requeue.add_argument(
        "--max-a-day", default=os.environ.get("MLGATE_MAX_A_DAY") or "20", help="runs that are started again within a day in all [20]"
    )
    requeue.add_argument(
        "--workflow",
        action="append",
        metavar="FILE",
        default=[],
        help="name of a workflow's file, of which every job counts; may be given more than once [those that use mlgate]",
    )
    requeue.add_argument("--dry-run", action="store_true", help="say what would run again")
    requeue.set_defaults(call=_requeue)


def _open(options: argparse.Namespace) -> Workspace:
    from mlgate.workspace import Workspace

    return Workspace.open(options.working_directory, options.config, os.environ)


def _run_stage(options: argparse.Namespace) -> int:
    from mlgate import stages

    workspace = _open(options)
    _collect_artifacts(workspace)
    evidence = stages.run(options.stage, workspace)
    _show(evidence, workspace)
    _set_stage_outputs(evidence, workspace)
    return evidence.exit_code


def _run_stages(options: argparse.Namespace) -> int:
    from mlgate.errors import InputError
    from mlgate.mistakes import did_you_mean
    from mlgate.stages import pipeline
    from mlgate.stages.training import one_at_a_time

    chosen = options.stages or os.environ.get("MLGATE_STAGES", "").split()
    for name in chosen:
        if name not in STAGE_HELP:
            raise InputError(f"'{name}' is no stage{did_you_mean(name, STAGE_HELP)}")
    workspace = _open(options)
    if chosen:
        _collect_artifacts(workspace)
    else:
        with one_at_a_time.in_working_directory(workspace):
            workspace.empty_state()
    finished = pipeline.run(workspace, chosen or list(STAGE_HELP), shown=lambda evidence: _show(evidence, workspace))
    _set_stage_outputs(finished.decisive, workspace)
    return finished.exit_code


def _collect_artifacts(workspace: Workspace) -> None:
    """What earlier jobs of this run left."""
    if downloaded := os.environ.get("MLGATE_ARTIFACTS"):
        from mlgate import artifacts

        artifacts.collect(Path(downloaded), workspace.state, workspace.config.model, workspace.context.attempt)


def _init(options: argparse.Namespace) -> int:
    from mlgate.console import plain
    from mlgate.stages.adoption import init

    for line in init.run(options.working_directory.resolve(), options.config, is_forced=options.force):
        print(line[: len(line) - len(line.lstrip())] + plain(line))
    return 0


def _infer_contract(options: argparse.Namespace) -> int:
    from mlgate.stages.adoption import first_contract

    print(first_contract.run(options.working_directory.resolve(), options.data, options.output, is_forced=options.force), end="")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from mlgate.stages import doctor
    from mlgate.stages.job import secret_env

    masks = secret_env.take(os.environ)
    if masks and os.environ.get("GITHUB_ACTIONS") == "true":
        print("\n".join(masks))
    diagnosis = doctor.run(options.working_directory, options.config, os.environ)
    print(secret_env.hidden(diagnosis.as_json() if options.json else "\n".join(diagnosis.lines()), os.environ))
    return diagnosis.exit_code


def _plan(options: argparse.Namespace) -> int:
    from mlgate.stages import planning

    question = planning.asked(power=options.power, examples=options.examples, disagreement=options.disagreement, margin=options.margin)
    found = planning.run(options.working_directory, options.config, os.environ, question)
    print(found.as_json() if options.json else "\n".join(found.lines()))
    return 0


def _setup(options: argparse.Namespace) -> int:
    from mlgate.stages import setup
    from mlgate.stages.adoption import action_inputs
    from mlgate.workspace import root_of

    options.config = action_inputs.configure(root_of(options.working_directory, os.environ), options.config, os.environ)
    workspace = _open(options)
    for line in setup.run(workspace, os.environ):
        print(line, flush=True)
    _set_outputs(model=workspace.config.model, config=options.config)
    return 0


def _dispatch(options: argparse.Namespace) -> int:
    from mlgate.console import plain, workflow_command
    from mlgate.stages.job import dispatch

    plan = dispatch.plan(_open(options), pull_request=options.pull_request, data_revision=options.data_revision, params=options.params)
    for line in plan.lines:
        print(f"✓ {plain(line)}")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            print(workflow_command("notice", plain(line), title="mlgate"))
    _set_outputs(**{"head-sha": plan.head_sha})
    return 0


def _changed(options: argparse.Namespace) -> int:
    from mlgate import context
    from mlgate.stages.monorepo import changed

    found = changed.run(options.working_directory, options.config, context.from_environment(os.environ))
    print("\n".join(changed.lines(found)), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(found.matrix)
    _set_outputs(
        matrix=found.matrix,
        models=found.all,
        changed=" ".join(model.name for model in found.changed),
        any="true" if found.changed else "false",
    )
    return 0


def _aggregate(_options: argparse.Namespace) -> int:
    from mlgate.stages.monorepo import aggregate

    answer = aggregate.run(os.environ)
    print("\n".join(answer.lines))
    _set_outputs(status=answer.status)
    return answer.exit_code


def _triggering_run(options: argparse.Namespace) -> int:
    from mlgate.console import plain
    from mlgate.stages.forks import triggering_run
    from mlgate.stages.job import step_files

    if options.task in ("announce-models", "models"):
        return _triggering_run_of_models(options)
    workspace = _open(options)
    if options.task != "take":
        act = triggering_run.announce if options.task == "announce" else triggering_run.close
        lines = act(workspace)
    else:
        taken = triggering_run.take(workspace)
        lines = taken.lines
        if path := os.environ.get("GITHUB_ENV"):
            step_files.export(taken.variables, Path(path))
        _set_outputs(**{"pull-request": str(taken.pull_request or "")})
    print("\n".join(f"✓ {plain(line)}" for line in lines))
    return 0


def _triggering_run_of_models(options: argparse.Namespace) -> int:
    from mlgate import context
    from mlgate.console import plain
    from mlgate.stages.forks import several_models

    run = context.from_environment(os.environ)
    if options.task == "announce-models":
        lines = several_models.announce(run)
    else:
        found = several_models.find(options.working_directory, options.config, run)
        lines = found.lines
        _set_outputs(**found.outputs)
    print("\n".join(f"✓ {plain(line)}" for line in lines))
    return 0


def _comment(options: argparse.Namespace) -> int:
    from mlgate.console import plain
    from mlgate.errors import InputError
    from mlgate.stages.reporting import own_comment

    if not options.file:
        raise InputError("mlgate comment: no file named; expected 'mlgate comment report.md'")
    done = own_comment.run(
        options.working_directory,
        options.file,
        marker=options.marker,
        pull_request=options.pull_request,
        pictures=options.pictures,
        config_path=options.config,
    )
    print("\n".join(f"✓ {plain(line)}" for line in done.lines))
    _set_outputs(url=done.url, action=done.action)
    return 0


def _slash_command(options: argparse.Namespace) -> int:
    from mlgate import context
    from mlgate.console import plain
    from mlgate.stages.decision import slash_command

    found = slash_command.run(
        options.working_directory, options.config, context.from_environment(os.environ), os.environ, workflow=options.workflow
    )
    print(f"{'–' if found.outcome == 'ignored' else '✓'} {plain(found.line)}{f' ({found.reply_url})' if found.reply_url else ''}")
    _set_outputs(outcome=found.outcome)
    return 0


def _gpu(options: argparse.Namespace) -> int:
    from mlgate.stages.training import gpus

    found = gpus.run(os.environ)
    print(found.as_json() if options.json else "\n".join(found.lines()))
    return 0


def _requeue(options: argparse.Namespace) -> int:
    from mlgate import context
    from mlgate.stages.job import requeue

    done = requeue.run(
        Path(),
        context.from_environment(os.environ),
        os.environ,
        requeue.limits(
            since=options.since,
            max_attempts=options.max_attempts,
            max_a_day=options.max_a_day,
            dry_run="true" if options.dry_run else os.environ.get("MLGATE_DRY_RUN") or "",
        ),
        workflows=list(requeue.chosen_workflows(options.workflow or [os.environ.get("MLGATE_WORKFLOW") or ""])),
        say=lambda line: print(line, flush=True),
    )
    _set_outputs(runs=" ".join(str(one.run.id) for one in done.started))
    return 0


def _schema(options: argparse.Namespace) -> int:
    from mlgate import config, evidence

    print(evidence.dump_schema(config.json_schema() if options.of == "config" else evidence.json_schema(options.of)), end="")
    return 0


def _show(evidence: Evidence[Any], workspace: Workspace) -> None:
    """The line a user reads, and the annotations GitHub shows."""
    from mlgate.console import plain, workflow_command

    first, *more = evidence.summary.splitlines() or [""]
    print("\n".join([f"{MARKS[evidence.status]} {plain(first)}", *(f"  {plain(line)}" for line in more)]), flush=True)
    if workspace.context.is_github:
        for annotation in evidence.annotations[:10]:  # GitHub keeps ten of each type a step
            print(
                workflow_command(
                    annotation.level, annotation.message, file=annotation.path, line=annotation.line, title=f"mlgate {evidence.stage}"
                )
            )
        if evidence.status == "error":
            print(workflow_command("error", plain(evidence.summary), title=f"mlgate {evidence.stage}"))


def _set_stage_outputs(evidence: Evidence[Any], workspace: Workspace) -> None:
    _set_outputs(
        status=evidence.status,
        verdict=getattr(evidence.findings, "verdict", None) or "",
        evidence=str(workspace.evidence_path(evidence.stage).relative_to(workspace.root)),
    )


def _set_outputs(**outputs: str) -> None:
    if path := os.environ.get("GITHUB_OUTPUT"):
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(f"{name}={' '.join(value.split())}\n" for name, value in outputs.items())


def _print_error(message: str) -> None:
    from mlgate.console import plain, workflow_command
    from mlgate.stages.job import secret_env

    for line in secret_env.hidden(message, os.environ).splitlines():
        print(f"✗ {plain(line)}", file=sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            print(workflow_command("error", plain(line), title="mlgate"))


def _interrupt(number: int, _frame: object) -> None:
    """Ends us as Ctrl-C does, taking back on the way what was begun."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def entry_point() -> None:
    """`main` as a process. Ends it at once when all is said: taking apart what DVC and scikit-learn built takes a quarter of a second."""
    if os.environ.get("RUNNER_TEMP"):
        from mlgate import temporary_files

        temporary_files.keep_in_job(os.environ)
    gc.set_threshold(100_000, 50, 50)  # looking for cycles in what imports build takes an eighth of a stage's processor time
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    standard_streams.outlast_readers()  # `mlgate run | head`
    code = main()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001 -- os._exit runs none
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    entry_point()
