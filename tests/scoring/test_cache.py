from __future__ import annotations

import dataclasses
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monet.scoring.cache import FeatureCache, FeatureKey, _digest

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


def test_whatever_bit_of_an_entry_flips_the_features_are_the_same_or_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, FEATURES)
    path = tmp_path / KEY.name
    whole = path.read_bytes()
    again = 0
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        found = cache.get(KEY, FEATURES.shape)
        assert found is None or np.array_equal(found, FEATURES)  # a bit that says nothing of the features
        again += found is None
    assert again > len(whole) / 14
    assert caplog.text.count("computed again") == again


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_torn_entry_is_computed_again(tmp_path: Path, share: float) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, FEATURES)
    path = tmp_path / KEY.name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert cache.get(KEY) is None


NOT_FINITE = FEATURES.copy()
NOT_FINITE[2, 3] = np.nan


@pytest.mark.parametrize(
    "features",
    [
        FEATURES[:4],
        FEATURES[:, :6],
        np.concatenate([FEATURES, FEATURES]),
        FEATURES.ravel(),
        NOT_FINITE,
        np.where(FEATURES > 1, np.inf, FEATURES).astype(np.float32),
        FEATURES.astype(np.float64),
        FEATURES.astype(">f4"),
        np.asfortranarray(FEATURES),
        np.zeros((5, 7), np.int32),
        np.array("text"),
    ],
    ids=["rows", "columns", "twice", "flat", "nan", "inf", "double", "bytes swapped", "order", "integers", "text"],
)
def test_features_that_cannot_be_right_are_computed_again_whatever_the_digest_says(
    tmp_path: Path, features: NDArray[Any]
) -> None:
    cache = FeatureCache(tmp_path)
    np.savez(tmp_path / KEY.name, features=features, key=np.array(KEY.text), digest=np.array(_digest(features)))
    assert cache.get(KEY, FEATURES.shape) is None


def compressed(path: Path) -> None:
    np.savez_compressed(path, features=FEATURES, key=np.array(KEY.text), digest=np.array(_digest(FEATURES)))


def encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def without_a_part(path: Path) -> None:
    np.savez(path, features=FEATURES, key=np.array(KEY.text))


def of_another_kind(path: Path) -> None:
    np.save(path.with_suffix(".npy"), FEATURES)
    path.with_suffix(".npy").rename(path)


def huge(path: Path) -> None:
    """Features whose header promises far more than there is."""
    header = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)}
    np.lib.format.write_array_header_1_0(header, described)
    with zipfile.ZipFile(path, "w") as entry:
        entry.writestr("features.npy", header.getvalue() + FEATURES.tobytes())
        for name, text in (("key", KEY.text), ("digest", _digest(FEATURES))):
            with entry.open(f"{name}.npy", "w") as file:
                np.save(file, np.array(text))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    "change",
    [compressed, encrypted, without_a_part, of_another_kind, huge, a_pipe, a_folder, a_link_to_itself],
    ids=lambda change: change.__name__,
)
def test_an_entry_of_another_make_is_computed_again_with_one_line_in_the_log(
    tmp_path: Path, change: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(KEY, FEATURES)
    change(tmp_path / KEY.name)
    assert cache.get(KEY) is None
    assert [record.getMessage().count("computed again") for record in caplog.records] == [1]


def test_an_entry_that_is_too_large_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open(tmp_path / KEY.name, "wb") as file:
        file.truncate(2**40)
    assert FeatureCache(tmp_path).get(KEY, FEATURES.shape) is None
    assert "it is too large" in caplog.text


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
