"""Checkpoints that say what cannot be, sealed as the program itself seals them."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.campaign.checkpoints import RESUME, paints_the_same, whole
from tests.campaign.stage import Case, Stage

Forge = Callable[[dict[str, Any]], object]


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the tensors.
    """
    yield from _leaves()
    yield from _tensors(random.Random(seed))
    yield from _other_objects()


def _resealed(stage: Stage, path: Path, forge: Forge) -> None:
    """Writes a forged checkpoint as the program itself would write it, with whatever seals it."""
    from monet import checkpoint
    from monet.errors import MonetError

    contents = torch.load(io.BytesIO(whole(stage)), weights_only=True)
    forge(contents)
    own = {name: contents.pop(name, None) for name in ("format", "version")}
    if own == {"format": checkpoint.FORMAT, "version": checkpoint.VERSION}:
        with contextlib.suppress(MonetError, RuntimeError, TypeError):  # what no program could seal is written as it is
            checkpoint.save(path, {name: value for name, value in contents.items() if not _is_seal(name)})
            return
    torch.save({**own, **contents}, path)


def _is_seal(name: object) -> bool:
    return isinstance(name, str) and ("digest" in name or "sha" in name or "seal" in name)


def _forged(
    name: str, forge: Forge, *, both: bool = True, codes: Sequence[int] = (2,), quick: bool = False
) -> Iterator[Case]:
    """A forged checkpoint cannot be trained further; painting with it fails, or gives the same pixels."""
    # checkpoint.save writes through PyTorch, which computes nothing, so this process may do it.

    def resumed(stage: Stage) -> None:
        stage.needs("data", "run")
        _resealed(stage, stage.path("run/checkpoints/last.pt"), forge)
        stage.run(*RESUME, codes=codes, limit=40, may_change=("run/*",) if 0 in codes else ())

    def painted(stage: Stage) -> None:
        _resealed(stage, stage.path("c.pt"), forge)
        paints_the_same(stage, limit=40)

    yield Case(f"forged/{name}, resumed", resumed, quick=quick)
    if both:
        yield Case(f"forged/{name}, painted with", painted, quick=quick)


def _setting(path: str, value: Any) -> Forge:
    def forge(contents: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        place: Any = contents
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        place[last] = value

    return forge


def _removing(path: str) -> Forge:
    def forge(contents: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        place: Any = contents
        for name in parents:
            place = place[name]
        del place[last]

    return forge


def _leaves() -> Iterator[Case]:
    """Everything in a checkpoint that is no tensor, with a value that it cannot have."""
    inf, nan = float("inf"), float("nan")
    wrong: dict[str, Sequence[Any]] = {
        "format": ("x", None, 3),
        "version": (0, 99, "1", None, 1.5, -1, True),
        "precision": ("fp64", None, 3, ["fp32"]),
        "networks": (None, [], {}, 3),
        "ema": ([], 3, {}),
        "optimizers": (None, {}, 3),
        "scaler": (None, 3, {"scale": nan}),
        "pools": (None, {}, [], {"a": 1, "b": 2}),
        "counters": (None, {}, [], 3),
        "incidents": (None, 3, [3], [{"x": 1}], {}),
        "config": (None, {}, [], 3),
        "data": (None, {}, [], 3),
        "horizon": (None, {}, 3, []),
        "counters/pairs": (-1, 1.5, "8", None, nan, 2**70),
        "counters/step": (-1, "x", None, 0.5),
        "counters/seconds": (-1.0, nan, inf, "x", None),
        "counters/progress": (-0.1, 1.5, nan, "x", None),
        "counters/skipped": (-1, "x"),
        "counters/fp32_until": (-1, "x", nan),
        "counters/more": (1,),
        "horizon/pairs": (0, -1, "x", nan, 1.5),
        "horizon/seconds": (-1.0, nan, inf, "x"),
        "horizon/more": (1,),
        "data/photos": (0, -1, "x", None, 2**70),
        "data/paintings": (0, "x"),
        "config/model/width": (0, 1_000_000, "4", None, 4.5, nan),
        "config/model/residual_blocks": (-1, 10_000_000, "x", None),
        "config/model/downsamplings": (0, 60, 8, "x", 10**6),
        "config/model/discriminator_width": (0, 1_000_000, None),
        "config/model/generator": ("x", None, 3),
        "config/model/norm": ("x", []),
        "config/model/upsample": ("x",),
        "config/model/skip": ("x", 3, None),
        "config/model/more": (1,),
        "config/more": (1,),
        "config/training/learning_rate": (nan, -1.0, "x", None, inf),
        "config/training/betas": ([], [0.5], "x", [nan, 0.9], None, [0.5, 0.9, 0.9]),
        "config/training/batch_size": (0, "x", 2**70),
        "config/training/epochs": (0, "x", 1.5),
        "config/training/seed": (-1, "x", 2**63),
        "config/training/device": ("tpu", None, 3),
        "config/training/ema": (1.0, nan, "x"),
        "config/training/precision": ("x",),
        "config/training/save_every": (-1, "x"),
        "config/training/pool_size": (-1, "x"),
        "config/data/crop_size": (0, 10**9, "x"),
        "config/data/load_size": (1, "x", nan),
        "config/data/samples_per_epoch": (0, "x", nan),
        "config/data/flip": ("x", None),
        "config/generation/quality": (0, 101, "x", nan),
        "config/generation/batch_size": (0, "x"),
        "config/budget": (3, "x", "٣m"),
        "config/horizon": (3, "x"),
        "config/tracking": (["x"], 3, "wandb"),
        "config/data": (None, []),
        "config/training": (None, 3),
    }
    for path, values in wrong.items():
        for number, value in enumerate(values):
            shown = repr(value)[:20]
            quick = (path, number) in (("config/model/width", 1), ("counters/progress", 2))
            yield from _forged(f"{path} is {shown}", _setting(path, value), both=number == 0, quick=quick)
    for path in [
        *(name for name in wrong if "/" not in name and name != "ema"),
        "counters/pairs",
        "counters/seconds",
        "data/photos",
        "config/model",
    ]:
        codes = (0, 2) if path == "config/model" else (2,)
        yield from _forged(
            f"{path} is missing", _removing(path), both=path in ("config", "networks", "config/model"), codes=codes
        )


def _tensors(chance: random.Random) -> Iterator[Case]:
    """Tensors with values, shapes and types that they cannot have."""

    def every(contents: dict[str, Any], section: str) -> list[tuple[dict[str, Any], str]]:
        """Each float tensor of a section, as the dict that holds it and its name there."""
        found: list[tuple[dict[str, Any], str]] = []

        def walk(value: Any) -> None:
            for name, item in value.items() if isinstance(value, dict) else ():
                if isinstance(item, torch.Tensor) and item.is_floating_point() and item.numel():
                    found.append((value, name))
                else:
                    walk(item)

        walk(contents[section])
        return found

    def poisoned(tensor: torch.Tensor, value: float) -> torch.Tensor:
        flat = tensor.clone().flatten()
        flat[0] = value
        return flat.view(tensor.shape)

    changes: dict[str, Callable[[torch.Tensor], Any]] = {
        "NaN": lambda tensor: poisoned(tensor, float("nan")),
        "infinite": lambda tensor: poisoned(tensor, float("inf")),
        "of another shape": lambda tensor: tensor.flatten()[:-1],
        "of another rank": lambda tensor: tensor[None],
        "empty": lambda tensor: tensor.flatten()[:0],
        "of integers": lambda tensor: tensor.to(torch.int64),
        "complex": lambda tensor: tensor.to(torch.complex64),
        "in half precision": lambda tensor: tensor.to(torch.float16),
        "in double precision": lambda tensor: tensor.to(torch.float64),
        "sparse": lambda tensor: tensor.to_sparse(),
        "without values": lambda tensor: tensor.to("meta"),
        "a number": lambda tensor: 1.0,
        "None": lambda tensor: None,
        "a list": lambda tensor: tensor.tolist(),
        "one value in all places": lambda tensor: torch.zeros(1).expand(10**6, 10**4),
    }
    for section in ("networks", "ema", "optimizers", "pools"):
        for name, change in changes.items():
            share = chance.random()

            def forge(
                contents: dict[str, Any],
                section: str = section,
                change: Callable[[torch.Tensor], Any] = change,
                share: float = share,
            ) -> None:
                tensors = every(contents, section)
                place, key = tensors[int(share * len(tensors))]
                place[key] = change(place[key])

            both = section in ("networks", "ema")
            codes = (0, 2) if "precision" in name else (2,)
            yield from _forged(
                f"a tensor of {section} is {name}",
                forge,
                both=both,
                codes=codes,
                quick=(section, name) == ("ema", "NaN"),
            )
    for section in ("networks", "ema"):

        def without(contents: dict[str, Any], section: str = section) -> None:
            place, key = every(contents, section)[0]
            del place[key]

        def more(contents: dict[str, Any], section: str = section) -> None:
            place, _ = every(contents, section)[0]
            place["more"] = torch.ones(3)

        yield from _forged(f"a tensor of {section} is missing", without)
        yield from _forged(f"{section} have a tensor more", more)


def _other_objects() -> Iterator[Case]:
    """Objects in places where none should be."""
    for name, value in {
        "a deep list": [[]],
        "bytes": b"x" * 100,
        "a set": {1, 2},
        "a key that is a number": {1: 2},
        "a long text": "x" * 5_000_000,
    }.items():

        def forge(contents: dict[str, Any], value: Any = value, name: str = name) -> None:
            if name == "a deep list":
                for _ in range(400):
                    value = [value]
            contents["more"] = value

        yield from _forged(f"{name} in a section of its own", forge, codes=(0, 2))
