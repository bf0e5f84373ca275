from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from monet.scoring.cache import FeatureCache, FeatureKey

KEY = FeatureKey(images="a", weights="b", layer="768")
FEATURES = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def test_features_come_back_for_their_key_and_no_other(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "new")
    assert cache.get(KEY) is None
    cache.put(KEY, FEATURES)
    found = cache.get(KEY)
    assert found is not None
    assert np.array_equal(found, FEATURES)
    for change in ({"images": "x"}, {"weights": "x"}, {"layer": "64"}, {"version": 2}):
        assert cache.get(dataclasses.replace(KEY, **change)) is None


def test_a_damaged_entry_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, FEATURES)
    path = tmp_path / KEY.name
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        found = cache.get(KEY)
        assert found is None or np.array_equal(found, FEATURES)  # a byte that says nothing of the features
    path.write_bytes(whole[: len(whole) // 2])
    assert cache.get(KEY) is None
    assert "computed again" in caplog.text


def test_an_entry_under_a_wrong_name_is_not_trusted(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, FEATURES)
    other = dataclasses.replace(KEY, images="other")
    (tmp_path / KEY.name).rename(tmp_path / other.name)
    assert cache.get(other) is None


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / KEY.name, features=np.array([{}], dtype=object), key=KEY.text, digest="x")
    assert FeatureCache(tmp_path).get(KEY) is None


def test_a_cache_without_a_place_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FeatureCache(None).put(KEY, FEATURES)
    assert FeatureCache(None).get(KEY) is None
    (tmp_path / "file").write_text("")
    FeatureCache(tmp_path / "file").put(KEY, FEATURES)
    assert "features are not kept" in caplog.text
