"""Every setting of a run, as frozen dataclasses with a docstring a field.

The dataclasses are the single source: the command line (`--training.epochs 3`), the recipes (YAML) and `config.yaml` in
a run's folder are all made from them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from monet.clock import parse_duration
from monet.errors import InputError, shortened, shown
from monet.sizes import SIDE

TrackerName = Literal["clearml", "wandb", "tensorboard"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)

Direction = Literal["ab", "ba"]
"""`ab`: from photo to painting (and back, in a cycle); `ba`: from painting to photo."""
DIRECTIONS: tuple[Direction, Direction] = ("ab", "ba")

_MOST_EPOCHS = 10**6
_MOST_RATE = 100
"""Limits far beyond any use, as those of `_Bounded`."""
_LEAST_POOLED = 32
"""Pixels: four halvings leave 2×2, and instance normalisation needs more than one value."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(?::(?:0|[1-9][0-9]{0,2}))?")


def require_device_name(name: str) -> None:
    """Checks that a word names a device as settings and options do; whether it is there, only trying tells.

    Raises:
        ValueError: it does not.
    """
    _require(bool(_DEVICE.fullmatch(name)), f"no device {shown(name)}: give auto, cpu, cuda, cuda:0 or mps")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class _Bounded:
    """A group of settings whose numbers are all finite, and within limits.

    The upper limits of counts and sizes are far beyond any use: they keep a mistake, or settings of unknown
    origin, from taking all memory.
    """

    group: ClassVar[str]
    limits: ClassVar[dict[str, tuple[float, float]]]
    """The least and the most that a setting may be; words and null are not bounded."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for number in value if isinstance(value, (tuple, list)) else [value]:
                finite = not isinstance(number, float) or math.isfinite(number)
                _require(finite, f"{self.group}.{name} is {value}: give a finite number")
        for name, (least, most) in self.limits.items():
            value, or_else = getattr(self, name), self._or_else(name)
            for number in value if isinstance(value, tuple) else [value]:
                if isinstance(number, (int, float)):
                    _require(number >= least, f"{self.group}.{name} is {number}: give at least {least}{or_else}")
                    _require(number <= most, f"{self.group}.{name} is {number}: give {least} to {most}{or_else}")

    @classmethod
    def _or_else(cls, name: str) -> str:
        """Returns the word that may stand instead of a number."""
        annotation = get_type_hints(cls)[name]
        words = [word for part in get_args(annotation) if get_origin(part) is Literal for word in get_args(part)]
        words += ["null"] if type(None) in get_args(annotation) else []
        return "".join(f", or {word}" for word in words)


@dataclass(frozen=True, kw_only=True)
class DataConfig(_Bounded):
    """Images that are seen, their order and their augmentation."""

    group: ClassVar[str] = "data"
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "samples_per_epoch": (1, 10**9),
        "crop_size": (24, 8192),
        "load_size": (1, 8192),
        "rotate": (0, 180),
        "color_jitter": (0, 1),
    }

    samples_per_epoch: int | Literal["all"] = 1000
    """Pairs an epoch: a count, or `all` for as many as the larger domain has images."""
    sampling: Literal["fixed", "fresh"] = "fresh"
    """`fixed`: one random choice of samples_per_epoch photos for the whole run; `fresh`: all photos in turn."""
    resize: Literal["square", "shorter", "exact"] = "square"
    """How an image is brought to load_size: `square`: its centre square; `shorter`: whole, its shorter side to
    load_size (or more, where the crop needs it); `exact`: whole, to that height and width, whatever its ratio."""
    load_size: int | tuple[int, int] = 286
    """Side in pixels to which an image is brought before it is cropped; with resize `exact` also [height, width]."""
    crop_size: int | tuple[int, int] = SIDE
    """Side in pixels of the random crop that the networks see, or [height, width]."""
    flip: bool = True
    """Mirror half of the images left to right."""
    rotate: float = 0.0
    """Largest rotation in degrees, either way; 0 for none."""
    color_jitter: float = 0.0
    """Largest relative change of brightness, contrast and saturation, and of hue by a quarter of it; 0 for none."""
    pairing: Literal["unaligned", "aligned"] = "unaligned"
    """`aligned`: photo and painting of the same name are seen together, and cropped alike."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            self.resize == "exact" or isinstance(self.load_size, int),
            f"data.load_size is {self.load_size}: give one side, or data.resize exact",
        )
        least = (min(self.crop),) * 2 if self.resize == "shorter" else self.crop
        _require(
            all(load >= crop for load, crop in zip(self.load, least, strict=True)),
            f"data.load_size {self.load_size} is smaller than data.crop_size {self.crop_size}: give at least as much",
        )

    @property
    def load(self) -> tuple[int, int]:
        """Height and width in pixels to which images are brought; with resize `shorter` twice the shorter side."""
        return _height_and_width(self.load_size)

    @property
    def crop(self) -> tuple[int, int]:
        """Height and width in pixels of the crops that the networks see."""
        return _height_and_width(self.crop_size)


def _height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@dataclass(frozen=True, kw_only=True)
class ModelConfig(_Bounded):
    """The four networks."""

    group: ClassVar[str] = "model"
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "width": (1, 1024),
        "residual_blocks": (0, 200),
        "downsamplings": (1, 16),
        "discriminator_width": (1, 1024),
    }

    generator: Literal["resnet", "unet", "wavelet"] = "resnet"
    """`resnet`: Johnson et al. 2016, as in the CycleGAN paper; `unet`: the U-Net of pix2pix; `wavelet`: residual blocks
    between a Haar transform and its inverse."""
    width: int = 64
    """Channels of the generator's first layer."""
    residual_blocks: int = 9
    """Residual blocks of the `resnet` and `wavelet` generators."""
    downsamplings: int = 2
    """How often a generator halves its resolution; the transform of `wavelet` is the first time."""
    upsample: Literal["transpose", "resize"] = "transpose"
    """`transpose`: transposed convolution, as in the paper; `resize`: nearest-neighbour resize and convolution,
    which leaves no grid."""
    skip: bool = False
    """Add the generator's layers to their input: they learn the change alone, from none at all. For short runs."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation layers of all four networks."""
    discriminator: Literal["patch", "pooled", "wavelet"] = "patch"
    """`patch`: 70×70 PatchGAN; `pooled`: four convolutions of stride 2, and their map of verdicts averaged to one an
    image; `wavelet`: 56×56 patches as Haar coefficients of equal variance, which learns faster."""
    discriminator_width: int = 64
    """Channels of the discriminator's first layer."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(_Bounded):
    """How the networks are trained."""

    group: ClassVar[str] = "training"
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "epochs": (1, _MOST_EPOCHS),
        "batch_size": (1, 4096),
        "accumulation": (1, 4096),
        "workers": (1, 1024),
        "lambda_cycle": (0, 10**6),
        "lambda_identity": (0, 10**6),
        "pool_size": (0, 10**5),
        "save_every": (0, 10**6),
        "seed": (0, 2**63 - 1),
    }

    epochs: int | None = None
    """Length of the run in epochs; null: the clock decides."""
    stages: tuple[tuple[int, float], ...] = ()
    """Instead of epochs, learning_rate and decay_start: the epochs and the learning rate of one stage after the other,
    such as [[100, 2e-4], [20, 1e-4]]. Where a clock ends the run, they share its time as they would the epochs."""
    batch_size: int = 1
    """Pairs a step, in each process: where several train together, a step has that many times more."""
    accumulation: int = 1
    """Equal parts, at least so many (one a pair at most), that a batch goes through in; their gradients add up to the
    same step. Less memory."""
    activation_checkpointing: bool = False
    """Compute the generators' activations once more for the gradient instead of keeping them: half the memory, for
    about a fourth more time."""
    workers: int | None = None
    """Threads that share a step on a CPU (its directions, and parts of its batch); 1: each layer is divided among all
    threads instead; null: what a timed probe finds better."""
    learning_rate: float = 2e-4
    """Adam's learning rate until the decay starts."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the two moments."""
    decay_start: float = 0.5
    """Progress (0 to 1) at which the learning rate starts its linear way to 0; 1: it stays what it is."""
    lambda_cycle: float = 10.0
    """Weight of the cycle-consistency loss; 0 leaves it out, and with it the whole way back: one generator and one
    discriminator are trained, from photo to painting."""
    lambda_identity: float = 0.5
    """Weight of the identity loss, as a share of lambda_cycle; 0 leaves it out, and its passes too."""
    pool_size: int = 50
    """Fake images that each discriminator's image pool holds; 0 for none."""
    ema: float = 0.0
    """Decay of the exponential moving average of the generators' weights, a pair; 0 for none. It averages over a ninth
    of all pairs so far, and over 1 / (1 - ema) at most."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto`: bf16 where the hardware has it, fp16 with a gradient scaler where only that helps, else fp32."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; `auto`: where a compiler is at hand and the time is long enough to earn it back: from 10 minutes
    of training on a CUDA device; from 20 on a CPU, if there is a budget and the generator has a million parameters."""
    save_every: int = 10
    """Epochs between checkpoints that are kept; 0 keeps `last.pt` alone."""
    seed: int = 0
    """Source of every random choice."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rate = self.learning_rate
        _require(
            0 < rate <= _MOST_RATE, f"training.learning_rate is {rate}: give a number above 0, at most {_MOST_RATE}"
        )
        self._require_stages()
        _require(all(0 <= b < 1 for b in self.betas), f"training.betas is {self.betas}: give two numbers from 0 to 1")
        require_device_name(self.device)
        start = self.decay_start
        _require(0 <= start <= 1, f"training.decay_start is {start}: give a number from 0 to 1")
        _require(0 <= self.ema < 1, f"training.ema is {self.ema}: give a number from 0 to below 1")

    def _require_stages(self) -> None:
        if not self.stages:
            return
        for epochs, rate in self.stages:
            _require(
                epochs >= 1 and 0 < rate <= _MOST_RATE,
                f"training.stages has {epochs} epochs at {rate}: give at least 1 epoch, and a learning rate above 0, "
                f"at most {_MOST_RATE}",
            )
        total = sum(epochs for epochs, _ in self.stages)
        _require(total <= _MOST_EPOCHS, f"training.stages has {total} epochs: give at most {_MOST_EPOCHS}")
        _require(
            self.epochs is None,
            f"training.stages has {total} epochs, and training.epochs is {self.epochs}: give one of them "
            "(--training.stages [] is none)",
        )
        _require(
            self.learning_rate in (type(self).learning_rate, self.stages[0][1]),
            f"training.stages has learning rates, and training.learning_rate is {self.learning_rate}: give one of them",
        )

    @property
    def total_epochs(self) -> int | None:
        """Length of the run in epochs, over all stages; None where the clock decides."""
        return sum(epochs for epochs, _ in self.stages) if self.stages else self.epochs

    @property
    def rate_ends_at_0(self) -> bool:
        """The learning rate decays to 0 at the end."""
        return not self.stages and self.decay_start < 1

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that are trained: without a cycle there is no way back."""
        return DIRECTIONS if self.lambda_cycle > 0 else ("ab",)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig(_Bounded):
    """How photos are painted and written."""

    group: ClassVar[str] = "generation"
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "batch_size": (1, 4096),
        "quality": (1, 100),
    }

    batch_size: int = 8
    """Photos that go through the generator together."""
    quality: int = 95
    """JPEG quality, 1 to 100; chroma is kept whole (4:4:4)."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    """Data settings."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The networks."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How they are trained."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """How photos are painted."""
    budget: str | None = None
    """Wall-clock time of the whole process, from its start to its end (5h, 45m, 90s, 1h30m); null: no deadline."""
    horizon: str | None = None
    """Training time of the run at which the learning rate reaches 0; null: epochs, or else the budget, decide."""
    tracking: tuple[TrackerName, ...] = ()
    """Trackers that follow the run; offline where there are no credentials for them."""

    def __post_init__(self) -> None:
        for name in ("budget", "horizon"):
            if (value := getattr(self, name)) is not None:
                try:
                    parse_duration(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        for name in self.tracking:
            _require(name in TRACKERS, f"tracking has {name}: give {', '.join(TRACKERS)}")
        _require(
            not (self.training.activation_checkpointing and self.model.norm == "batch"),
            "training.activation_checkpointing with model.norm batch would count every batch twice in the running "
            "statistics: choose one of them",
        )
        _require(
            self.model.discriminator != "pooled" or min(self.data.crop) >= _LEAST_POOLED,
            f"data.crop_size is {self.data.crop_size}, and model.discriminator pooled halves it four times: give at "
            f"least {_LEAST_POOLED}",
        )
        part = 2**self.model.downsamplings
        for side, what in (*((side, "data.crop_size is") for side in self.data.crop), (SIDE, "photos are painted at")):
            _require(
                side % part == 0,
                f"{what} {side} pixels, which {self.model.downsamplings} downsamplings do not divide: "
                f"choose them so that it is a multiple of {part}",
            )

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds, if there is one."""
        return None if self.budget is None else parse_duration(self.budget)

    @property
    def horizon_seconds(self) -> float | None:
        """The horizon's time term in seconds, if it is given."""
        return None if self.horizon is None else parse_duration(self.horizon)


GROUPS: dict[str, type] = {group.group: group for group in (DataConfig, ModelConfig, TrainingConfig, GenerationConfig)}
"""The groups of settings by name."""


def to_dict(config: Config) -> dict[str, Any]:
    """Returns the settings as plain nested dicts, lists, numbers and strings: what YAML and checkpoints hold."""
    values: dict[str, Any] = _with_lists(dataclasses.asdict(config))
    return values


def _with_lists(values: Any) -> Any:
    """Returns nested values with lists in place of tuples."""
    if isinstance(values, Mapping):
        return {name: _with_lists(value) for name, value in values.items()}
    return [_with_lists(value) for value in values] if isinstance(values, (tuple, list)) else values


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def as_typed(value: Any, annotation: Any) -> Any:
    """Returns a value in the type of a setting: lists become tuples, and whole numbers do where any number is allowed.

    Raises:
        TypeError: it is of another type.
    """
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    for kind in kinds:
        origin, parts = get_origin(kind), get_args(kind)
        if origin is Literal and type(value) is str and value in parts:
            return value
        if origin is tuple and isinstance(value, (list, tuple)):
            items = [parts[0]] * len(value) if parts[1:] == (...,) else parts
            with contextlib.suppress(ValueError, TypeError):  # of another length, or of other types
                return tuple(as_typed(item, wanted) for item, wanted in zip(value, items, strict=True))
        if kind is float and type(value) is int and abs(value) < 2**63:
            return float(value)
        if origin is None and type(value) is kind:
            return value
    raise TypeError(f"{type(value).__name__} is not the type of this setting")


def from_dict(values: Mapping[str, Any]) -> Config:
    """Rebuilds the settings that `to_dict` wrote. Settings that are missing keep their defaults.

    Raises:
        InputError: a field is unknown, or its value is not allowed.
    """
    groups = {name: _typed_fields(group, values[name], f"{name}.") for name, group in GROUPS.items() if name in values}
    rest = {name: value for name, value in values.items() if name not in GROUPS}
    try:
        built = {name: GROUPS[name](**fields) for name, fields in groups.items()}
        return Config(**built, **_typed_fields(Config, rest, ""))
    except ValueError as error:
        raise InputError(str(error)) from error


def _typed_fields(group: type, values: Any, prefix: str) -> dict[str, Any]:
    """Returns the fields of a group, each in its type."""
    if not isinstance(values, Mapping):
        raise InputError(f"{prefix.rstrip('.')} is {shown(values)}: expected settings by their names")
    hints = {field.name: get_type_hints(group)[field.name] for field in dataclasses.fields(group)}
    found = {}
    for name, value in values.items():
        if name not in hints:
            raise InputError(f"{shortened(f'{prefix}{name}', 80)} is not a setting of this version of monet")
        try:
            found[name] = as_typed(value, hints[name])
        except TypeError:
            raise InputError(f"{prefix}{name} cannot be {shown(value)}") from None
    return found
