"""The Python API: everything that the commands do, as functions. `docs/api.md` shows how they are used."""

from __future__ import annotations

import datetime
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
import torch

from monet.clock import parse_duration
from monet.context import Context
from monet.data.from_video import Extracted, FrameOptions, frames_from_videos
from monet.data.layout import identity_of, list_images
from monet.data.store import paintable
from monet.device import Precision, choose_device, choose_precision
from monet.display import Display
from monet.errors import InputError
from monet.exporting.made import Variant
from monet.exporting.page import DEFAULT_RUNTIME
from monet.exporting.write import Exported, ExportOptions
from monet.exporting.write import export as export_generators
from monet.files import write_json
from monet.generation.painter import unreadable
from monet.generation.translator import TILE, Translator
from monet.inference.generators import load_generators
from monet.inference.paint import Painted, paint_folder
from monet.inference.sources import PictureSuffix, find_sources
from monet.inference.translate import Translated, TranslationOptions, translate_sources, translate_to_file
from monet.interrupts import CtrlC
from monet.machine import available_processors
from monet.models import Direction, Weights
from monet.ranking.compare import Comparison, choose_photos
from monet.ranking.compare import compare as compare_checkpoints
from monet.ranking.report import require_places, write_comparison
from monet.ranking.verdict import as_dict
from monet.run.after_training import AfterTraining
from monet.run.prepare import prepared_run
from monet.run.request import Settings, run_request
from monet.run.submission_scoring import submission_scoring
from monet.run.submit import Submission, submit_run
from monet.run.train import train_run
from monet.run_folder.checkpoints import Candidate, find_all
from monet.run_folder.folder import RunFolder
from monet.run_folder.scores import keep_score, last_score, named_checkpoint
from monet.scoring.accumulator import ScoreAccumulator
from monet.scoring.evaluation import Evaluation
from monet.scoring.options import ScoreOptions
from monet.scoring.score import Score
from monet.shards.engine import Resources
from monet.shards.engines import engine_called
from monet.shards.find import Kind, find_shards
from monet.shards.paint import PaintingOptions, painting
from monet.shards.score import ScoredShards
from monet.shards.score import score_shards as score_with
from monet.shards.store import everywhere
from monet.shards.translate import TranslatedShards
from monet.shards.translate import translate_shards as translate_with
from monet.training.trainer import Outcome

__all__ = [
    "Comparison",
    "Context",
    "Evaluation",
    "Exported",
    "Extracted",
    "Painted",
    "Resources",
    "Score",
    "ScoreAccumulator",
    "ScoreOptions",
    "ScoredShards",
    "Submission",
    "TrainingResult",
    "Translated",
    "TranslatedShards",
    "Translator",
    "compare",
    "default_context",
    "evaluate",
    "evaluate_shards",
    "export",
    "frames",
    "load",
    "paint",
    "score",
    "score_accumulator",
    "submit",
    "train",
    "translate",
    "translate_shards",
]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainingResult:
    """A run that was trained."""

    folder: RunFolder
    """Its folder; `folder.last` is the checkpoint."""
    outcome: Outcome
    """How the training ended."""


def load(
    checkpoint: PathLike,
    *,
    weights: Weights = "ema",
    device: str = "auto",
    precision: str = "auto",
    tile: int = TILE,
) -> Translator:
    """Loads the generators of a checkpoint.

    Args:
        checkpoint: such as `runs/first/checkpoints/last.pt`, or a model file that `export` wrote (`.safetensors`).
        weights: of a checkpoint: the averaged ones where the run has them, or the raw ones.
        device: `auto` for an accelerator that works, else the CPU; or `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: of the convolutions: `auto`, `fp32`, `bf16` or `fp16`.
        tile: pixels; an image larger than a square of this side goes through the network in tiles of it.

    Raises:
        InputError: the checkpoint cannot be read, the device does not work, or tiles are too small.
    """
    generators = load_generators(Path(checkpoint), weights)
    where = choose_device(device)
    chosen = choose_precision(precision, where, time.monotonic)
    return Translator(generators, device=where, precision=chosen, tile=tile)


def train(
    data: PathLike = "auto",
    *,
    run: PathLike | None = None,
    recipe: str | None = None,
    budget: str | None = None,
    horizon: str | None = None,
    resume: bool = False,
    settings: Settings = (),
    context: Context | None = None,
    on_end: Callable[[TrainingResult], None] = lambda _: None,
) -> TrainingResult:
    """Trains a run to its horizon, or to the deadline.

    Args:
        data: a folder with `photo_jpg/` and `monet_jpg/`, or `trainA/` and `trainB/`; `auto` or `demo`.
        run: the run's folder; `runs/<UTC time>` by default.
        recipe: a recipe's name or a YAML file.
        budget: time for the whole call, such as `5h`, `45m`, `1h30m`.
        horizon: training time of the run, over all its processes, at which the learning rate is 0.
        resume: continue the run in `run`; where there is none yet, start it.
        settings: any other settings by their dotted names, such as `{"training.epochs": 3}`, or as words of a command
            line, such as `["--training.epochs", "3"]`.
        context: the surroundings of the run; those of this process by default.
        on_end: called with the result before trackers are waited for; by the first of several processes alone.

    Raises:
        InputError: an argument, or the data, cannot be used.
        MonetError: the training failed; the message says what is kept.
    """
    request = run_request(data, run, recipe, budget, horizon, resume, settings)
    context = context or default_context()
    with prepared_run(request, context) as prepared, prepared.tracking.until_the_end(prepared.remaining):
        trained = train_run(prepared, context, AfterTraining(paint=False))
        result = TrainingResult(prepared.folder, trained.outcome)
        if context.group.rank == 0:
            on_end(result)
    return result


def submit(
    data: PathLike = "auto",
    *,
    run: PathLike | None = None,
    recipe: str | None = None,
    budget: str | None = None,
    horizon: str | None = None,
    resume: bool = False,
    settings: Settings = (),
    zip: PathLike | None = None,
    skip_bad: bool = False,
    paint_with: str | None = None,
    score: Literal["auto", "yes", "no"] = "auto",
    score_options: ScoreOptions | None = None,
    context: Context | None = None,
    on_end: Callable[[Submission], None] = lambda _: None,
) -> Submission | None:
    """Trains a run, paints every photo into an archive, validates and scores it, and writes the report.

    Args:
        data: as in `train`.
        run: as in `train`.
        recipe: as in `train`.
        budget: as in `train`; it covers training, painting, writing and scoring.
        horizon: as in `train`.
        resume: as in `train`.
        settings: as in `train`.
        zip: the archive; `images.zip` in the run's folder by default.
        skip_bad: leave photos out of the archive that cannot be read.
        paint_with: with `resume`: do not train; paint with this checkpoint of the run, or with the `best` that was
            scored.
        score: `yes` in any case, downloading the weights; `auto` where they are at hand and it takes little time.
        score_options: layer, weights, epsilon and training paintings of the score.
        context: as in `train`.
        on_end: called with the result before trackers are waited for.

    Returns:
        The result; None on all but the first of several processes.

    Raises:
        InputError: an argument, or the data, cannot be used.
        MonetError: the training or the painting failed; the message says what is kept.
    """
    context, options = context or default_context(), score_options or ScoreOptions()
    request = run_request(data, run, recipe, budget, horizon, resume, settings, train=paint_with is None)
    with prepared_run(request, context) as prepared:
        candidate = None
        if paint_with is not None:
            candidate = context.group.broadcast_object(lambda: named_checkpoint(paint_with, prepared.folder))
        path = Path(zip) if zip is not None else prepared.folder.archive
        with prepared.tracking.until_the_end(prepared.remaining):
            scoring = None
            if context.group.rank == 0:
                where = prepared.config.training.device
                scoring = submission_scoring(score, options, prepared.layout, where, context)
            submission = submit_run(
                prepared,
                context,
                path,
                scoring=scoring,
                paint_with=candidate,
                skip_bad=skip_bad,
                inputs=options.inputs,
            )
            if submission:
                on_end(submission)
    return submission


def paint(
    checkpoint: PathLike,
    photos: PathLike,
    zip: PathLike,
    *,
    batch_size: int = 8,
    quality: int = 95,
    weights: Weights = "ema",
    skip_bad: bool = False,
    device: str = "auto",
    precision: str = "auto",
    display: Display | None = None,
) -> Painted:
    """Paints every photo of a folder into an archive, one 256×256 RGB JPEG each.

    Args:
        checkpoint: such as `runs/first/checkpoints/last.pt`.
        photos: a folder; photos of any size directly in it.
        zip: the archive; it takes this name only when it is complete.
        batch_size: photos that go through the network together.
        quality: JPEG quality, 1 to 100.
        weights: as in `load`.
        skip_bad: leave photos out that cannot be read; otherwise they are an error.
        device: as in `load`.
        precision: as in `load`.
        display: shows progress.

    Raises:
        InputError: the checkpoint, the folder or a photo cannot be read, or an argument is out of range.
        MonetError: the archive cannot be written.
    """
    return paint_folder(
        Path(checkpoint),
        Path(photos),
        Path(zip),
        batch_size=batch_size,
        quality=quality,
        weights=weights,
        skip_bad=skip_bad,
        device=device,
        precision=precision,
        clock=time.monotonic,
        display=display,
    )


def translate(
    checkpoint: PathLike,
    input: PathLike,
    output: PathLike,
    *,
    direction: Direction | None = None,
    format: PictureSuffix = "keep",
    quality: int = 95,
    tile: int = TILE,
    fps: float | None = None,
    smoothing: float = TranslationOptions.smoothing,
    weights: Weights = "ema",
    device: str = "auto",
    precision: str = "auto",
    display: Display | None = None,
) -> Translated:
    """Translates pictures of any size and videos, each into one of the same size.

    Args:
        checkpoint: as in `load`.
        input: a file, a folder with all below it, or a pattern such as `photos/**/*.jpg`.
        output: a folder, in which everything keeps its place and name; for a single file also a new file's name. What
            is there already from the same call is kept, and nothing else is replaced.
        direction: `ab` or `ba`; by default `ab`, or, in a folder that holds `A_type/`, `B_type/` or
            CycleGAN's `trainA/ testA/ trainB/ testB/`, each its own.
        format: of the pictures that are written, by the ending of their names.
        quality: of JPEG and WebP, 1 to 100.
        tile: as in `load`.
        fps: frames a second of a video that are translated, at most; the others are left out. All by default.
        smoothing: share of the statistics of normalisation that a frame of a video has from those before it in its
            scene, 0 to below 1.
        weights: as in `load`.
        device: as in `load`.
        precision: as in `load`.
        display: shows progress.

    Returns:
        What was written, and in `bad` what could not be read.

    Raises:
        InputError: the checkpoint or the input cannot be read, the direction is not trained, or an output would replace
            something.
        MonetError: a file cannot be written, or there are videos and PyAV is not installed.
    """
    target = Path(output)
    options = TranslationOptions(suffix=format, quality=quality, smoothing=smoothing, rate=fps)
    sources = find_sources(os.fspath(input), direction, target)
    translator = load(checkpoint, weights=weights, device=device, precision=precision, tile=tile)
    single = Path(input).is_file() and not target.is_dir() and target.suffix
    if single:
        return translate_to_file(translator, sources.files[0], target, options, display)
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    return translate_sources(
        translator,
        sources,
        target,
        settings=f"{digest} {weights} {tile} {translator.precision}",
        options=options,
        display=display,
    )


def translate_shards(
    checkpoint: PathLike,
    input: PathLike,
    output: PathLike,
    *,
    engine: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    resources: Resources | None = None,
    direction: Direction | None = None,
    shards: Kind | None = None,
    shard_size: int = 512,
    format: PictureSuffix = "keep",
    quality: int = 95,
    batch_size: int | None = None,
    tile: int = TILE,
    weights: Weights = "ema",
    precision: Precision = "fp32",
    display: Display | None = None,
) -> TranslatedShards:
    """Translates any number of pictures, in shards, by several processes or machines.

    Args:
        checkpoint: as in `load`.
        input: shards (Parquet with the columns `id`, `name` and `bytes`, or tar as WebDataset has it), or a folder of
            pictures, with all below it; a path, or an address such as `s3://bucket/photos`.
        output: a folder, at an address, too. A result is called after its shard, and after weights and settings. What
            is there already from the same call is kept.
        engine: `local` for processes of this machine, or `ray`.
        ray_address: of a Ray cluster: `auto` or `host:6379`; by default one on this machine, for this call.
        resources: device, processes, GPUs and processors of each.
        direction: `ab` or `ba`; by default `ab`, but a folder of pictures for both directions, as CycleGAN has them, is
            refused.
        shards: the kind of the results: `parquet`, `tar` or `folder`; that of the input by default.
        shard_size: pictures of a shard, where a folder of pictures is cut into shards.
        format: of the pictures that are written, by the ending of their names.
        quality: of JPEG and WebP, 1 to 100.
        batch_size: pictures of one size that go through the network together; by default 1 on a CPU, 16 elsewhere.
        tile: as in `load`.
        weights: as in `load`.
        precision: as in `load`, but for `auto`: all processes do the same.
        display: shows progress.

    Returns:
        How many were painted, and what could not be.

    Raises:
        InputError: the checkpoint or the input cannot be read, or the direction is not trained.
        MonetError: a result cannot be written, a library is not installed, or the engine gave up. What is done is kept.
    """
    options = PaintingOptions(
        direction=direction or "ab",
        suffix=format,
        quality=quality,
        precision=precision,
        tile=tile,
        batch_size=batch_size,
        kind=shards,
    )
    target = everywhere(os.fspath(output))
    used = engine_called(engine, resources or Resources(), ray_address)
    found = find_shards(everywhere(os.fspath(input)), target, size=shard_size, direction=direction)
    work = painting(load_generators(Path(checkpoint), weights), options, target)
    return translate_with(work, found, used, display)


def frames(
    videos: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    every: str | None = None,
    most: int | None = None,
    domain: Literal["a", "b"] = "b",
    test: float = 0.1,
    seed: int = 0,
    display: Display | None = None,
) -> Extracted:
    """Cuts a domain from videos: JPEG files in `trainB/` and `testB/` of a folder, which `train` takes as data.

    Black, blurred and nearly equal frames are left out, and black bars are cut off.

    Args:
        videos: one or more files.
        output: the folder.
        every: time between frames, such as `1s`; without it and `most` one from the middle of each scene.
        most: their number at most, evenly spaced over all videos.
        domain: `b` for `trainB/` and `testB/`, `a` for the others.
        test: share that is for tests, in whole scenes.
        seed: of the choice of these scenes.
        display: shows progress.

    Raises:
        InputError: an argument is out of range, the folder has such a domain, or no frame is left.
        MonetError: a file cannot be written, or PyAV or ImageHash is not installed.
    """
    paths = [Path(video) for video in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
    try:
        seconds = None if every is None else parse_duration(every)
    except ValueError as error:
        raise InputError(f"--every: {error}") from None
    options = FrameOptions(every=seconds, most=most, domain=domain, test=test, seed=seed)
    return frames_from_videos(paths, Path(output), options, display)


def export(
    checkpoint: PathLike,
    *,
    onnx: PathLike | None = None,
    safetensors: PathLike | None = None,
    hub: PathLike | None = None,
    page: PathLike | None = None,
    direction: Direction = "ab",
    variants: Sequence[Variant] = (),
    pixels: bool = False,
    photos: PathLike | None = None,
    runtime: PathLike = DEFAULT_RUNTIME,
    weights: Weights = "ema",
    display: Display | None = None,
) -> Exported:
    """Writes the generators of a checkpoint for other runtimes; at least one of the four outputs is given.

    An ONNX file takes images of any number, height and width. Before anything is written, onnxruntime gives what
    PyTorch does, at five sizes and two numbers of images, to 1e-3 of −1…1.

    Args:
        checkpoint: as in `load`.
        onnx: a file `.onnx`: `images`, (B, 3, H, W) float32 from −1 to 1 => `translated`, the same.
        safetensors: a file `.safetensors` with all trained generators and the settings, which `load` reads.
        hub: a folder with `model.safetensors`, `model.onnx` and a model card, as model hubs have it.
        page: a folder with a page that translates pictures in the browser, without a server.
        direction: of ONNX files and the page.
        variants: further ONNX files: `fp16` with weights of 16 bits, `int8` with convolutions of 8 bits.
        pixels: ONNX files take and give uint8 (B, H, W, 3) instead.
        photos: a folder of images with which graphs are compared, and int8 is calibrated; drawn ones by default, but
            for int8.
        runtime: the npm package onnxruntime-web, for the page.
        weights: as in `load`.
        display: shows progress.

    Raises:
        InputError: the checkpoint or the photos cannot be read, the direction is not trained, there is nothing to
            write, or an output would replace something.
        MonetError: a graph does not give what PyTorch does, a file cannot be written, or a library is not installed.
    """
    given, folder = Path(checkpoint), Path(checkpoint).absolute().parent
    options = ExportOptions(
        onnx=Path(onnx) if onnx is not None else None,
        safetensors=Path(safetensors) if safetensors is not None else None,
        hub=Path(hub) if hub is not None else None,
        page=Path(page) if page is not None else None,
        direction=direction,
        variants=tuple(dict.fromkeys(variants)),
        pixels=pixels,
        photos=Path(photos) if photos is not None else None,
        runtime=Path(runtime),
    )
    generators = load_generators(given, weights)
    run = RunFolder(folder.parent) if folder.name == "checkpoints" else None
    return export_generators(
        generators,
        options,
        title=run.path.name if run else given.stem,
        score=last_score(run, generators.by_direction["ab"]) if run else None,
        inputs=[given],
        threads=available_processors(),
        clock=time.monotonic,
        display=display,
    )


def score(
    generated: PathLike, reference: PathLike, *, options: ScoreOptions | None = None, device: str = "auto"
) -> Score:
    """Scores a folder or an archive of images: FID, MiFID, memorization distance and KID.

    Args:
        generated: the images that are scored.
        reference: the images that they are compared with.
        options: layer, weights, epsilon and training paintings.
        device: where Inception runs, as in `load`.

    Raises:
        InputError: a set is empty, too small, unreadable or of mixed sizes, or the weights cannot be had.
    """
    return evaluate(generated, reference, options=options, device=device).score


def evaluate(
    generated: PathLike,
    reference: PathLike,
    *,
    options: ScoreOptions | None = None,
    device: str = "auto",
    context: Context | None = None,
) -> Evaluation:
    """Scores a folder or an archive of images, as `score`, with 95 % intervals and the closest paintings.

    Args:
        generated: as in `score`.
        reference: as in `score`.
        options: as in `score`.
        device: as in `load`.
        context: the surroundings; those of this process by default.

    Raises:
        InputError: as `score`.
    """
    options, context = options or ScoreOptions(), context or default_context()
    return options.scorer(Path(reference), context, device=choose_device(device)).evaluate(Path(generated))


def evaluate_shards(
    generated: PathLike,
    reference: PathLike,
    *,
    engine: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    resources: Resources | None = None,
    shard_size: int = 512,
    options: ScoreOptions | None = None,
    context: Context | None = None,
) -> ScoredShards:
    """Scores any number of images, in shards, by several processes or machines, from sums that they hand in.

    FID, MiFID and memorization distance are those of `evaluate`; intervals come from a jackknife, and the KID from
    subsets within shards.

    Args:
        generated: as `input` in `translate_shards`.
        reference: as in `score`; on this machine.
        engine: as in `translate_shards`.
        ray_address: as in `translate_shards`.
        resources: as in `translate_shards`.
        shard_size: as in `translate_shards`.
        options: as in `score`.
        context: the surroundings; those of this process by default.

    Raises:
        InputError: as `score`, but that images which cannot be read are left out.
        MonetError: a library is not installed, or the engine gave up.
    """
    options, context, used = options or ScoreOptions(), context or default_context(), resources or Resources()
    carried_out = engine_called(engine, used, ray_address)
    found = find_shards(everywhere(os.fspath(generated)), size=shard_size)
    scorer = options.scorer(Path(reference), context, device=choose_device(used.device))
    return score_with(
        found,
        carried_out,
        reference=scorer.reference_features,
        training=scorer.training_features,
        weights=scorer.weights,
        layer=options.feature_layer,
        epsilon=options.epsilon,
        display=context.display,
    )


def score_accumulator(options: ScoreOptions | None = None, *, device: str = "auto") -> ScoreAccumulator:
    """Returns an accumulator of images in memory: `update(images, real=…)`, then `compute()`.

    Args:
        options: layer, weights and epsilon.
        device: where Inception runs, as in `load`.

    Raises:
        InputError: the weights cannot be had or used.
    """
    options = options or ScoreOptions()
    return options.accumulator(default_context().weights_folder, device=choose_device(device))


def compare(
    runs: PathLike | Sequence[PathLike],
    photos: PathLike,
    reference: PathLike,
    *,
    sample: int | None = None,
    seed: int = 0,
    weights: Weights = "ema",
    skip_bad: bool = False,
    device: str = "auto",
    options: ScoreOptions | None = None,
    report: PathLike | None = None,
    json_file: PathLike | None = None,
    context: Context | None = None,
    on_end: Callable[[Comparison], None] = lambda _: None,
) -> Comparison:
    """Scores the checkpoints of runs on the same photos, ranks them, and writes the report.

    Args:
        runs: one or more folders of runs.
        photos: the folder of photos to paint.
        reference: folder or archive of the paintings that they are compared with.
        sample: a number of photos, the same ones for every checkpoint; all by default.
        seed: of the choice of the sample.
        weights: as in `load`.
        skip_bad: leave photos out that cannot be read; otherwise they are an error.
        device: as in `load`.
        options: layer, weights, epsilon and training paintings.
        report: the page; `report.html` in the first run's folder by default.
        json_file: a file that gets all numbers.
        context: the surroundings; those of this process by default.
        on_end: called with the result before the report is written.

    Raises:
        InputError: a run, an image or every checkpoint cannot be read, or an output would replace something else.
    """
    context, options = context or default_context(), options or ScoreOptions()
    folders = [Path(run) for run in ([runs] if isinstance(runs, (str, os.PathLike)) else runs)]
    if not folders:
        raise InputError("no runs to compare: name the folder of one at least")
    page = Path(report) if report is not None else RunFolder(folders[0]).report
    inputs = [Path(photos), Path(reference), *options.inputs]
    require_places(folders, page, report is not None, Path(json_file) if json_file else None, inputs)
    where = choose_device(device)
    candidates = find_all(folders, weights)
    found = list_images(Path(photos))
    chosen = choose_photos(found, sample, seed)
    scorer = options.scorer(Path(reference), context, device=where)
    painted = paintable(chosen, unreadable(chosen), skip_bad)
    if len(painted) < 2:
        raise InputError(f"{photos}: {len(painted)} of its photos can be painted; a score needs at least two")
    basis = {"photos": identity_of(painted), **scorer.basis}

    def keep(candidate: Candidate, precision: Precision, evaluation: Evaluation) -> None:
        keep_score(candidate, weights, precision, basis, evaluation)

    comparison = compare_checkpoints(
        candidates,
        painted,
        scorer,
        found=len(found),
        weights=weights,
        device=where,
        clock=context.clock,
        display=context.display,
        on_scored=keep,
    )
    on_end(comparison)
    if json_file is not None:
        write_json(Path(json_file), as_dict(comparison))
    write_comparison(comparison, scorer, page)
    return comparison


def default_context() -> Context:
    """Returns the surroundings that a call from Python has: this process alone, which begins now, in silence."""
    return Context(
        clock=time.monotonic,
        started=time.monotonic(),
        now=datetime.datetime.now(datetime.timezone.utc),
        cache_folder=platformdirs.user_cache_path("monet"),
        weights_folder=Path(torch.hub.get_dir()),
        interrupts=CtrlC(),
        command=("python",),
    )
