"""The engines by their names."""

from __future__ import annotations

from monet.errors import InputError
from monet.shards.engine import Engine, LocalEngine, Resources
from monet.shards.on_ray import RayEngine


def engine_called(name: str, resources: Resources, address: str | None) -> Engine:
    """Returns an engine.

    Args:
        name: `local` or `ray`.
        resources: what it uses.
        address: of Ray's cluster: `auto` for the one that this machine belongs to, or `host:6379`; None for one of its
            own.

    Raises:
        InputError: there is no such engine.
        MonetError: Ray is not installed.
    """
    if name == "local":
        if address is not None:
            raise InputError("--ray-address is for --engine ray")
        if resources.gpus_per_worker is not None:
            raise InputError("--gpus-per-worker is for --engine ray: with local --workers says how many share the GPUs")
        return LocalEngine(resources)
    if name == "ray":
        return RayEngine(resources, address)
    raise InputError(f"--engine is {name!r}: give local or ray")
