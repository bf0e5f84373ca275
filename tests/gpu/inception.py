"""The scorer's network on the device."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monet.errors import InputError
from monet.machine import available_processors
from monet.scoring.cache import FeatureCache
from monet.scoring.inception import FeatureExtractor, Layer
from monet.scoring.scorer import Scorer
from monet.scoring.weights import InceptionWeights, named_weights
from tests.benchmarks.measure import in_turns
from tests.gpu.part import Found, Place, require
from tests.gpu.speed import TOLERANCE, foreseen, queued_work

BATCH = 32
"""As the scorer's."""


def cudnn(place: Place) -> Found:
    """Whether cuDNN is on while Inception runs, and as it was afterwards; and whether features are the CPU's."""
    mine, images = extractor(place), pictures(place.pick(BATCH, 4))
    seen: list[bool] = []
    first = next(module for module in network(mine).modules() if isinstance(module, torch.nn.Conv2d))
    handle = first.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.enabled))
    features = mine.features([images])
    handle.remove()
    require(bool(seen) and all(seen), "cuDNN is off while Inception runs")
    require(torch.backends.cudnn.enabled, "cuDNN is off after Inception has run")
    theirs = extractor(dataclasses.replace(place, device="cpu")).features([images])
    gap = float(np.abs(features - theirs).max() / np.abs(theirs).max())
    require(gap <= 1e-3, f"features are off by {gap:.1e} from the CPU's")
    return Found(f"cuDNN is on, features of layer {mine.layer} within {gap:.0e} of the CPU's", {"gap": gap})


def speed(place: Place) -> Found:
    """Images a second through Inception, with and without cuDNN."""
    mine, batches = extractor(place), [pictures(place.pick(BATCH, 4))] * place.pick(4, 1)
    sides: dict[str, Callable[[], Any]] = {"images/s": functools.partial(mine.features, batches)}
    if place.cuda:
        sides["without cuDNN"] = lambda: _without_cudnn(mine, batches)
    took = in_turns(sides, place.pick(3, 1), device=place.torch_device)
    count = sum(map(len, batches))
    told = ", ".join(f"{side} {count / seconds:.3g}" for side, seconds in took.items())
    return Found(f"{told}, layer {mine.layer}", {"seconds": took, "images": count})


def probe(place: Place) -> Found:
    """What the scorer's probe says at first, behind queued work, and warm, against what the network takes."""
    mine = extractor(place)
    scorer = Scorer(mine, reference=place.out, cache=FeatureCache(None), workers=1)
    said = {"cold": scorer.extraction_seconds(1, time.monotonic)}
    wait = queued_work(place)
    said["behind queued work"] = scorer.extraction_seconds(1, time.monotonic)
    wait()
    said["warm"] = scorer.extraction_seconds(1, time.monotonic)
    batches = [pictures(BATCH)] * place.pick(8, 1)
    truth = in_turns({"features": lambda: mine.features(batches)}, 1, warm_up=0)["features"] / sum(map(len, batches))
    return foreseen(said, truth, 20 if place.tiny else TOLERANCE)


def extractor(place: Place) -> FeatureExtractor:
    """Inception with the given weights, up to the layer that they reach; or random ones."""
    layers: tuple[Layer, ...] = ("2048", "768") if place.weights else ("768",)
    if place.tiny:
        layers = ("64",)
    weights = named_weights(place.weights or random_weights(place.out))
    for layer in layers[:-1]:
        try:
            return _extractor(weights, layer, place)
        except InputError:  # constant there
            continue
    return _extractor(weights, layers[-1], place)


def random_weights(folder: Path) -> Path:
    """A file of random weights in the released file's format, whole up to the layer of 768."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    class Empty(theirs.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: object, **__: object) -> None:
            pass

    if (path := folder / "random.pth").exists():
        return path
    torch.save({}, folder / "nothing.pth")
    torch.manual_seed(0)
    made = Empty("inception-v3-compat", ["2048"], feature_extractor_weights_path=folder / "nothing.pth")
    values = made.state_dict()
    for name, value in values.items():
        if name.startswith(("Mixed_7", "fc.")):
            value.zero_()
        elif name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("bn.bias", "bn.running_mean")):
            value.normal_(0, 0.1)
    torch.save(values, folder / "whole.partial")
    (folder / "whole.partial").rename(path)
    return path


def pictures(count: int) -> NDArray[np.uint8]:
    """(B, 256, 256, 3) uint8, at random."""
    return np.random.default_rng(0).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


def network(mine: FeatureExtractor) -> torch.nn.Module:
    """The network of an extractor."""
    return mine._network


def _extractor(weights: InceptionWeights, layer: Layer, place: Place) -> FeatureExtractor:
    workers = 1 if place.tiny else available_processors()
    return FeatureExtractor(weights, layer, device=place.torch_device, workers=workers)


def _without_cudnn(mine: FeatureExtractor, batches: list[NDArray[np.uint8]]) -> None:
    """Features, with cuDNN off while the network itself runs, whatever is set around it."""

    def switch(enabled: bool) -> None:
        torch.backends.cudnn.enabled = enabled

    handles = [
        network(mine).register_forward_pre_hook(lambda *_: switch(False)),
        network(mine).register_forward_hook(lambda *_: switch(True)),
    ]
    mine.features(batches)
    for handle in handles:
        handle.remove()
