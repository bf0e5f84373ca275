"""What the commands that score share: their options, and the scorer that these ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        type=float,
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


def make_scorer(options: argparse.Namespace) -> Scorer:
    """The scorer that the options ask for.

    Raises:
        InputError: the weights cannot be had or used.
    """
    import platformdirs
    import torch

    from monet.device import choose_device
    from monet.machine import available_processors
    from monet.scoring.cache import FeatureCache
    from monet.scoring.inception import FeatureExtractor
    from monet.scoring.weights import downloaded_weights, named_weights
    from monet.workflow.evaluate import Scorer
    from pipelines._display import Bars

    if options.inception_weights:
        weights = named_weights(options.inception_weights)
    else:
        weights = downloaded_weights(Path(torch.hub.get_dir()))
    workers = available_processors()
    extractor = FeatureExtractor(weights, options.feature_layer, device=choose_device("auto"), workers=workers)
    cache = FeatureCache(platformdirs.user_cache_path("monet") / "features")
    return Scorer(extractor, cache=cache, workers=workers, display=Bars())
