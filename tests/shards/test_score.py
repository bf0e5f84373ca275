"""Scores from sums over shards: those of one machine, whatever the shards; and how sure they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monet.errors import InputError
from monet.scoring.accumulator import ScoreAccumulator
from monet.scoring.frechet import FrechetReference, frechet_distance
from monet.scoring.inception import FeatureExtractor
from monet.scoring.memorization import memorization_distance
from monet.scoring.weights import named_weights
from monet.shards.find import find_shards
from monet.shards.score import ScoredShards, Summing, Sums, jackknifed, score_shards
from tests.conftest import picture
from tests.shards.conftest import HereEngine, fill_shards, jpeg, write_parquet


def features(seed: int, rows: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(columns, columns)))[0]
    values = rng.normal(size=(rows, columns)) * np.arange(1, columns + 1) ** -0.8 @ basis
    return (values + 0.3 + 0.02 * seed).astype(np.float32)


def summed(generated: np.ndarray, reference: np.ndarray, shards: int, groups: int = 20) -> Sums:
    side = FrechetReference(reference)
    total = None
    for number, part in enumerate(np.array_split(generated, shards)):
        summing = Summing(side, reference, groups, f"part-{number}", shards)
        for piece in np.array_split(part, 3):
            if len(piece):
                summing.add(piece)
        for sums in summing.groups.values():
            total = total + sums if total else sums
    assert total
    return total


@pytest.mark.parametrize(("references", "columns"), [(40, 96), (300, 96), (97, 96), (2, 16)])
@pytest.mark.parametrize("shards", [1, 7, 200])
def test_sums_over_shards_score_as_one_set_does(references: int, columns: int, shards: int) -> None:
    generated, reference = features(1, 1500, columns), features(0, references, columns)
    total = summed(generated, reference, shards)
    assert total.features.count == 1500
    assert total.fid(FrechetReference(reference)) == pytest.approx(frechet_distance(generated, reference), rel=1e-9)
    assert total.memorization_distance == pytest.approx(memorization_distance(generated, reference), rel=1e-12)


def test_sums_of_a_set_do_not_grow_with_it() -> None:
    reference = features(0, 30, 64)
    for rows in (10, 10_000):
        sums = FrechetReference(reference).sums(features(1, rows, 64))
        assert (sums.total.shape, sums.projected.shape, sums.gram.shape) == ((64,), (29,), (29, 29))


def test_images_without_a_direction_have_no_memorization_distance() -> None:
    generated, reference = features(1, 50, 16), features(0, 10, 16)
    generated[::5] = 0
    total = summed(generated, reference, 4)
    assert total.directed == 40
    assert total.memorization_distance == pytest.approx(memorization_distance(generated, reference), rel=1e-12)


def test_the_interval_covers_the_score_of_as_many_images_as_often_as_it_says() -> None:
    reference = features(0, 60, 24)
    side = FrechetReference(reference)
    distances, intervals = [], []
    for seed in range(200):
        generated = np.random.default_rng(1000 + seed).normal(size=(400, 24)).astype(np.float32) + 0.2
        parts: dict[int, Sums] = {}
        summing = Summing(side, reference, 20, f"{seed}", 1)
        summing.add(generated)
        parts = summing.groups
        groups = [parts[key] for key in sorted(parts)]
        without = []
        for left_out in range(len(groups)):
            rest = groups[:left_out] + groups[left_out + 1 :]
            total = rest[0]
            for part in rest[1:]:
                total = total + part
            without.append(total.fid(side))
        value = frechet_distance(generated, reference)
        distances.append(value)
        intervals.append(jackknifed(value, np.array(without)))
    mean = np.mean(distances)
    covered = np.mean([interval.low <= mean <= interval.high for interval in intervals])
    assert 0.9 <= covered <= 0.99


def test_one_group_says_nothing_of_the_spread() -> None:
    interval = jackknifed(3.0, np.array([]))
    assert (interval.low, interval.high) == (float("-inf"), float("inf"))


@pytest.fixture(scope="session")
def weights(random_weights: Path) -> Path:
    return random_weights


def scored(given: Path, weights: Path, reference: np.ndarray, *, size: int = 512) -> ScoredShards:
    return score_shards(
        find_shards(str(given), size=size),
        HereEngine(),
        reference=reference,
        training=reference,
        weights=named_weights(weights),
        layer="192",
        epsilon=0.1,
    )


@pytest.fixture(scope="session")
def reference(weights: Path) -> np.ndarray:
    import torch

    extractor = FeatureExtractor(named_weights(weights), "192", device=torch.device("cpu"), workers=1)
    images = np.stack([np.asarray(picture(seed, (32, 32))) for seed in range(500, 508)])
    return extractor.features([images])


def test_shards_score_as_the_accumulator_does(tmp_path: Path, weights: Path, reference: np.ndarray) -> None:
    import io

    import torch
    from PIL import Image

    given = fill_shards(tmp_path / "in", 3, 8)
    found = scored(given, weights, reference)
    extractor = FeatureExtractor(named_weights(weights), "192", device=torch.device("cpu"), workers=1)
    accumulator = ScoreAccumulator(extractor)
    images = np.stack([np.asarray(Image.open(io.BytesIO(jpeg(seed)))) for seed in range(24)])
    accumulator.update(images, real=False)
    accumulator.update(np.stack([np.asarray(picture(seed, (32, 32))) for seed in range(500, 508)]), real=True)
    expected = accumulator.compute()
    assert found.score.fid == pytest.approx(expected.fid, rel=1e-6)  # the network's own rounding
    assert found.score.memorization_distance == pytest.approx(expected.memorization_distance, rel=1e-6)
    assert found.score.mifid == pytest.approx(expected.mifid, rel=1e-6)
    assert (found.score.num_generated, found.score.num_reference) == (24, 8)
    assert found.fid.low < found.score.fid < found.fid.high
    assert found.complete
    assert 0 < found.score.kid_subset_size <= 8


def test_bad_pictures_are_left_out_and_told(tmp_path: Path, weights: Path, reference: np.ndarray) -> None:
    files = [(place, f"{place}.jpg", jpeg(place)) for place in range(4)]
    files += [(4, "bad.jpg", b"no"), (5, "large.jpg", jpeg(1, (64, 64)))]
    (tmp_path / "in").mkdir()
    write_parquet(tmp_path / "in" / "a.parquet", files)
    (tmp_path / "in" / "b.parquet").write_bytes(b"PAR1")
    found = scored(tmp_path / "in", weights, reference)
    assert (found.score.num_generated, found.left_out, found.complete) == (4, 2, False)
    told = " ".join([*found.bad, *found.lost])
    assert len(found.lost) == found.lost_shards == found.numbers()["lost_shards"] == 1
    assert ["bad.jpg" in told, "1 of 64×64 pixels, unlike most" in told, "b.parquet" in told] == [True] * 3
    assert any("left out" in warning for warning in found.warnings)
    assert found.numbers()["left_out"] == 2


def test_most_images_have_the_size_that_is_scored(tmp_path: Path, weights: Path, reference: np.ndarray) -> None:
    (tmp_path / "in").mkdir()
    odd_first = [(0, "0.jpg", jpeg(0, (40, 32))), *((place, f"{place}.jpg", jpeg(place)) for place in range(1, 5))]
    write_parquet(tmp_path / "in" / "a.parquet", odd_first)
    write_parquet(tmp_path / "in" / "b.parquet", [(9, "9.jpg", jpeg(9, (40, 32)))])
    found = scored(tmp_path / "in", weights, reference)
    assert (found.score.num_generated, found.left_out, found.complete) == (4, 2, False)
    assert "2 of 40×32 pixels, unlike most" in found.bad[0]


def test_a_single_image_is_too_few(tmp_path: Path, weights: Path, reference: np.ndarray) -> None:
    write_parquet(tmp_path / "a.parquet", [(0, "0.jpg", jpeg(0)), (1, "1.jpg", b"")])
    with pytest.raises(InputError, match="1 images could be read.*empty file"):
        scored(tmp_path / "a.parquet", weights, reference)


def test_numbers_are_json_also_where_the_interval_has_no_end(
    tmp_path: Path, weights: Path, reference: np.ndarray
) -> None:
    write_parquet(tmp_path / "a.parquet", [(0, "0.jpg", jpeg(0)), (1, "1.jpg", jpeg(1))])
    numbers = scored(tmp_path / "a.parquet", weights, reference).numbers()
    assert json.loads(json.dumps(numbers, allow_nan=False))["num_generated"] == 2
