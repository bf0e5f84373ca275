"""One update of all four networks. `step.py` says what is minimised; here is how that fits the machine.

The batch goes through in parts where memory is short, on several processes where there are some, in the precision that
is fastest. None of it changes the mathematics: gradients of parts add up, and those of processes are averaged.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monet.config import Config
from monet.device import Precision, autocast
from monet.distributed import Group
from monet.errors import MonetError
from monet.models import Networks
from monet.threads import in_order
from monet.training.guard import Guard
from monet.training.memory import equal_parts, out_of_memory, pairs_at_once, recomputing, slices
from monet.training.pool import ImagePool
from monet.training.state import TrainingState, memory_format
from monet.training.step import DIRECTIONS, Direction, discriminator_loss, generator_pass, mixes_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """What came of one direction, or one discriminator, on one part of a batch."""

    gradients: Sequence[Tensor]
    """Of the parameters that it is for."""
    losses: dict[str, Tensor]
    """Scalars by name, each times the part's share of the batch."""
    fake: Tensor | None = None
    """The generated images, (B, 3, H, W)."""


@dataclass(frozen=True)
class _Half:
    """Work that needs nothing of the other half: one direction of the cycle, or one discriminator."""

    parameters: list[nn.Parameter]
    """What it has gradients for."""
    work: Callable[[slice, float], _Found]
    """Takes a part of a batch and its share of the whole."""


class Updater:
    """Takes steps with all four networks.

    Args:
        config: the settings.
        state: what is trained; changed in place.
        device: where the networks are.
        group: the processes that train together.
    """

    def __init__(self, config: Config, state: TrainingState, device: torch.device, group: Group | None = None) -> None:
        self.state = state
        self.networks = recomputing(state.networks) if config.training.activation_checkpointing else state.networks
        """The networks as they are called: they share their weights with the state's, and may be compiled."""
        self.parts = config.training.accumulation
        """Equal parts, at least, that a batch goes through in."""
        self.pool: Executor | None = None
        """Threads that share the work of a step; without them it is done in order."""
        self.between_steps = True
        """The state is that after a whole step, though gradients may be there for the next one."""
        self.guard = Guard(device, list(state.networks.named().values()))
        self._training = config.training
        self._device = device
        self._group = group or Group()
        self._eager = self.networks
        self._compiled: tuple[Networks, Precision] | None = None

    @property
    def compiled(self) -> bool:
        """Compiled networks take the steps."""
        return self._compiled is not None

    def use_compiled(self, networks: Networks, precision: Precision) -> None:
        """Calls compiled networks from now on, for steps in one precision: another one would compile them again."""
        self.networks, self._compiled = networks, (networks, precision)

    def use_eager(self, error: Exception) -> bool:
        """Calls the networks as they are from now on, if compiled ones were called, and says why. Returns whether."""
        if self._compiled is None or self.networks is not self._compiled[0]:
            return False
        cause = getattr(error, "inner_exception", error)  # what the compiler wraps tells nothing in its first line
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else "no reason"
        logger.warning("torch.compile fails here (%s: %s): going on without it", type(cause).__name__, reason)
        self.networks, self._compiled = self._eager, None
        return True

    def update(self, real_a: Tensor, real_b: Tensor, pairs: range, precision: Precision) -> Tensor:
        """Computes the gradients of all four networks, then lets both optimizers take a step.

        Args:
            real_a: this process's photos, (B, 3, H, W), −1…1.
            real_b: its paintings, alike.
            pairs: those of all processes.
            precision: of the convolutions.

        Returns:
            The losses over all processes, in the order of `loss_names`.

        Raises:
            MonetError: the accelerator runs out of memory even with the batch in twice as many parts.
        """
        state = self.state
        if self._compiled:
            self.networks = self._compiled[0] if precision == self._compiled[1] else self._eager
        self.guard.begin_step()
        try:
            losses = self._gradients_and_losses(real_a, real_b, pairs, precision)
            self.between_steps = False
            self._optimize(losses, scaled=precision == "fp16")
        except Exception as error:
            if self.between_steps:
                with contextlib.suppress(RuntimeError):  # of a device that fails for good: the error before says why
                    self._abandon_step()
            if out_of_memory(error):
                raise self._too_large(len(real_a), error) from error
            raise
        for pool in state.pools.values():
            pool.settle(self.guard.good)
        if state.ema:
            state.ema.update(pairs.start, len(pairs), self.guard.takes)
        self.between_steps = True
        return losses.float()

    def _gradients_and_losses(self, real_a: Tensor, real_b: Tensor, pairs: range, precision: Precision) -> Tensor:
        """Leaves the mean gradients over all processes with the networks. Returns the mean losses."""
        state, group = self.state, self._group
        made, fake_a, fake_b = self.generator_gradients(real_a, real_b, precision)
        group.all_reduce_mean([made])()
        shown_a, shown_b = (
            self._exchange(state.pools[name], fakes, pairs) for name, fakes in (("a", fake_a), ("b", fake_b))
        )
        averaged = group.all_reduce_mean(
            _gradients(state.networks.generators())
        )  # goes on while the discriminators are at it
        judged = self.discriminator_gradients(real_a, real_b, shown_a, shown_b, precision)
        group.all_reduce_mean([judged])()
        averaged()
        group.all_reduce_mean(_gradients(state.networks.discriminators()))()
        return torch.cat([made, judged])

    def _abandon_step(self) -> None:
        """Leaves the state as it was before the step."""
        self.guard.abandon_step()
        for pool in self.state.pools.values():
            pool.settle(torch.zeros((), dtype=torch.bool, device=self._device))
        for optimizer in self.state.optimizers.values():
            optimizer.zero_grad()

    def generator_gradients(
        self, real_a: Tensor, real_b: Tensor, precision: Precision
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Leaves the gradients of a batch with the generators.

        Returns:
            The generators' total loss and its terms, and the fake photos and paintings, (B, 3, H, W).
        """
        training, parameters = self._training, self.state.networks.generators()

        def translate(direction: Direction, part: slice, share: float) -> _Found:
            with autocast(self._device, precision):
                made = generator_pass(
                    self.networks,
                    direction,
                    real_a[part],
                    real_b[part],
                    lambda_cycle=training.lambda_cycle,
                    lambda_identity=training.lambda_identity,
                )
            gradients = self._gradients(share * made.total, parameters, precision)
            return _Found(gradients, _detached(share, made.losses), made.fake)

        halves = [_Half(parameters, functools.partial(translate, direction)) for direction in DIRECTIONS]
        found = self._in_parts(halves, len(real_a))
        terms = _summed(itertools.chain.from_iterable(found))
        names = loss_names(training.lambda_identity > 0)[1:-2]
        losses = torch.stack([terms[name] for name in names])
        fake_b, fake_a = (torch.cat([each.fake for each in parts if each.fake is not None]) for parts in found)
        return torch.cat([losses.sum(0, keepdim=True), losses]), fake_a, fake_b

    def discriminator_gradients(
        self, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor, precision: Precision
    ) -> Tensor:
        """Leaves the gradients of a batch with the discriminators. Returns their losses."""

        def judge(name: str, real: Tensor, fake: Tensor, part: slice, share: float) -> _Found:
            with autocast(self._device, precision):
                loss = discriminator_loss(self.networks.named()[name], real[part], fake[part])
            gradients = self._gradients(share * loss, parameters[name], precision)
            return _Found(gradients, _detached(share, {name: loss}))

        shown = {"discriminator_a": (real_a, fake_a), "discriminator_b": (real_b, fake_b)}
        parameters = {name: list(self.state.networks.named()[name].parameters()) for name in shown}
        halves = [_Half(parameters[name], functools.partial(judge, name, *images)) for name, images in shown.items()]
        terms = _summed(itertools.chain.from_iterable(self._in_parts(halves, len(real_a))))
        return torch.stack([terms[name] for name in shown])

    def _exchange(self, pool: ImagePool, fakes: Tensor, pairs: range) -> Tensor:
        """Every process has the whole pool: it stores the fakes of all, and takes those for its own pairs."""
        if pool.size == 0:
            return fakes
        shown = pool.exchange(self._group.all_gather(fakes), pairs, pairs.start - self.state.counters.skipped)
        own = self._group.shard(range(len(pairs)))
        return shown[own.start : own.stop]

    def _in_parts(self, halves: Sequence[_Half], size: int) -> list[list[_Found]]:
        """Does both halves of the work for every part of a batch, and leaves the sums of the gradients; once more, with
        twice as many parts, if memory runs out, and without the compiler, if that fails.

        Returns:
            What each half found, as a list over the parts.
        """
        before, split = self.guard.buffers(), False
        while True:
            try:
                return self._attempt(halves, size)
            except Exception as error:
                if out_of_memory(error):
                    if split:
                        raise self._too_large(size, error) from error
                    self._split(size, error)
                    split = True
                elif not self.use_eager(error):
                    raise
            for parameter in itertools.chain.from_iterable(half.parameters for half in halves):
                parameter.grad = None  # outside of the handler: the error holds on to what filled the memory
            self.guard.restore(before)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _attempt(self, halves: Sequence[_Half], size: int) -> list[list[_Found]]:
        """The gradients are added up in the same order, whether there is a pool or not."""
        parts = slices(size, self.parts)
        results = in_order([functools.partial(half.work, *part) for part in parts for half in halves], self.pool)
        found: list[list[_Found]] = [[] for _ in halves]
        for _ in parts:
            for half, kept in zip(halves, found, strict=True):
                result = next(results)
                _add(half.parameters, result.gradients)
                kept.append(dataclasses.replace(result, gradients=()))
        return found

    def _split(self, size: int, error: Exception) -> None:
        """Doubles the parts, at least, for this step and all that follow."""
        before = equal_parts(size, self.parts)
        if before == size or self._mixes_images():
            raise self._too_large(size, error) from error
        self.parts = equal_parts(size, 2 * before)
        logger.warning(
            "out of memory with %s (%s): from now on in %d parts whose gradients are added up, which is the same step",
            pairs_at_once(size, before),
            str(error).splitlines()[0][:120],
            self.parts,
        )

    def _mixes_images(self) -> bool:
        return any(mixes_images(network) for network in self.state.networks.named().values())

    def _too_large(self, size: int, error: Exception) -> MonetError:
        """What is left to do where no split helps."""
        ways = ["another run with a smaller --data.crop_size or --model.width"]
        if size > 1:
            ways.insert(0, "a smaller --training.batch_size")
        if self.pool:
            ways.insert(0, "--training.workers 1")
        if not (self._training.activation_checkpointing or self._mixes_images()):
            ways.insert(0, "--training.activation_checkpointing true")
        tried = pairs_at_once(size, self.parts)
        return MonetError(
            f"out of memory with {tried} ({str(error).splitlines()[0][:120]}): go on with --resume and "
            + ", or ".join(ways)
        )

    def _gradients(self, loss: Tensor, parameters: list[nn.Parameter], precision: Precision) -> Sequence[Tensor]:
        loss = self.guard.poison(loss)
        return torch.autograd.grad(self.state.scaler.scale(loss) if precision == "fp16" else loss, parameters)

    def _optimize(self, losses: Tensor, *, scaled: bool) -> None:
        """Lets both optimizers take the step, or, where a loss or a gradient is not finite, none of them."""
        state = self.state
        if scaled:
            for optimizer in state.optimizers.values():
                state.scaler.unscale_(optimizer)
        parameters = state.networks.generators() + state.networks.discriminators()
        self.guard.check_finite(losses, parameters, may_overflow=scaled)
        self._group.all_reduce_mean(self.guard.statistics)()
        for optimizer in state.optimizers.values():
            if optimizer.defaults["fused"]:
                optimizer.found_inf = self.guard.found_inf  # type: ignore[attr-defined]
                optimizer.step()
            elif self.guard.takes:  # asks the device: only where it has no fused optimizer
                optimizer.step()
            optimizer.zero_grad()
        if scaled:
            state.scaler.update()


def loss_names(identity: bool) -> list[str]:
    """The names of the losses that `Updater.update` returns.

    Args:
        identity: there is an identity loss.
    """
    names = ["generator", "adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b"]
    return [*names, *(["identity_a", "identity_b"] if identity else []), "discriminator_a", "discriminator_b"]


def trial_step(updater: Updater, config: Config, device: torch.device, precision: Precision) -> None:
    """A step's passes there and back on empty images, of which nothing stays but what batch norm remembers."""
    side = config.data.crop_size
    images = torch.zeros(config.training.batch_size, 3, side, side, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    try:
        _, fake_a, fake_b = updater.generator_gradients(images, images, precision)
        shown_a, shown_b = (torch.stack(tuple(fake)) for fake in (fake_a, fake_b))  # as the image pool gives them out
        updater.discriminator_gradients(images, images, shown_a, shown_b, precision)
    finally:
        for network in updater.state.networks.named().values():
            network.zero_grad()


def _add(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """Adds gradients to those that are there. They get the layout of their parameters, as from `backward`."""
    if parameters[0].grad is None:
        sums = [_like(parameter, gradient) for parameter, gradient in zip(parameters, gradients, strict=True)]
    else:
        sums = list(torch._foreach_add(_gradients(parameters), list(gradients)))
    for parameter, gradient in zip(parameters, sums, strict=True):
        parameter.grad = gradient


def _like(parameter: Tensor, gradient: Tensor) -> Tensor:
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def _detached(share: float, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: share * loss.detach() for name, loss in losses.items()}


def _summed(found: Iterable[_Found]) -> dict[str, Tensor]:
    """The losses over all parts, by name."""
    sums: dict[str, Tensor] = {}
    for each in found:
        sums |= {name: sums[name] + loss if name in sums else loss for name, loss in each.losses.items()}
    return sums


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
