"""The processes that train together, on one machine or several, and what they tell each other."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from monet.errors import FailedElsewhere, LostProcess, MonetError, first_line

T = TypeVar("T")

_WITHIN_A_STEP = datetime.timedelta(minutes=10)
"""Nccl is used within steps alone, where the others may at most compile in the meantime. Longer means that it hangs."""
_CALL, _VALUE, _ERROR = range(3)
"""Messages of the first process to the others: call the probe; here is the value; an error ends it."""


class Group:
    """The processes of a run; as it stands, one that trains alone.

    Attributes:
        rank: number of this process, from 0. The first one decides whatever time decides, and alone writes files.
        local_rank: its number among those on this machine.
        world_size: processes altogether.
        local_world_size: those of them on this machine.
    """

    rank = 0
    local_rank = 0
    world_size = 1
    local_world_size = 1

    def use(self, device: torch.device) -> None:
        """Tells where the tensors will be that are averaged and gathered."""

    def broadcast_object(self, decide: Callable[[], T]) -> T:
        """Calls a function on the first process alone, and returns its result, or raises its error, on all."""
        return decide()

    def on_rank_zero(self, action: Callable[[], T]) -> T | None:
        """Calls a function on the first process alone, while the others wait. Returns its result there, and None on the
        others; raises its error on all."""
        return action()

    def register_probe(self, measure: Callable[[], float]) -> None:
        """Hands in what `gather_probe` calls on this process."""
        self._measure = measure

    def gather_probe(self) -> list[float]:
        """Calls, within `broadcast_object`, what `register_probe` was given, on all processes at the same time."""
        return [self._measure()]

    def any_rank(self, flag: bool) -> bool:
        """Returns True on all processes if it is on one of them."""
        return flag

    def barrier(self) -> None:
        """Waits until all processes are here."""

    def shard(self, items: range) -> range:
        """Returns this process's part of a range: the first process has the first part, and so on."""
        return items

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> Callable[[], None]:  # noqa: ARG002
        """Begins to replace tensors by their means over the processes; the function that it returns completes that.

        Args:
            tensors: of one type, on one device, of the same shapes on all processes.
        """
        return _nothing

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Returns the tensors of all processes, one after the other: (B, …) => (world_size · B, …)."""
        return tensor

    def gather_object(self, thing: T) -> list[T]:
        """Returns the objects of all processes by rank on the first one; an empty list on the others."""
        return [thing]


class ProcessGroup(Group):
    """Several processes, joined by torch.distributed.

    What they agree on goes from host to host by gloo and waits for no accelerator; tensors on CUDA go by nccl.

    Args:
        rank: number of this process, from 0.
        local_rank: its number among those on this machine.
        world_size: processes altogether.
        local_world_size: those of them on this machine.
        init_method: where they meet; `env://` for what torchrun has set.
        timeout: seconds after which a process that says nothing counts as lost.
    """

    def __init__(
        self,
        rank: int,
        local_rank: int,
        world_size: int,
        local_world_size: int,
        *,
        init_method: str = "env://",
        timeout: float = 1800.0,
    ) -> None:
        self.rank, self.local_rank = rank, local_rank
        self.world_size, self.local_world_size = world_size, local_world_size
        self._timeout = datetime.timedelta(seconds=timeout)
        dist.init_process_group(
            "gloo", init_method=init_method, rank=rank, world_size=world_size, timeout=self._timeout
        )
        self._tensors: Any = None

    def use(self, device: torch.device) -> None:
        """As `Group.use`."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
            timeout = min(self._timeout, _WITHIN_A_STEP)
            self._tensors = _talk(lambda: dist.new_group(backend="nccl", timeout=timeout))
            self.all_reduce_mean([torch.zeros(1, device=device)])()  # it joins at the first use: while there is memory

    def broadcast_object(self, decide: Callable[[], T]) -> T:
        """As `Group.broadcast_object`; the result is sent pickled."""
        if self.rank:
            return self._follow()
        value = self._try(decide)
        self._tell(_VALUE, value)
        return value

    def on_rank_zero(self, action: Callable[[], T]) -> T | None:
        """As `Group.on_rank_zero`; the result is not sent."""
        if self.rank:
            self._follow()
            return None
        result = self._try(action)
        self._tell(_VALUE)
        return result

    def gather_probe(self) -> list[float]:
        """As `Group.gather_probe`."""
        self._tell(_CALL)
        return self.gather_object(self._measure())

    def any_rank(self, flag: bool) -> bool:
        """As `Group.any_rank`."""
        flags = torch.tensor([float(flag)])
        _talk(lambda: dist.all_reduce(flags, dist.ReduceOp.MAX))
        return bool(flags.item())

    def barrier(self) -> None:
        """As `Group.barrier`."""
        _talk(lambda: dist.barrier())

    def shard(self, items: range) -> range:
        """As `Group.shard`."""
        size = len(items) // self.world_size
        return items[self.rank * size : (self.rank + 1) * size]

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> Callable[[], None]:
        """As `Group.all_reduce_mean`."""
        if not tensors:
            return _nothing
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        work: Any = _talk(lambda: dist.all_reduce(flat, group=self._tensors, async_op=True))

        def finish() -> None:
            _talk(work.wait)
            flat.div_(self.world_size)
            means = torch.split(flat, [tensor.numel() for tensor in tensors])
            for tensor, mean in zip(tensors, means, strict=True):
                tensor.detach().copy_(mean.view(tensor.shape))

        return finish

    def all_gather(self, tensor: Tensor) -> Tensor:
        """As `Group.all_gather`."""
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        _talk(lambda: dist.all_gather(parts, tensor, group=self._tensors))
        return torch.cat(parts)

    def gather_object(self, thing: T) -> list[T]:
        """As `Group.gather_object`; things are sent pickled."""
        things: list[Any] | None = None if self.rank else [None] * self.world_size
        _talk(lambda: dist.gather_object(thing, things))
        return things or []

    def _try(self, action: Callable[[], T]) -> T:
        """Calls a function of the first process, for whose result the others wait; tells them if it fails."""
        try:
            return action()
        except MonetError as error:
            self._tell(_ERROR, error.exit_code)
            raise

    def _tell(self, kind: int, value: object = None) -> None:
        _talk(lambda: dist.broadcast_object_list([kind, value]))

    def _follow(self) -> Any:
        """Does what the first process asks for until it sends its result."""
        while True:
            received: list[Any] = [None, None]
            _talk(lambda: dist.broadcast_object_list(received))  # noqa: B023 (called at once)
            kind, value = received
            if kind == _VALUE:
                return value
            if kind == _ERROR:
                raise FailedElsewhere("the first process of this run says why", value)
            self.gather_object(self._measure())


def _nothing() -> None:
    """Waits for nothing."""


def _talk(exchange: Callable[[], T]) -> T:
    """Says in one line what a broken connection means."""
    try:
        return exchange()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # gloo has no class of its own for a broken connection
        raise LostProcess(
            f"lost another process of this run ({first_line(error)[:120]}): its own message says why; --resume "
            "continues from the last checkpoint"
        ) from error
