"""train: the user's command on validated data, on GPUs that it has for itself, gone on with where it was ended before, recorded in MLflow,
and nothing trained twice. After validate-data, before evaluate."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from mlgate import process
from mlgate.config import TrainConfig
from mlgate.evidence import DataRef
from mlgate.process import Interruption
from mlgate.registry import tracking
from mlgate.stages.job import dispatch, form_parameters, training_data
from mlgate.stages.job.commands import CommandInterruptedError
from mlgate.stages.training import account, dvc_runs, machine, one_at_a_time, resume, reuse, running, trained
from mlgate.stages.training.haste import Haste
from mlgate.stages.training.machine import Machine
from mlgate.stages.training.mlflow_run import Record
from mlgate.stages.training.reuse import Sought
from mlgate.stages.training.trained import Inputs, Training
from mlgate.training import params, pipeline
from mlgate.training.launcher import Launch
from mlgate.training.progress import Progress
from mlgate.workspace import StageResult, Workspace

_LOG = "train/train.log"


@dataclass(frozen=True)
class _Job:
    """One training, and all that is known before it."""

    workspace: Workspace
    settings: TrainConfig
    machine: Machine
    launch: Launch
    inputs: Inputs
    sought: Sought
    record: Record
    interruption: Interruption
    haste: Haste


def run(workspace: Workspace) -> StageResult:
    """Train on the data that was validated, and on no other.

    Raises:
        InputError: nothing was validated, the data is not what was, a parameter or MLflow's place is wrong, or the launcher is absent
            (exit 2).
        InfrastructureError: data or MLflow cannot be reached, no GPU came free, another training runs in this folder, or we were told to
            end while nothing was trained (exit 3).
    """
    settings = workspace.config.train
    if settings is None:
        summary = f"nothing to train: {workspace.config_path} has no `train`, predictions are taken as they are"
        return StageResult(status="skipped", summary=summary)
    validated = training_data.validated(workspace)
    try:
        found = machine.look(workspace)
    except machine.UnfitMachineError as refused:
        return trained.refused(refused)
    launch = running.planned(workspace, settings, devices=found.count)
    place = tracking.resolve(workspace.config.mlflow.tracking_uri, os.environ, workspace.root)
    tracking.check(place, os.environ)
    with one_at_a_time.in_working_directory(workspace, launch.node_rank):
        return _run(workspace, settings, found, launch, validated, place)


def _run(
    workspace: Workspace, settings: TrainConfig, found: Machine, launch: Launch, validated: list[DataRef], place: tracking.Tracking
) -> StageResult:
    asked = form_parameters.apply(workspace)
    inputs = Inputs(validated, params.read(workspace.root, workspace.config.params), asked, dispatch.noted_data_revision(workspace))
    sought = reuse.look(workspace, inputs.data, inputs.params, processes=launch.processes)
    record = Record(workspace, place, inputs, is_kept=launch.is_leader)
    try:
        with process.signals_noted(is_awaited=False, is_final=True) as interruption:
            haste = Haste(interruption, is_github=workspace.context.is_github)
            job = _Job(workspace, settings, found, launch, inputs, sought, record, interruption, haste)
            training = _earlier(job) or _train(job)
            recorded, problem = record.finish(training, _LOG, job.haste.left_s())
    except KeyboardInterrupt as error:
        record.leave()
        raise CommandInterruptedError(f"interrupted by {error}, and no result of a training is kept; run the job again") from None
    except BaseException:
        record.abandon()
        raise
    found_all = trained.result(workspace, inputs, training, recorded)
    return trained.with_mlflow_problem(found_all, problem, is_required=place.is_required)


def _earlier(job: _Job) -> Training | None:
    """The result of an earlier run of the same, its files brought here; None where it has to be trained."""
    reused = job.sought.earlier()
    if reused is None:
        return None
    job.record.start(job.settings.command)
    return Training(run=reused.command, reused=reused, preflight=job.machine.findings)


def _train(job: _Job) -> Training:
    """Run the command: with GPUs of its own, from its newest checkpoint, and with its bill; then see what came of it."""
    workspace, settings, launch, progress = job.workspace, job.settings, job.launch, Progress()
    resume.ensure_store(workspace, rank=launch.node_rank)
    training_data.fetch(workspace, job.inputs.data)
    recalled, remark = dvc_runs.recall(workspace)
    training_data.ensure(workspace, job.inputs.data)
    mark = process.new_mark()
    is_trained = not reuse.needs_no_gpu(workspace, recalled)
    needed = job.machine if is_trained else job.machine.without_gpu()
    if is_trained:
        machine.tell(workspace, job.machine)
    with (
        needed.leased(mark, workspace) as lease,
        account.sampled(settings, lease.devices) as bill,
        resume.checkpoints(
            workspace,
            job.inputs.data,
            job.inputs.params,
            processes=launch.processes,
            rank=launch.node_rank,
            position=progress.position,
            spent=bill.spent,
            left_s=job.haste.left_s,
        ) as saver,
    ):
        resumed_from = saver.findings.resumed_from if saver.findings else None
        bill.went_on_from(resumed_from)
        job.record.start(launch.shown)
        with running.told(workspace, needed, lease, launch, resumed_from) as told:
            job.interruption.is_awaited = True  # from here on a signal ends the training, and what is known of it is written
            ran = running.run(
                workspace,
                settings,
                launch,
                _LOG,
                mark=mark,
                lease=lease,
                environ=saver.environ,
                interruption=job.interruption,
                haste=job.haste,
                progress=progress,
                told=told,
            )
            bill.close()
            saver.ended(ran.run.exit_code, ran.ended_by, job.interruption.since)
    job.interruption.is_awaited = ran.is_preempted
    training = Training(
        run=ran.run,
        pipeline=pipeline.stages_in(workspace.files / _LOG),
        lock_sha256=_lock_sha256(workspace),
        problem=ran.problem,
        remarks=[*filter(None, [remark]), *saver.remarks],
        ended_by=ran.ended_by,
        is_preempted=ran.is_preempted,
        node_rank=launch.node_rank if launch.nodes > 1 else None,
        preflight=job.machine.findings,
        lease=lease.findings,
        account=bill.findings(),
        progress=ran.progress,
        checkpoints=saver.findings,
    )
    if training.problem is None:
        _keep(job, training)
    return training


def _keep(job: _Job, training: Training) -> None:
    """Of a training that ended well: whether it kept to the validated data, and what later runs need of it."""
    workspace = job.workspace
    if changed := training_data.changed(workspace, job.inputs.data):
        training.problem = f"the training command changed validated data: {changed}; what it trained on is not what the contracts saw"
        return
    earlier = training.checkpoints.resumed_from if training.checkpoints else None
    duration_s = training.run.duration_s + (earlier.trained_s if earlier else 0)
    said = [
        dvc_runs.keep(workspace),
        job.sought.keep(training.run, duration_s, account.cost_of(training.account) if training.account else None),
        reuse.pipeline_remark(workspace, training.lock_sha256, is_reused=training.is_reused, duration_s=duration_s),
    ]
    training.remarks += filter(None, said)


def _lock_sha256(workspace: Workspace) -> str | None:
    lock = workspace.root / "dvc.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
