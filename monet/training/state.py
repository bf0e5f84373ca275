"""The state of a training: all that changes while a run is trained, as checkpoints hold it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from monet.config import Config, to_dict
from monet.data.stream import Purpose
from monet.device import Precision
from monet.errors import InputError, first_line
from monet.models import Networks, build_networks
from monet.training.ema import MovingAverage
from monet.training.events import Incident
from monet.training.pool import ImagePool


@dataclass
class Counters:
    """The position of a run."""

    step: int = 0
    """Steps taken."""
    pairs: int = 0
    """Pairs seen; also the index of the next pair."""
    skipped: int = 0
    """Pairs seen whose step was not taken."""
    seconds: float = 0.0
    """Training time."""
    progress: float = 0.0
    """Share of the horizon behind, 0 to 1; never decreases."""
    fp32_until: int = 0
    """Until this many pairs are seen, training is in fp32, whatever the precision."""


@dataclass
class TrainingState:
    """Networks, averages, optimizers, gradient scaler, image pools and counters of a run."""

    networks: Networks
    ema: MovingAverage | None
    optimizers: dict[str, torch.optim.Adam]
    scaler: torch.amp.GradScaler
    pools: dict[str, ImagePool]
    counters: Counters = field(default_factory=Counters)
    incidents: list[Incident] = field(default_factory=list)

    @classmethod
    def create(cls, config: Config, device: torch.device, precision: Precision) -> TrainingState:
        """Creates the state at pair 0, on the device."""
        training = config.training
        networks = build_networks(config.model, training.seed)
        for network in networks.named().values():
            network.to(device).to(memory_format=memory_format(device))
        generators = {"generator_ab": networks.generator_ab, "generator_ba": networks.generator_ba}
        return cls(
            networks,
            MovingAverage(generators, training.ema) if training.ema > 0 else None,
            {
                name: torch.optim.Adam(
                    parameters, training.learning_rate, training.betas, fused=device.type in ("cpu", "cuda")
                )
                for name, parameters in (
                    ("generators", networks.generators(training.directions)),
                    ("discriminators", networks.discriminators(training.directions)),
                )
            },
            new_scaler(device, precision),
            {
                "a": ImagePool(training.pool_size, training.seed, Purpose.POOL_A),
                "b": ImagePool(training.pool_size, training.seed, Purpose.POOL_B),
            },
        )

    def painting_networks(self) -> Networks:
        """Returns the networks, with averaged generators where the run has them."""
        averaged = self.ema.networks if self.ema else {}
        return Networks(**{**self.networks.named(), **averaged})

    def state_dict(self) -> dict[str, Any]:
        """Returns the contents of a checkpoint, without those that belong to the run as a whole."""
        return {
            "networks": _state_dicts(self.networks.named()),
            "ema": _state_dicts(self.ema.networks) if self.ema else None,
            "optimizers": _state_dicts(self.optimizers),
            "scaler": self.scaler.state_dict(),
            "pools": _state_dicts(self.pools),
            "counters": asdict(self.counters),
            "incidents": [asdict(incident) for incident in self.incidents],
        }

    def load_state_dict(self, contents: dict[str, Any], device: torch.device) -> None:
        """Loads the contents of a checkpoint.

        Raises:
            InputError: the networks in the checkpoint are not those of the settings.
        """
        try:
            for name, network in self.networks.named().items():
                network.load_state_dict(contents["networks"][name])
            if self.ema:
                for name, network in self.ema.networks.items():
                    network.load_state_dict((contents["ema"] or contents["networks"])[name])
            for name, optimizer in self.optimizers.items():
                # The moments are the checkpoint's; learning rate, betas, kernels, and where `step` is, this process's.
                options = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": contents["optimizers"][name]["state"], "param_groups": options})
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"the checkpoint does not fit the settings ({first_line(error)}): use its own recipe"
            ) from error
        if self.scaler.is_enabled() and contents["scaler"]:
            self.scaler.load_state_dict(contents["scaler"])
        for name, pool in self.pools.items():
            pool.load_state_dict(contents["pools"][name], device)
        self.counters = Counters(**contents["counters"])
        self.incidents = [Incident(**incident) for incident in contents["incidents"]]


def memory_format(device: torch.device) -> torch.memory_format:
    """Returns the memory layout in which training is fastest: channels last on CUDA; plain NCHW elsewhere."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def new_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """Creates a gradient scaler, which does nothing unless the precision is fp16."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def run_facts(
    config: Config, precision: Precision, photos: int, paintings: int, *, workers: int = 1, device: str = "cpu"
) -> dict[str, Any]:
    """Returns the contents of a checkpoint that belong to the run as a whole: settings, and the choices that were made
    on this machine where these leave them open."""
    data = {"photos": photos, "paintings": paintings}
    chosen = {"device": device, "precision": precision, "workers": workers}
    return {"config": to_dict(config), "data": data, **chosen}


def _state_dicts(objects: Any) -> dict[str, Any]:
    return {name: item.state_dict() for name, item in objects.items()}
