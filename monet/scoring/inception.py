"""The Inception network of the score: `inception-v3-compat` of torch-fidelity, the graph of 2015-12-05."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monet.device import full_fp32
from monet.errors import InputError, first_line
from monet.scoring.weights import InceptionWeights
from monet.threads import compute_threads

Layer = Literal["2048", "768", "192", "64"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""Layers that can be compared; each is named by its number of features."""

_SIDE = 299
_STAGES: dict[Layer, tuple[str, ...]] = {
    "64": ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"),
    "192": ("Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    "768": ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    "2048": ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
}
"""The network's modules in order, up to each layer."""
_TOGETHER = 4
"""Images that a processor takes at a time: few enough for the caches, enough for the matrix products."""


class FeatureExtractor:
    """Images to features, in fp32.

    Args:
        weights: of the network.
        layer: which of its layers is pooled.
        device: where it runs.
        workers: processors; on a CPU each takes images of its own.

    Raises:
        InputError: the weights are not those of this network, or the layer is constant with them.
    """

    def __init__(self, weights: InceptionWeights, layer: Layer, *, device: torch.device, workers: int) -> None:
        self.weights = weights
        self.layer = layer
        self.device = device
        """Where it runs."""
        self._workers = workers
        self._network = _network(weights, layer).to(device).to(memory_format=torch.channels_last)
        self._refuse_a_constant_layer()

    def features(
        self, batches: Iterable[NDArray[np.uint8]], on_batch: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float32]:
        """Computes the features of images.

        Args:
            batches: (B, H, W, 3) uint8 RGB.
            on_batch: called with the number of images of each batch that is done.

        Returns:
            (N, D) float32; nothing else is kept in memory.
        """
        singly = self.device.type == "cpu"
        found: list[NDArray[np.float32]] = []
        with full_fp32(self.device), compute_threads(self._workers) as pool:
            for batch in batches:
                images = torch.from_numpy(batch).permute(0, 3, 1, 2)
                found += pool.map(self._run, torch.split(images, _TOGETHER)) if singly else [self._run(images)]
                on_batch(len(batch))
        return np.concatenate(found)

    def _run(self, images: Tensor) -> NDArray[np.float32]:
        """(B, 3, H, W) uint8 => (B, D) float32."""
        with torch.inference_mode():
            return self._network(_prepared(images.to(self.device))).mean((2, 3)).cpu().numpy()

    def _refuse_a_constant_layer(self) -> None:
        """Checks that two different pictures differ in most of a layer's numbers."""
        ramp = torch.arange(64, dtype=torch.uint8).mul(4).expand(1, 3, 64, 64)
        noise = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        with full_fp32(self.device):
            one, two = self._run(ramp)[0], self._run(noise)[0]
        if np.isfinite(one).all() and np.isfinite(two).all() and (one != two).mean() > 0.5:
            return
        whole = ", ".join(layer for layer in LAYERS if layer != self.layer)
        raise InputError(
            f"layer {self.layer} of {self.weights.source} gives the same features for any image: these weights do not "
            f"reach that far, and a score would mean nothing; give the released weights, or --feature-layer {whole}"
        )


def _prepared(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 => (B, 3, 299, 299) float32, resized as TensorFlow 1 does, (x − 128) / 128."""
    down, across = (_resizing(size).to(images.device) for size in images.shape[-2:])
    resized = down @ images.float() @ across.T
    return resized.sub_(128).div_(128).contiguous(memory_format=torch.channels_last)


@cache
def _resizing(size: int) -> Tensor:
    """Returns the (299, size) matrix of TensorFlow 1's bilinear resize: position i comes from i · size / 299, without
    the half pixel by which later definitions differ, between its two neighbours."""
    positions = torch.arange(_SIDE, dtype=torch.float32) * (size / _SIDE)
    lower = positions.floor().long()
    upper, share = (lower + 1).clamp(max=size - 1), (positions - lower)[:, None]
    pixels = torch.eye(size)
    return pixels[lower] * (1 - share) + pixels[upper] * share


def _network(weights: InceptionWeights, layer: Layer) -> nn.Module:
    """torch-fidelity's own modules up to a layer, with batch norm folded into the convolutions."""
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

    weights.state_dict()  # nothing but tensors: torch-fidelity reads the same bytes without looking
    try:
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", [layer], feature_extractor_weights_path=io.BytesIO(weights.data)
        )
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"weights {weights.source} do not fit Inception v3 of 2015-12-05: {first_line(error)}"
        ) from error
    for module in network.modules():
        if isinstance(module, BasicConv2d):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    modules = []
    for end, names in _STAGES.items():
        modules += [getattr(network, name) for name in names]
        if end == layer:
            break
    return nn.Sequential(*modules).eval()
