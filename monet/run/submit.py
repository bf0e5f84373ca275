"""The whole way: train, paint every photo, validate and score the archive, show what came out."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from monet import archive
from monet.clock import format_duration
from monet.data.decode import decode
from monet.data.layout import identity_of
from monet.data.store import BadImage
from monet.data.stream import Purpose, permutation
from monet.errors import InputError, Interrupted, MonetError
from monet.files import require_output, require_writable
from monet.reporting.grids import image_grid, save_image
from monet.reporting.report import Row, figure, span
from monet.run.resume import Job
from monet.run.scoring import SubmissionScoring
from monet.run.train import Trained, draw_curves, ready_to_paint, train
from monet.run_folder.checkpoints import Candidate, read_candidate
from monet.run_folder.folder import RunFolder
from monet.run_folder.report import training_steps, write_submission
from monet.run_folder.scores import keep_score
from monet.scoring.evaluation import Evaluation
from monet.side_products import side_product
from monet.sizes import SIDE
from monet.training.trainer import Outcome

logger = logging.getLogger(__name__)

GENERATED = "generated.png"
"""The grid of generated images, among the samples."""
_GRID_ROWS, _GRID_PAIRS = 4, 3
"""The grid of generated images: rows, and photos with their paintings in a row."""


_COMPLETE = "stopped after the painting; {} is complete"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A finished submission."""

    folder: RunFolder
    """The run's folder."""
    rules: archive.Rules
    """Rules that the archive is checked against."""
    path: Path
    """The archive."""
    num_images: int
    """Images in it."""
    report: archive.Validation | None
    """Result of the validation; None where it could not be done."""
    skipped: tuple[BadImage, ...]
    """Photos that could not be read and were left out on request."""
    checkpoint: Candidate | None
    """The checkpoint that painted, where one was named in place of more training."""
    outcome: Outcome
    """How its training ended."""
    evaluation: Evaluation | None
    """The score."""
    not_scored: str
    """Why there is none."""
    late: float
    """Seconds past the deadline; 0 when in time."""


def submit(
    job: Job,
    path: Path,
    scoring: SubmissionScoring | None = None,
    paint_with: Candidate | None = None,
    inputs: Sequence[Path] = (),
) -> Submission:
    """Trains a run, paints every photo into an archive, checks and scores it, and writes the report.

    Args:
        job: what is asked for.
        path: the archive; it takes this name only when it is complete.
        scoring: how the archive is scored; not at all by default.
        paint_with: a checkpoint of the run that paints instead of any further training.
        inputs: further files and folders that are read, and that the archive must not replace.

    Raises:
        InputError: the archive would take the place of something else.
        MonetError: what `train` raises, or the archive cannot be written.
        Interrupted: told to end; the training is saved.
    """
    job.group.broadcast_object(lambda: _require_place(job, path, inputs))
    scoring = scoring or SubmissionScoring(None, "not asked for")
    count = len(job.layout.to_paint)
    if job.layout.rules == "kaggle" and count not in archive.KAGGLE_COUNT and job.group.rank == 0:
        least, most = archive.KAGGLE_COUNT[0], archive.KAGGLE_COUNT[-1]
        logger.warning("the competition takes %d to %d images: an archive of %d will not be valid", least, most, count)
    scoring.prepare(count, job.deadline, job.clock)
    if scoring.scorer:
        job = dataclasses.replace(job, afterwards=lambda: scoring.measure(count, job.clock))
    if paint_with:
        trained = ready_to_paint(job, paint_with)
        scoring.measure(count, job.clock)
    else:
        trained = train(job)
    begun = job.clock()
    _paint(job, trained, path)
    painting_seconds = job.clock() - begun
    try:
        return _afterwards(job, path, scoring, trained, paint_with, painting_seconds)
    except Interrupted as stop:
        raise Interrupted(stop.signal_number, _COMPLETE.format(path)) from None


def _afterwards(
    job: Job,
    path: Path,
    scoring: SubmissionScoring,
    trained: Trained,
    paint_with: Candidate | None,
    painting_seconds: float,
) -> Submission:
    """All that follows the archive. It is what counts: nothing here ends the command but being told to end."""
    report: archive.Validation | None = None
    with side_product("a check of the archive"):
        report = _checked(path, job.layout.rules)
    with side_product(GENERATED):
        grid = generated_grid(trained.photos, path, job.config.training.seed)
        save_image(grid, job.folder.samples / GENERATED)
    row = None
    with side_product("a score"):
        row = _score(job, scoring, path, trained, paint_with, painting_seconds)
    submission = Submission(
        folder=job.folder,
        rules=job.layout.rules,
        path=path,
        num_images=len(trained.photos),
        report=report,
        skipped=trained.skipped,
        checkpoint=paint_with,
        outcome=trained.outcome,
        evaluation=row.evaluation if row else None,
        not_scored=scoring.why_not or "see above",
        late=0.0,
    )
    steps = training_steps(job.folder)
    if paint_with is None:
        draw_curves(job.folder, steps)
    if paint_with is None or not job.folder.report.exists():  # a comparison's report stays true
        with side_product(str(job.folder.report)):
            verdict = summary(submission)
            write_submission(
                job.folder, job.config, path, trained.photos, verdict, row, scoring.scorer if row else None, steps
            )
    with side_product("what the trackers are told"):
        _track(job, submission)
    late = max(0.0, -job.deadline.remaining()) if job.deadline else 0.0
    if late:
        reason = "the budget is too short" if paint_with else "the machine slowed down by more than half after training"
        logger.warning("late by %s: %s", format_duration(late), reason)
    return dataclasses.replace(submission, late=late)


def _checked(path: Path, rules: archive.Rules) -> archive.Validation:
    """Validates an archive, also one that cannot even be opened."""
    try:
        return archive.validate(path, rules)
    except InputError as error:
        return archive.Validation(problems=[archive.Problem("archive", "", str(error))])


def _last(job: Job, trained: Trained) -> Candidate:
    """Returns the checkpoint in the run's folder that was trained and has painted.

    Raises:
        MonetError: it cannot be read, or is older, because there was no room for the last one.
    """
    last = read_candidate(job.folder, job.folder.last)
    if last.pairs != trained.outcome.pairs:
        raise MonetError(f"{job.folder.last} is of pair {last.pairs:,} and did not paint")
    return last


def _require_place(job: Job, path: Path, inputs: Sequence[Path]) -> None:
    """Checks that archive and report take nobody's place.

    Raises:
        InputError: they do.
    """
    require_writable(job.folder.report)
    if Path(os.path.realpath(path)) == Path(os.path.realpath(job.folder.archive)):
        require_writable(path)  # the run's own, be it torn
        return
    folders = {
        image.parent for images in (job.layout.photos, job.layout.paintings, job.layout.to_paint) for image in images
    }
    require_output(path, "an archive of images", archive.is_archive, [*folders, *inputs])
    job.folder.require_apart(path)


def assist(job: Job, path: Path, paint_with: Candidate | None = None) -> None:
    """The part of the other processes in `submit`, which the first one of several calls: they train and paint along."""
    job.group.broadcast_object(lambda: None)  # the first process looks at the archive's place
    _paint(job, ready_to_paint(job, paint_with) if paint_with else train(job), path)


def summary(submission: Submission) -> list[str]:
    """Returns the result, a sentence a line."""
    outcome = submission.outcome
    lines = [f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({outcome.decay})"]
    if submission.checkpoint:
        lines.append(f"painted with {submission.checkpoint.path}, as asked for")
    checked = ", not checked"
    if report := submission.report:
        checked = f", {'valid' if report.valid else 'NOT VALID'} by the {submission.rules} rules"
    lines.append(f"wrote {submission.path}: {submission.num_images:,} images{checked}")
    if submission.skipped:
        lines.append(f"left out, because they cannot be read: {', '.join(str(bad.path) for bad in submission.skipped)}")
    if found := submission.evaluation:
        mifid = found.mifid.interval()
        lines.append(
            f"MiFID {figure(mifid.value)} (95 %: {span(mifid)}), FID {figure(found.score.fid)}, memorization distance "
            f"{figure(found.score.memorization_distance)}, layer {found.feature_layer}"
        )
    else:
        lines.append(f"not scored: {submission.not_scored}")
    return lines


def _track(job: Job, submission: Submission) -> None:
    """Tells the trackers what came of it."""
    job.tracking.picture(submission.outcome.pairs, "generated", job.folder.samples / GENERATED)
    if found := submission.evaluation:
        score = found.score
        named = {"FID": score.fid, "MiFID": score.mifid, "memorization distance": score.memorization_distance}
        job.tracking.summary({f"{name}, layer {found.feature_layer}": value for name, value in named.items()})
    valid = {"valid": float(submission.report.valid)} if submission.report else {}
    job.tracking.summary({"images": submission.num_images, **valid})
    job.tracking.artifacts(job.folder.report, job.folder.scores, job.folder.curves)


def _paint(job: Job, trained: Trained, path: Path) -> None:
    job.folder.keep_held()
    logger.info("painting %d photos", len(trained.photos))
    job.display.begin("painting", len(trained.photos), "photos")
    earlier = _identity(path)
    try:
        trained.painter.paint_archive(trained.photos, path, job.display.advance, job.group)
    except Interrupted as stop:
        saved = f"the training is saved in {job.folder.last}: add --resume to the command to paint"
        kept = (
            f"stopped while painting; {saved if trained.outcome.saved else 'the training is not saved, as said above'}"
        )
        complete = _identity(path) != earlier
        raise Interrupted(stop.signal_number, _COMPLETE.format(path) if complete else kept) from None
    job.display.end()


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns inode and time of a file, which another file of that name does not have; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _score(
    job: Job,
    scoring: SubmissionScoring,
    path: Path,
    trained: Trained,
    paint_with: Candidate | None,
    painting_seconds: float,
) -> Row | None:
    """Scores the archive, and keeps the score with the run."""
    begun = job.clock()
    found = scoring.score(path, job.deadline)
    if found is None or scoring.scorer is None:
        return None
    used = paint_with
    with side_product(f"a line in {job.folder.scores}"):
        used = used or _last(job, trained)
        basis = {"photos": identity_of(trained.photos), **scoring.scorer.basis}
        keep_score(used, "ema", trained.precision, basis, found)
    return Row(
        run=used.run if used else job.folder.path.resolve().name,
        name=used.path.name if used else job.folder.last.name,
        epochs=used.epochs if used else None,
        pairs=trained.outcome.pairs,
        evaluation=found,
        best=True,
        painting_seconds=painting_seconds,
        scoring_seconds=job.clock() - begun,
    )


def generated_grid(photos: tuple[Path, ...], path: Path, seed: int) -> Image.Image:
    """Photos chosen at random beside their paintings.

    Args:
        photos: in the order in which they were painted.
        path: the archive.
        seed: of the choice.
    """
    chosen = permutation(seed, Purpose.SAMPLE_GRID, 1, len(photos))[: _GRID_ROWS * _GRID_PAIRS]
    names = archive.member_names(photos)
    with zipfile.ZipFile(path) as images:
        shown = [
            pixels
            for index in chosen
            for pixels in (
                decode(photos[index], SIDE),
                np.asarray(Image.open(io.BytesIO(images.read(names[index])))),
            )
        ]
    columns = 2 * min(_GRID_PAIRS, len(chosen))
    rows = [shown[start : start + columns] for start in range(0, len(shown) - columns + 1, columns)]
    return image_grid(rows, ["photo", "painted"] * (columns // 2), group=2)
