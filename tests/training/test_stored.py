from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monet import checkpoint
from monet.checkpoint.contents import digest
from monet.checkpoint.schema import SCHEMA, Added
from monet.clock import Horizon
from monet.config import ModelConfig
from monet.errors import InputError
from monet.models import networks_without_memory
from monet.training.stored import load_checkpoint
from tests.training.comparison import differences
from tests.training.test_trainer import EVERYTHING, Bench


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a run with averaged weights, full pools and all counters above 0."""
    bench = Bench(tiny_data, tmp_path_factory.mktemp("stored"), *EVERYTHING)
    bench.spoiled = {3}
    assert bench.run(Horizon(pairs=12, seconds=1e6)).decay_finished
    return bench.folder / checkpoint.LAST


@pytest.fixture
def stored(trained: Path) -> dict[str, Any]:
    return load_checkpoint(trained)


def written(path: Path, contents: dict[str, Any]) -> Path:
    """A file with the right digest, whatever it holds."""
    contents = {**contents, "format": checkpoint.FORMAT, "version": checkpoint.VERSION}
    try:
        mark = digest(contents)
    except (TypeError, RuntimeError):
        mark = "none"
    torch.save({**contents, "digest": mark}, path)
    return path


def refused(path: Path) -> str:
    """What is said of a file that must not be read."""
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400 + 2 * len(str(path))
    assert said.startswith(f"checkpoint {path} ")
    return said


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value that is no dict and no list."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def changed(contents: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The contents with another value at one place; tensors are shared."""
    found = _copied(contents)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def test_what_a_run_saves_is_what_is_read(trained: Path, stored: dict[str, Any], tmp_path: Path) -> None:
    assert stored.keys() == {*SCHEMA, "format", "version"}
    assert stored["counters"]["skipped"] == 2
    assert stored["incidents"]
    assert differences(stored, load_checkpoint(written(tmp_path / "again.pt", stored))) == []


@pytest.mark.parametrize("section", sorted(SCHEMA))
def test_a_section_that_is_missing_or_of_the_wrong_type_is_named(
    stored: dict[str, Any], tmp_path: Path, section: str
) -> None:
    for value in ({"x": 1}, {1: 1}, torch.zeros(2), -1):
        said = refused(written(tmp_path / "x.pt", {**stored, section: value}))
        assert section in said or "settings" in said or "x is not a setting" in said
    without = written(tmp_path / "x.pt", {name: value for name, value in stored.items() if name != section})
    if isinstance(fact := SCHEMA[section], Added):
        assert load_checkpoint(without)[section] == fact.default
    else:
        assert f"is damaged: it holds no {section}; use another file in {tmp_path}" in refused(without)


def test_a_section_that_is_unknown_is_named(stored: dict[str, Any], tmp_path: Path) -> None:
    changes: list[dict[Any, Any]] = [{"x": 1}, {"counters": {**stored["counters"], "x": 1}}, {1: 1}]
    for change in changes:
        assert "unknown to this version of monet" in refused(written(tmp_path / "x.pt", {**stored, **change}))


ODD: list[Any] = [
    "",
    "x" * 10**6,
    -1,
    -0.5,
    2**62,
    2**70,
    math.nan,
    math.inf,
    [],
    {},
    torch.zeros(3),
    torch.ones(2).to_sparse(),
]


def plain_leaves(contents: dict[str, Any]) -> list[tuple[Any, ...]]:
    sections = {name: contents[name] for name in ("precision", "data", "horizon", "counters", "incidents", "scaler")}
    return list(leaves(sections))


def test_no_number_and_no_word_outside_the_settings_may_be_another_kind_of_value(
    stored: dict[str, Any], tmp_path: Path
) -> None:
    for number, path in enumerate(plain_leaves(stored)):
        odd = ODD[number % len(ODD)]
        said = refused(written(tmp_path / "x.pt", changed(stored, path, odd)))
        assert ".".join(str(key) for key in path if type(key) is str) in said.replace("[0]", "")


def test_settings_that_would_take_all_memory_are_refused_before_they_take_any(
    stored: dict[str, Any], tmp_path: Path
) -> None:
    for path, value, message in (
        (("config", "model", "width"), 1_000_000, "in its settings, model.width is 1000000: give 1 to 1024"),
        (("config", "model", "residual_blocks"), 10_000_000, "model.residual_blocks is 10000000: give 0 to 200"),
        (("config", "model", "width"), 1024, "has the shape [4, 3, 7, 7], its settings make it [1024, 3, 7, 7]"),
        (("config", "model", "residual_blocks"), 200, "is missing"),
        (("config", "training", "pool_size"), 100_000, "its settings make it [100000, 3, 32, 32]"),
        (("config", "model", "generator"), "unet", "is missing"),
        (("config", "model", "norm"), "batch", "is unknown to its settings"),
    ):
        assert message in refused(written(tmp_path / "x.pt", changed(stored, path, value)))


def test_what_settings_make_is_compared_without_taking_memory_for_it() -> None:
    for network in networks_without_memory(ModelConfig()).named().values():
        assert {value.device.type for value in network.state_dict().values()} == {"meta"}


def test_a_tensor_that_is_not_finite_is_named(stored: dict[str, Any], tmp_path: Path) -> None:
    weight = "layers.1.weight"
    for path in (
        ("networks", "generator_ba", weight),
        ("ema", "generator_ab", weight),
        ("optimizers", "discriminators", "state", 3, "exp_avg_sq"),
        ("pools", "b", "images"),
    ):
        found = copy.deepcopy(stored)
        place: Any = found
        for key in path:
            place = place[key]
        place.view(-1)[-1] = math.inf
        name = ".".join(map(str, path)).replace(".3.", "[3].")
        assert f"is damaged: {name} holds numbers that are not finite" in refused(written(tmp_path / "x.pt", found))


Change = Callable[[dict[str, Any]], dict[str, Any]]


def tensor_at(*path: Any) -> Callable[[Callable[[Tensor], Any]], Change]:
    def through(change: Callable[[Tensor], Any]) -> Change:
        def applied(contents: dict[str, Any]) -> dict[str, Any]:
            value: Any = contents
            for key in path:
                value = value[key]
            return changed(contents, path, change(value))

        return applied

    return through


WEIGHT = tensor_at("networks", "generator_ab", "layers.1.weight")
IMAGES = tensor_at("pools", "a", "images")
SQUARES = tensor_at("optimizers", "generators", "state", 0, "exp_avg_sq")
MOMENT = tensor_at("optimizers", "generators", "state", 0, "exp_avg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (WEIGHT(lambda x: x[:2]), "networks.generator_ab.layers.1.weight has the shape [2, 3, 7, 7]"),
        (WEIGHT(lambda x: x.double()), "is torch.float64, its settings make it torch.float32"),
        (WEIGHT(lambda x: x.to(torch.complex64)), "is a tensor that no run saves"),
        (WEIGHT(lambda x: x.to_sparse()), "is a tensor that no run saves"),
        (WEIGHT(lambda x: torch.zeros(1).expand(10**6, 10**6)), "is larger than the file: its shape is"),
        (WEIGHT(lambda _: 3), "is 3, expected a tensor"),
        (IMAGES(lambda x: x[:3]), "pools.a.images has the shape [3, 3, 32, 32]"),
        (IMAGES(lambda x: x.long()), "is torch.int64, its settings make it floating-point"),
        (IMAGES(lambda x: x.double()), "pools.a.images is torch.float64, and no network makes such images"),
        (IMAGES(lambda _: None), "pools.a.images is missing"),
        (SQUARES(lambda x: x - 1), "optimizers.generators.state.0.exp_avg_sq has values below 0"),
        (MOMENT(lambda x: x.view(-1)), "optimizers.generators.state.0.exp_avg has the shape"),
        (lambda c: changed(c, ("ema",), None), "ema is None where training.ema is 0.9"),
        (lambda c: changed(c, ("ema", "generator_ab"), {}), "is missing"),
        (lambda c: changed(c, ("networks", "x"), {}), "networks holds 'x'"),
        (lambda c: changed(c, ("networks", "generator_ab", 1), torch.zeros(1)), "has 1 for a name, expected str"),
        (lambda c: changed(c, ("optimizers", "generators", "state", 999), {}), "holds no step"),
        (lambda c: changed(c, ("counters", "pairs"), 1), "counters.step is 5, more than the 1 pairs seen"),
        (lambda c: changed(c, ("horizon",), {"pairs": None, "seconds": None}), "neither pairs nor seconds"),
        (lambda c: changed(c, ("horizon", "pairs"), True), "horizon.pairs is True, expected an integer"),
        (
            lambda c: changed(c, ("counters", "progress"), 1.5),
            "counters.progress is 1.5, expected a number of 0 to 1",
        ),
    ],
)
def test_what_does_not_belong_together_is_named(
    stored: dict[str, Any], tmp_path: Path, change: Change, message: str
) -> None:
    assert message in refused(written(tmp_path / "x.pt", change(stored)))


def test_a_run_that_has_not_taken_a_step_has_no_moments_and_no_images(stored: dict[str, Any], tmp_path: Path) -> None:
    for path, value in (
        (("optimizers", "generators", "state"), {}),
        (("pools", "a", "images"), None),
        (("pools", "b", "images"), None),
        (("counters", "pairs"), 0),
        (("counters", "step"), 0),
        (("counters", "skipped"), 0),
        (("horizon", "pairs"), None),
        (("incidents",), []),
    ):
        stored = changed(stored, path, value)
    assert differences(load_checkpoint(written(tmp_path / "x.pt", stored)), stored) == []


def test_structures_without_an_end_are_refused(stored: dict[str, Any], tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    wide: Any = [0]
    for _ in range(8):
        wide = [wide] * 10
    shared = torch.zeros(100_000)
    for value in (endless, wide, [shared] * 1000):
        groups = changed(stored, ("optimizers", "generators", "param_groups"), value)
        assert "than" in refused(written_as_is(tmp_path / "x.pt", groups))


def written_as_is(path: Path, contents: dict[str, Any]) -> Path:
    torch.save({**contents, "format": checkpoint.FORMAT, "version": 1, "digest": ""}, path)
    return path


def test_a_flipped_bit_is_noticed_wherever_it_changes_what_is_read(
    trained: Path, stored: dict[str, Any], tmp_path: Path
) -> None:
    data, path = trained.read_bytes(), tmp_path / "x.pt"
    directory = data.index(b"PK\x01\x02")
    chosen = random.Random(0)
    places = [chosen.randrange(len(data)) for _ in range(20)] + [
        chosen.randrange(directory, len(data)) for _ in range(40)
    ]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chosen.randrange(8)
        path.write_bytes(flipped)
        try:
            found = load_checkpoint(path)
        except InputError:
            continue
        assert differences(stored, found) == []
