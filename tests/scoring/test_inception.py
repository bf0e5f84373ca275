from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monet.errors import InputError
from monet.scoring.inception import FeatureExtractor
from monet.scoring.weights import InceptionWeights, named_weights

CPU = torch.device("cpu")


def images(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("layer", ["64", "192", "768"])
def test_features_are_torch_fidelitys(random_weights: Path, layer) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", [layer], feature_extractor_weights_path=str(random_weights)
    )
    pixels = images(3, 256)
    expected = theirs(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())[0].numpy()
    mine = FeatureExtractor(named_weights(random_weights), layer, device=CPU, workers=2)
    told: list[int] = []
    found = mine.features([pixels[:2], pixels[2:]], told.append)
    assert found.shape == (3, int(layer))
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert told == [2, 1]


def test_how_images_are_batched_makes_no_difference(extractor: FeatureExtractor) -> None:
    pixels = images(5)
    one, two = extractor.features([pixels]), extractor.features([pixels[:1], pixels[1:]])
    assert np.abs(one - two).max() < 1e-5 * np.abs(one).max()


def test_a_layer_that_the_weights_do_not_reach_is_refused(random_weights: Path) -> None:
    with pytest.raises(InputError, match=r"layer 2048 of .*random.pth gives the same features for any image"):
        FeatureExtractor(named_weights(random_weights), "2048", device=CPU, workers=1)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"do not fit Inception v3 of 2015-12-05"):
        FeatureExtractor(named_weights(tmp_path / "other.pth"), "64", device=CPU, workers=1)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "was-run",)  # type: ignore[return-value]

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    weights = InceptionWeights("evil.pth", "0", (tmp_path / "evil.pth").read_bytes())
    with pytest.raises(InputError, match="damaged or hold more than tensors"):
        FeatureExtractor(weights, "64", device=CPU, workers=1)
    assert not (tmp_path / "was-run").exists()


def test_threads_leave_the_settings_of_the_process_alone(extractor: FeatureExtractor) -> None:
    """Each of them once switched cuDNN off, and put back what it had found, which was what another had set."""
    cudnn, seen = torch.backends.cudnn, []
    before = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)

    def look(*_: object) -> None:
        seen.append((cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32))

    hook = extractor._network.register_forward_pre_hook(look)
    extractor.features([images(16)])
    hook.remove()
    assert seen
    assert set(seen) == {before}
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == before
