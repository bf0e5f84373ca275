"""Computing a step's losses and gradients on a given machine. `step.py` says which they are.

A batch goes through in parts where memory is short, on threads where there are some, by compiled networks where these
help, and once more where memory or the compiler fails. None of it changes the mathematics: gradients of parts add up.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monet.config import Config
from monet.device import Precision, autocast
from monet.distributed import Group
from monet.errors import first_line
from monet.models import Networks
from monet.threads import in_order
from monet.training.guard import Guard
from monet.training.losses import Losses, mixes_images
from monet.training.memory import OutOfMemory, equal_parts, out_of_memory, pairs_at_once, recomputing, slices
from monet.training.state import TrainingState

logger = logging.getLogger(__name__)

_LONGEST_REASON = 120
"""Characters of an error's first line that a message quotes."""


@dataclass(frozen=True)
class Task:
    """Losses that need nothing of other tasks: one direction of the cycle, or one discriminator."""

    losses: Callable[[Networks, Tensor, Tensor], Losses]
    """Computes them for two batches of images, (B, 3, H, W) each."""
    images: tuple[Tensor, Tensor]
    """The two batches."""
    parameters: list[nn.Parameter]
    """The parameters that the losses have gradients for."""


class Execution:
    """The state of a run, and how this machine computes steps with it.

    Args:
        config: the settings.
        state: what is trained; changed in place.
        device: where the networks are.
        precision: of the convolutions, but for steps in fp32 after a rollback.
        group: the processes that train together.
    """

    def __init__(
        self,
        config: Config,
        state: TrainingState,
        device: torch.device,
        precision: Precision,
        group: Group | None = None,
    ) -> None:
        self.config, self.state = config, state
        self.device, self.precision = device, precision
        self.group = group or Group()
        self.guard = Guard(device, list(state.networks.named().values()))
        self.parts = config.training.accumulation
        """Least number of equal parts that a batch is split into."""
        self.threads: Executor | None = None
        """Threads that share the tasks and parts of a step; without them these are computed one after the other."""
        self.updating = False
        """The optimizers are at work on the state, which is no longer that after a whole step."""
        self._eager = recomputing(state.networks) if config.training.activation_checkpointing else state.networks
        self._compiled: Networks | None = None

    @property
    def compiled(self) -> bool:
        """Compiled networks take the steps of the run's precision."""
        return self._compiled is not None

    def networks_for(self, precision: Precision) -> Networks:
        """Returns the networks as steps in a precision call them: they share their weights with the state's.

        Compiled ones take only steps in the run's precision: another one would compile them again.
        """
        return self._compiled if self._compiled and precision == self.precision else self._eager

    def use_compiled(self, networks: Networks) -> None:
        """Calls compiled networks in later steps of the run's precision."""
        self._compiled = networks

    def use_eager(self, error: Exception) -> None:
        """Calls the networks as they are from now on, and logs why."""
        cause = getattr(error, "inner_exception", error)  # what the compiler wraps tells nothing in its first line
        kind, reason = type(cause).__name__, first_line(cause)
        logger.warning("torch.compile fails here (%s: %s): continuing without it", kind, reason)
        self._compiled = None

    @contextlib.contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """Leaves the state as it was where a step fails before its optimizers begin.

        Raises:
            OutOfMemory: memory ran out. Any other error is raised as it is.
        """
        self.guard.begin_step()
        try:
            yield
        except Exception as error:
            if not self.updating:
                with contextlib.suppress(RuntimeError):  # of a device that fails for good: the error before says why
                    self.abandon_step()
            if out_of_memory(error):
                raise self._out_of_memory_error(self.config.training.batch_size, error) from error
            raise
        self.updating = False

    def abandon_step(self) -> None:
        """Leaves the state as it was before the step."""
        self.guard.abandon_step()
        for pool in self.state.pools.values():
            pool.finish_exchange(torch.zeros((), dtype=torch.bool, device=self.device))
        for optimizer in self.state.optimizers.values():
            optimizer.zero_grad()

    def forward_backward(self, tasks: Sequence[Task], precision: Precision) -> list[Losses]:
        """Computes the losses of tasks, and leaves the sums of their gradients with the parameters. Retries once with
        twice as many parts after memory ran out, and without `torch.compile` after that failed.

        Returns:
            The losses of each task over the whole batch, without gradient.

        Raises:
            OutOfMemory: memory runs out where no split helps.
        """
        size, buffers, retried = len(tasks[0].images[0]), self.guard.buffers(), False
        while True:
            networks = self.networks_for(precision)
            try:
                return self._backward_in_parts(tasks, networks, precision)
            except Exception as error:
                if out_of_memory(error):
                    if retried:
                        raise self._out_of_memory_error(size, error) from error
                    self.split(size, error)
                    retried = True
                elif networks is self._compiled:
                    self.use_eager(error)
                else:
                    raise
            for parameter in itertools.chain.from_iterable(task.parameters for task in tasks):
                parameter.grad = None  # outside of the handler: the error holds on to what filled the memory
            self.guard.restore(buffers)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _backward_in_parts(self, tasks: Sequence[Task], networks: Networks, precision: Precision) -> list[Losses]:
        """Adds up the gradients, in the same order with threads and without."""
        calls = [
            functools.partial(self._losses_and_gradients, task, networks, precision, part, share)
            for part, share in slices(len(tasks[0].images[0]), self.parts)
            for task in tasks
        ]
        found: list[list[Losses]] = [[] for _ in tasks]
        for number, (losses, gradients) in enumerate(in_order(calls, self.threads)):
            _add(tasks[number % len(tasks)].parameters, gradients)
            found[number % len(tasks)].append(losses)
        return [_joined(parts) for parts in found]

    def _losses_and_gradients(
        self, task: Task, networks: Networks, precision: Precision, part: slice, share: float
    ) -> tuple[Losses, Sequence[Tensor]]:
        """Computes a task for a part of its images, weighted with the part's share of the batch."""
        with autocast(self.device, precision):
            losses = task.losses(networks, task.images[0][part], task.images[1][part])
        loss = self.guard.nan_after_bad_step(share * losses.total)
        loss = self.state.scaler.scale(loss) if precision == "fp16" else loss
        gradients = torch.autograd.grad(loss, task.parameters)
        return Losses({name: share * term.detach() for name, term in losses.terms.items()}, losses.fakes), gradients

    def split(self, size: int, error: Exception) -> None:
        """Doubles the parts, at least, for this step and all that follow.

        Raises:
            OutOfMemory: nothing is left to split, or layers look at the whole batch.
        """
        before = equal_parts(size, self.parts)
        if before == size or self._mixes_images():
            raise self._out_of_memory_error(size, error) from error
        self.parts = equal_parts(size, 2 * before)
        logger.warning(
            "out of memory with %s (%s): from now on in %d parts whose gradients are added up, which is the same step",
            pairs_at_once(size, before),
            _reason(error),
            self.parts,
        )

    def _mixes_images(self) -> bool:
        return any(mixes_images(network) for network in self.state.networks.named().values())

    def _out_of_memory_error(self, size: int, error: Exception) -> OutOfMemory:
        """Returns the error that says what to change where no split helps."""
        ways = ["another run with a smaller --data.crop_size or --model.width"]
        if size > 1:
            ways.insert(0, "a smaller --training.batch_size")
        if self.threads:
            ways.insert(0, "--training.workers 1")
        if not (self.config.training.activation_checkpointing or self._mixes_images()):
            ways.insert(0, "--training.activation_checkpointing true")
        return OutOfMemory(
            f"out of memory with {pairs_at_once(size, self.parts)} ({_reason(error)}): continue with --resume and "
            + ", or ".join(ways)
        )


def _reason(error: Exception) -> str:
    return first_line(error)[:_LONGEST_REASON]


def _joined(parts: Sequence[Losses]) -> Losses:
    """Sums the terms of all parts, and joins their fakes."""
    sums: dict[str, Tensor] = {}
    for part in parts:
        sums |= {name: sums[name] + term if name in sums else term for name, term in part.terms.items()}
    return Losses(sums, tuple(torch.cat(fakes) for fakes in zip(*(part.fakes for part in parts), strict=True)))


def _add(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """Adds gradients to those that are there. They get the layout of their parameters, as from `backward`."""
    if parameters[0].grad is None:
        sums = [_in_layout_of(parameter, gradient) for parameter, gradient in zip(parameters, gradients, strict=True)]
    else:
        present = [parameter.grad for parameter in parameters if parameter.grad is not None]
        sums = list(torch._foreach_add(present, list(gradients)))
    for parameter, gradient in zip(parameters, sums, strict=True):
        parameter.grad = gradient


def _in_layout_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
