"""How much faster scoring is than torch-fidelity's own functions, side by side: python -m tests.benchmarks.score

The references are the functions that torch-fidelity itself calls: its network, batch by batch in fp32, and its Fréchet
distance with a matrix square root. Both sides take turns; the median of several turns counts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monet.data.drawing import draw
from monet.machine import available_processors
from monet.scoring.frechet import frechet_distance
from monet.scoring.images import open_images
from monet.scoring.inception import LAYERS, FeatureExtractor
from monet.scoring.weights import named_weights
from tests.benchmarks.measure import benchmark_parser, in_turns, machine, write_json


def frechet(generated: int, reference: int, width: int, turns: int) -> dict[str, float]:
    """Seconds of both Fréchet distances on features with a decaying spectrum, and how far they are apart."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    rng = np.random.default_rng(0)
    spectrum = np.arange(1, width + 1) ** -0.7
    basis = np.linalg.qr(rng.normal(size=(width, width)))[0]
    sets = [
        (rng.normal(size=(count, width)) * spectrum @ basis + shift).astype(np.float32)
        for count, shift in ((generated, 0.05), (reference, 0.0))
    ]

    def theirs() -> float:
        statistics_of = [fid_features_to_statistics(torch.from_numpy(features)) for features in sets]
        return float(fid_statistics_to_metric(*statistics_of, False)["frechet_inception_distance"])

    found = in_turns({"torch-fidelity": theirs, "monet": lambda: frechet_distance(*sets)}, turns)
    return found | {"difference": abs(frechet_distance(*sets) / theirs() - 1)}


def extraction(weights: Path, layer: Any, count: int, turns: int) -> dict[str, float]:
    """Seconds for the features of some 256×256 JPEG files.

    torch-fidelity's network over decoded batches of 64, the network here over the same, and the whole way from files.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    workers = available_processors()
    theirs = FeatureExtractorInceptionV3("inception-v3-compat", [layer], feature_extractor_weights_path=str(weights))
    mine = FeatureExtractor(named_weights(weights), layer, device=torch.device("cpu"), workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            draw(0, "photo", index).save(Path(folder) / f"{index:04d}.jpg", quality=95, subsampling=0)
        images = open_images(Path(folder))
        decoded = list(images.batches(64, workers))

        def reference() -> Any:
            with torch.inference_mode():
                batches = (torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous() for batch in decoded)
                return torch.cat([theirs(batch)[0] for batch in batches]).numpy()

        sides = {
            "torch-fidelity": reference,
            "monet, decoded": lambda: mine.features(decoded),
            "monet, from files": lambda: mine.features(images.batches(32, workers)),
        }
        found = in_turns(sides, turns)
        gap = np.abs(mine.features(decoded) - reference()).max() / np.abs(reference()).max()
    return found | {"difference": float(gap)}


def main() -> None:
    """Measures, and prints tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--inception-weights", type=Path, required=True)
    parser.add_argument("--feature-layer", choices=LAYERS, default="2048")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    described = machine(torch.device("cpu"))
    distance = frechet(7038, 300, 2048, options.turns)
    print(f"Fréchet distance, 7,038 against 300 at 2,048: torch-fidelity {distance['torch-fidelity']:.2f} s, ", end="")
    print(f"monet {distance['monet']:.3f} s: {distance['torch-fidelity'] / distance['monet']:.0f}×", end="")
    print(f" (relative difference {distance['difference']:.1e})")
    features = extraction(options.inception_weights, options.feature_layer, options.images, options.turns)
    for name in ("torch-fidelity", "monet, decoded", "monet, from files"):
        rate, ratio = options.images / features[name], features["torch-fidelity"] / features[name]
        print(f"features of layer {options.feature_layer}, {name:<18} {rate:6.1f} images/s  {ratio:.2f}×")
    print(f"largest relative difference of a feature: {features['difference']:.1e}")
    write_json(options.json, {"machine": described, "frechet": distance, "features": features})


if __name__ == "__main__":
    main()
