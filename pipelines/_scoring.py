"""The options that the commands which score share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._numbers import number

if TYPE_CHECKING:
    from monet.scoring.options import ScoreOptions


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


def score_options(options: argparse.Namespace) -> ScoreOptions:
    """Returns what the options of `add_scoring_options` ask for."""
    from monet.scoring.options import ScoreOptions

    return ScoreOptions(
        feature_layer=options.feature_layer,
        inception_weights=options.inception_weights,
        epsilon=options.epsilon,
        train_paintings=options.train_paintings,
    )
