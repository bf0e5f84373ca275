"""The model card: `README.md` as model hubs have it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from monet import __version__
from monet.clock import format_duration
from monet.config import Config, flat, to_dict
from monet.exporting.made import Way
from monet.models import Direction, Generators

NAME = "README.md"

_SIGNATURE = "\n<!-- written by monet; changed where this is not its SHA-256: {} -->\n"
_CYCLE = "A CycleGAN (Zhu et al. 2017)"
_ONE_WAY = "A generative adversarial network from image to image, without the way back of a CycleGAN"
_WORDS = {"ab": "the first domain into the second (photo to painting)", "ba": "the second domain into the first"}


def model_card(
    generators: Generators,
    title: str,
    *,
    direction: Direction,
    pixels: bool,
    ways: Sequence[Way],
    score: Mapping[str, Any] | None,
) -> str:
    """Returns the card.

    Args:
        generators: of the model.
        title: its name.
        direction: of the ONNX file.
        pixels: it takes bytes; see `onnx_graph`.
        ways: what was exported as ONNX; see `GraphMaker`.
        score: a line of `scores.jsonl`, where it was scored.
    """
    settings = flat(to_dict(generators.config))
    defaults = flat(to_dict(Config()))
    crop = " × ".join(map(str, sorted(set(generators.config.data.crop))))
    return _signed(
        _template().render(
            title=title,
            version=__version__,
            directions=", and of ".join(_WORDS[direction] for direction in generators.by_direction),
            onnx=bool(ways),
            method=_CYCLE if generators.config.training.lambda_cycle else _ONE_WAY,
            pixels=pixels,
            direction=direction,
            ways=ways,
            learned=generators.learned,
            model=generators.config.model,
            parameters=sum(value.numel() for value in generators.by_direction["ab"].parameters()),
            both="ba" in generators.by_direction,
            duration=format_duration(generators.learned.seconds),
            settings=[(name, json.dumps(value)) for name, value in settings.items() if value != defaults[name]],
            score=score,
            crop=crop,
        )
    )


def is_model_card(path: Path) -> bool:
    """Returns whether a file is a card as monet wrote it: nobody has changed it since."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text == _signed(text[: text.rfind(_SIGNATURE.partition("{}")[0])])


def _signed(text: str) -> str:
    return text + _SIGNATURE.format(hashlib.sha256(text.encode()).hexdigest())


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("monet.exporting", ".")
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.get_template("card.md.jinja")
