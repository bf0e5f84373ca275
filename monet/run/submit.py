"""The whole way: train, paint every photo, validate and score the archive, show what came out."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monet import archive
from monet.clock import format_duration
from monet.context import Context
from monet.data.layout import identity_of
from monet.data.store import BadImage
from monet.errors import InputError, Interrupted, MonetError
from monet.files import require_output, require_writable
from monet.reporting.grids import save_image
from monet.reporting.report import Row
from monet.run.after_training import AfterTraining
from monet.run.paint_job import PaintJob, job_of_checkpoint
from monet.run.run import Run
from monet.run.submission_scoring import SubmissionScoring
from monet.run.summary import generated_grid, result_lines, score_line
from monet.run.train import train_run
from monet.run_folder.checkpoints import Candidate, read_candidate
from monet.run_folder.folder import RunFolder
from monet.run_folder.report import draw_curves, training_steps, write_submission
from monet.run_folder.scores import keep_score
from monet.scoring.evaluation import Evaluation
from monet.side_products import side_product
from monet.training.trainer import Outcome

logger = logging.getLogger(__name__)

GENERATED = "generated.png"
"""The grid of generated images, among the samples."""

_COMPLETE = "stopped after the painting; {} is complete"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A finished submission."""

    folder: RunFolder
    """The run's folder."""
    path: Path
    """The archive."""
    num_images: int
    """Images in it."""
    validation: archive.Validation | None
    """Result of the validation; None where it could not be done."""
    skipped: tuple[BadImage, ...]
    """Photos that could not be read and were left out on request."""
    painted_with: Candidate | None
    """The checkpoint that painted, where one was named in place of more training."""
    outcome: Outcome
    """How its training ended."""
    evaluation: Evaluation | None
    """The score."""
    summary: tuple[str, ...]
    """The result, a sentence a line."""
    late: float
    """Seconds past the deadline; 0 when in time."""


def submit_run(
    run: Run,
    context: Context,
    path: Path,
    *,
    scoring: SubmissionScoring | None = None,
    paint_with: Candidate | None = None,
    skip_bad: bool = False,
    inputs: Sequence[Path] = (),
) -> Submission | None:
    """Trains a run, paints every photo into an archive, checks and scores it, and writes the report.

    Args:
        run: the run.
        context: its surroundings.
        path: the archive; it takes this name only when it is complete.
        scoring: how the archive is scored; not at all by default.
        paint_with: a checkpoint of the run that paints instead of any further training.
        skip_bad: leave photos out of the archive that cannot be read; otherwise they end the run before training.
        inputs: further files and folders that are read, and that the archive must not replace.

    Returns:
        The result; None on all but the first of several processes, which only train and paint.

    Raises:
        InputError: the archive would take the place of something else.
        MonetError: what `train` raises, or the archive cannot be written.
        Interrupted: the process was asked to stop; the training is saved.
    """
    first, clock, count = context.group.rank == 0, context.clock, len(run.layout.to_paint)
    context.group.on_rank_zero(lambda: _require_place(run, path, inputs))
    scoring = scoring or SubmissionScoring(None, "not asked for")
    if first:
        _warn_of_count(run.layout.rules, count)
        scoring.prepare(count, run.deadline, clock)
    if paint_with:
        job = job_of_checkpoint(run, context, paint_with, skip_bad=skip_bad)
        scoring.measure(count, clock)
    else:
        measure = (lambda: scoring.measure(count, clock)) if scoring.scorer else None
        job = train_run(run, context, AfterTraining(paint=True, skip_bad=skip_bad, scoring_seconds=measure))
    begun = clock()
    _paint(run, context, job, path)
    painting_seconds = clock() - begun
    if not first:
        return None
    try:
        return _finish(run, context, job, path, scoring, painting_seconds)
    except Interrupted as stop:
        raise Interrupted(stop.signal_number, _COMPLETE.format(path)) from None


def _finish(
    run: Run, context: Context, job: PaintJob, path: Path, scoring: SubmissionScoring, painting_seconds: float
) -> Submission:
    """Does all that follows the archive. It is what counts: no error here ends the command."""
    validation: archive.Validation | None = None
    with side_product("a check of the archive"):
        validation = _checked(path, run.layout.rules)
    with side_product(GENERATED):
        grid = generated_grid(job.photos, path, run.config.training.seed)
        save_image(grid, run.folder.samples / GENERATED)
    row = None
    with side_product("a score"):
        row = _score(run, context, job, path, scoring, painting_seconds)
    evaluation = row.evaluation if row else None
    scored = score_line(evaluation) if evaluation else f"not scored: {scoring.why_not or 'see above'}"
    summary = result_lines(job, path, validation, run.layout.rules, scored)
    steps = training_steps(run.folder)
    if job.painted_with is None:
        draw_curves(run.folder, steps)
    if job.painted_with is None or not run.folder.report.exists():  # a comparison's report stays true
        with side_product(str(run.folder.report)):
            scorer = scoring.scorer if row else None
            write_submission(run.folder, run.config, path, job.photos, summary, row, scorer, steps)
    with side_product("what the trackers are told"):
        _track(run, job, validation, evaluation)
    return Submission(
        folder=run.folder,
        path=path,
        num_images=len(job.photos),
        validation=validation,
        skipped=job.skipped,
        painted_with=job.painted_with,
        outcome=job.outcome,
        evaluation=evaluation,
        summary=tuple(summary),
        late=_lateness(run, job),
    )


def _lateness(run: Run, job: PaintJob) -> float:
    """Returns the seconds past the deadline, and logs them."""
    late = max(0.0, -run.remaining())
    if late:
        slowed = "painting took longer than was measured"
        reason = "the budget is too short" if job.painted_with else slowed
        logger.warning("late by %s: %s", format_duration(late), reason)
    return late


def _warn_of_count(rules: archive.Rules, count: int) -> None:
    """Warns where the competition would not take an archive of so many images."""
    if rules == "kaggle" and count not in archive.KAGGLE_COUNT:
        least, most = archive.KAGGLE_COUNT[0], archive.KAGGLE_COUNT[-1]
        logger.warning("the competition takes %d to %d images: an archive of %d will not be valid", least, most, count)


def _checked(path: Path, rules: archive.Rules) -> archive.Validation:
    """Validates an archive, also one that cannot even be opened."""
    try:
        return archive.validate(path, rules)
    except InputError as error:
        return archive.Validation(problems=[archive.Problem("archive", "", str(error))])


def _last(run: Run, job: PaintJob) -> Candidate:
    """Returns the checkpoint in the run's folder that was trained and has painted.

    Raises:
        MonetError: it cannot be read, or is older, because there was no room for the last one.
    """
    last = read_candidate(run.folder, run.folder.last)
    if last.pairs != job.outcome.pairs:
        raise MonetError(f"{run.folder.last} is of pair {last.pairs:,} and did not paint")
    return last


def _require_place(run: Run, path: Path, inputs: Sequence[Path]) -> None:
    """Checks that archive and report replace nothing else.

    Raises:
        InputError: they do.
    """
    require_writable(run.folder.report)
    if Path(os.path.realpath(path)) == Path(os.path.realpath(run.folder.archive)):
        require_writable(path)  # the run's own, even if it is torn
        return
    folders = {
        image.parent for images in (run.layout.photos, run.layout.paintings, run.layout.to_paint) for image in images
    }
    require_output(path, "an archive of images", archive.is_archive, [*folders, *inputs])
    run.folder.require_apart(path)


def _track(run: Run, job: PaintJob, validation: archive.Validation | None, evaluation: Evaluation | None) -> None:
    """Tells the trackers the result."""
    run.tracking.picture(job.outcome.pairs, "generated", run.folder.samples / GENERATED)
    if evaluation:
        score = evaluation.score
        named = {"FID": score.fid, "MiFID": score.mifid, "memorization distance": score.memorization_distance}
        run.tracking.summary({f"{name}, layer {evaluation.feature_layer}": value for name, value in named.items()})
    valid = {"valid": float(validation.valid)} if validation else {}
    run.tracking.summary({"images": len(job.photos), **valid})
    run.tracking.artifacts(run.folder.report, run.folder.scores, run.folder.curves)


def _paint(run: Run, context: Context, job: PaintJob, path: Path) -> None:
    """Paints every photo into the archive."""
    run.folder.keep_held()
    logger.info("painting %d photos", len(job.photos))
    context.display.begin("painting", len(job.photos), "photos")
    earlier = _file_id(path)
    try:
        job.painter.paint_archive(job.photos, path, context.display.advance, context.group)
    except Interrupted as stop:
        if _file_id(path) != earlier:
            raise Interrupted(stop.signal_number, _COMPLETE.format(path)) from None
        saved = f"the training is saved in {run.folder.last}: add --resume to the command to paint"
        kept = saved if job.outcome.saved else "the training is not saved, as said above"
        raise Interrupted(stop.signal_number, f"stopped while painting; {kept}") from None
    context.display.end()


def _file_id(path: Path) -> tuple[int, int] | None:
    """Returns inode and time of a file, which another file of that name does not have; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _score(
    run: Run, context: Context, job: PaintJob, path: Path, scoring: SubmissionScoring, painting_seconds: float
) -> Row | None:
    """Scores the archive, and keeps the score with the run."""
    begun = context.clock()
    found = scoring.score(path, run.deadline)
    if found is None or scoring.scorer is None:
        return None
    used = job.painted_with
    with side_product(f"a line in {run.folder.scores}"):
        used = used or _last(run, job)
        basis = {"photos": identity_of(job.photos), **scoring.scorer.basis}
        keep_score(used, "ema", job.precision, basis, found)
    return Row(
        run=used.run if used else run.folder.path.resolve().name,
        name=used.path.name if used else run.folder.last.name,
        epochs=used.epochs if used else None,
        pairs=job.outcome.pairs,
        evaluation=found,
        best=True,
        painting_seconds=painting_seconds,
        scoring_seconds=context.clock() - begun,
    )
