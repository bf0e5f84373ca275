"""A feature extractor that needs no download."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monet.scoring.inception import FeatureExtractor
from monet.scoring.weights import named_weights


@pytest.fixture(scope="session")
def extractor(random_weights: Path) -> FeatureExtractor:
    """Features of layer 192, which is quick."""
    return FeatureExtractor(named_weights(random_weights), "192", device=torch.device("cpu"), workers=2)
