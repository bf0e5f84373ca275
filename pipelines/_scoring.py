"""What the commands that score share: their options, and the scorer that these ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._numbers import number

if TYPE_CHECKING:
    import torch

    from monet.scoring.weights import InceptionWeights
    from monet.workflow.display import Display
    from monet.workflow.evaluate import Scorer


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Adds the scoring options."""
    parser.add_argument(
        "--feature-layer",
        choices=["2048", "768", "192", "64"],
        default="2048",
        help="layer of Inception v3 that is compared; the competition's is 2048 (default: %(default)s)",
    )
    parser.add_argument(
        "--inception-weights",
        type=Path,
        metavar="F",
        help="weights of Inception v3 (default: torch's hub cache, else torch-fidelity's release is downloaded there)",
    )
    parser.add_argument(
        "--epsilon",
        type=number,
        default=0.1,
        metavar="E",
        help="memorization distances from here on count as 1; the competition's own value is unpublished "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--train-paintings",
        type=Path,
        metavar="DIR",
        help="the paintings that could have been memorized (default: the reference)",
    )


def scoring_inputs(options: argparse.Namespace) -> list[Path]:
    """What the options name to be read, and no output may replace."""
    return [path for path in (options.inception_weights, options.train_paintings) if path]


def make_scorer(
    options: argparse.Namespace,
    reference: Path,
    display: Display,
    weights: InceptionWeights | None = None,
    device: torch.device | None = None,
) -> Scorer:
    """The scorer that the options ask for.

    Args:
        options: those of `add_scoring_options`.
        reference: what is compared with.
        display: shows progress.
        weights: of Inception; those that the options name, or the released ones, by default.
        device: where Inception runs; an accelerator that works, by default.

    Raises:
        InputError: the weights cannot be had or used, or there are no training paintings where they are said to be.
    """
    import platformdirs

    from monet.device import choose_device
    from monet.machine import available_processors
    from monet.scoring.cache import FeatureCache
    from monet.scoring.images import open_images
    from monet.scoring.inception import FeatureExtractor
    from monet.workflow.evaluate import Scorer

    if options.train_paintings:
        open_images(options.train_paintings)
    weights = weights or find_weights(options, download=True)
    assert weights
    workers = available_processors()
    return Scorer(
        FeatureExtractor(weights, options.feature_layer, device=device or choose_device("auto"), workers=workers),
        reference=reference,
        training=options.train_paintings,
        epsilon=options.epsilon,
        cache=FeatureCache(platformdirs.user_cache_path("monet") / "features"),
        workers=workers,
        display=display,
    )


def find_weights(options: argparse.Namespace, *, download: bool) -> InceptionWeights | None:
    """The weights that the options name, or the released ones; None where these are not here and not to be downloaded.

    Raises:
        InputError: they cannot be read, or not be downloaded.
    """
    import torch

    from monet.scoring.weights import cached_weights, downloaded_weights, named_weights

    hub = Path(torch.hub.get_dir())
    if options.inception_weights:
        return named_weights(options.inception_weights)
    return downloaded_weights(hub) if download else cached_weights(hub)
