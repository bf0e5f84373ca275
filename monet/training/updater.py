"""One update of all four networks. `step.py` says what is minimised; here is how that fits the machine.

The batch goes through in parts where memory is short, on several processes where there are some, in the precision that
is fastest. None of it changes the mathematics: gradients of parts add up, and those of processes are averaged.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from monet.config import Config
from monet.device import Precision, autocast
from monet.distributed import Group
from monet.errors import MonetError
from monet.models import Networks
from monet.training.guard import Guard
from monet.training.pool import ImagePool
from monet.training.state import TrainingState
from monet.training.step import discriminator_losses, generator_pass, mixes_images

logger = logging.getLogger(__name__)

Work = Callable[[slice, float], list[Tensor]]
"""Takes a part of a batch and its share of the whole, leaves gradients, and returns what it found."""


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
        self.networks = _recomputing(state.networks) if config.training.activation_checkpointing else state.networks
        """The networks as they are called: they share their weights with the state's, and may be compiled."""
        self.parts = config.training.accumulation
        self.guard = Guard(device, list(state.networks.named().values()))
        self._training = config.training
        self._device = device
        self._group = group or Group()

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
        state, group = self.state, self._group
        self.guard.begin_step()
        made, fake_a, fake_b = self.generator_gradients(real_a, real_b, precision)
        group.average([made])()
        keep = self.guard.good & torch.isfinite(made[0])
        shown_a, shown_b = (
            self._exchange(state.pools[name], fakes, pairs, keep) for name, fakes in (("a", fake_a), ("b", fake_b))
        )
        averaged = group.average(_gradients(state.networks.generators()))  # goes on while the discriminators are at it
        judged = self.discriminator_gradients(real_a, real_b, shown_a, shown_b, precision)
        group.average([judged])()
        averaged()
        group.average(_gradients(state.networks.discriminators()))()

        losses = torch.cat([made, judged])
        # Gradients that overflow in fp16 are the scaler's business; elsewhere they are as bad as a bad loss.
        scaled = precision == "fp16"
        self.guard.judge(losses, [] if scaled else state.networks.generators() + state.networks.discriminators())
        group.average(self.guard.statistics)()
        self._optimize(scaled)
        if state.ema:
            state.ema.update(pairs.start, len(pairs), self.guard.good)
        return losses.float()

    def generator_gradients(
        self, real_a: Tensor, real_b: Tensor, precision: Precision
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Leaves the gradients of a batch with the generators.

        Returns:
            The generators' total loss and its terms, and the fake photos and paintings, (B, 3, H, W).
        """
        training = self._training

        def work(part: slice, share: float) -> list[Tensor]:
            with autocast(self._device, precision):
                made = generator_pass(
                    self.networks,
                    real_a[part],
                    real_b[part],
                    lambda_cycle=training.lambda_cycle,
                    lambda_identity=training.lambda_identity,
                )
            self._backward(share * made.total, self.state.networks.generators(), precision)
            return [share * torch.stack([made.total, *made.losses.values()]).detach(), made.fake_a, made.fake_b]

        losses, fake_a, fake_b = self._in_parts(work, len(real_a), self.state.networks.generators())
        return torch.stack(losses).sum(0), torch.cat(fake_a), torch.cat(fake_b)

    def discriminator_gradients(
        self, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor, precision: Precision
    ) -> Tensor:
        """Leaves the gradients of a batch with the discriminators. Returns their losses."""

        def work(part: slice, share: float) -> list[Tensor]:
            with autocast(self._device, precision):
                judged = discriminator_losses(self.networks, real_a[part], real_b[part], fake_a[part], fake_b[part])
            losses = share * torch.stack(list(judged.values()))
            self._backward(losses.sum(), self.state.networks.discriminators(), precision)
            return [losses.detach()]

        (losses,) = self._in_parts(work, len(real_a), self.state.networks.discriminators())
        return torch.stack(losses).sum(0)

    def _exchange(self, pool: ImagePool, fakes: Tensor, pairs: range, keep: Tensor) -> Tensor:
        """Every process has the whole pool: it stores the fakes of all, and takes those for its own pairs."""
        if pool.size == 0:
            return fakes
        shown = pool.exchange(self._group.gather(fakes), pairs, pairs.start - self.state.counters.skipped, keep)
        own = self._group.share(range(len(pairs)))
        return shown[own.start : own.stop]

    def _in_parts(self, work: Work, size: int, parameters: list[nn.Parameter]) -> list[list[Tensor]]:
        """Does the work for every part of a batch; once more, with twice as many parts, if memory runs out.

        Returns:
            What was found, each thing as a list over the parts.
        """

        def attempt() -> list[list[Tensor]]:
            found = [work(part, share) for part, share in _parts(size, self.parts)]
            return [list(column) for column in zip(*found, strict=True)]

        try:
            return attempt()
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            self._split(size, error)
        for parameter in parameters:  # outside of the handler: the error holds on to what filled the memory
            parameter.grad = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            return attempt()
        except RuntimeError as error:
            if _out_of_memory(error):
                raise self._too_large(size, error) from error
            raise

    def _split(self, size: int, error: RuntimeError) -> None:
        """Doubles the parts for this step and all that follow."""
        if self.parts >= size or self._mixes_images():
            raise self._too_large(size, error) from error
        before, self.parts = self.parts, min(2 * self.parts, size)
        logger.warning(
            "out of memory with %s (%s): from now on in %d parts whose gradients are added up, which is the same step",
            _pairs_at_once(size, before),
            str(error).splitlines()[0][:120],
            self.parts,
        )

    def _mixes_images(self) -> bool:
        return any(mixes_images(network) for network in self.state.networks.named().values())

    def _too_large(self, size: int, error: RuntimeError) -> MonetError:
        """What is left to do where no split helps."""
        ways = ["another run with a smaller --data.crop_size or --model.width"]
        if size > 1:
            ways.insert(0, "a smaller --training.batch_size")
        if not (self._training.activation_checkpointing or self._mixes_images()):
            ways.insert(0, "--training.activation_checkpointing true")
        tried = _pairs_at_once(size, min(self.parts, size))
        return MonetError(
            f"out of memory with {tried} ({str(error).splitlines()[0][:120]}): go on with --resume and "
            + ", or ".join(ways)
        )

    def _backward(self, loss: Tensor, parameters: list[nn.Parameter], precision: Precision) -> None:
        loss = self.guard.poison(loss)
        (self.state.scaler.scale(loss) if precision == "fp16" else loss).backward(inputs=parameters)  # type: ignore[no-untyped-call]

    def _optimize(self, scaled: bool) -> None:
        for optimizer in self.state.optimizers.values():
            if scaled:
                self.state.scaler.step(optimizer)
            elif optimizer.defaults["fused"]:
                optimizer.found_inf = self.guard.found_inf  # type: ignore[attr-defined]
                optimizer.step()
            elif self.guard.good:  # asks the device: only where it has no fused optimizer
                optimizer.step()
            optimizer.zero_grad()
        if scaled:
            self.state.scaler.update()


def loss_names(identity: bool) -> list[str]:
    """The names of the losses that `Updater.update` returns.

    Args:
        identity: there is an identity loss.
    """
    names = ["generator", "adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b"]
    return [*names, *(["identity_a", "identity_b"] if identity else []), "discriminator_a", "discriminator_b"]


class Recomputing(nn.Module):
    """A network that keeps no activations for its gradient, but computes them once more (Chen et al. 2016)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """What the network makes of `x`."""
        return checkpoint(self.network, x, use_reentrant=False, preserve_rng_state=False)  # it draws no random numbers


def _recomputing(networks: Networks) -> Networks:
    """The generators: next to them the discriminators keep little."""
    generators = {
        "generator_ab": Recomputing(networks.generator_ab),
        "generator_ba": Recomputing(networks.generator_ba),
    }
    return Networks(**{**networks.named(), **generators})


def _parts(size: int, count: int) -> list[tuple[slice, float]]:
    """Slices of nearly equal length, one an item at most, each with its share of the whole."""
    bounds = [size * part // min(count, size) for part in range(min(count, size) + 1)]
    return [(slice(start, stop), (stop - start) / size) for start, stop in itertools.pairwise(bounds)]


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _out_of_memory(error: RuntimeError) -> bool:
    """PyTorch's allocator has a class for it; MPS and CUDA's libraries have only words."""
    words = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def _pairs_at_once(size: int, parts: int) -> str:
    pairs = -(-size // parts)
    return f"{pairs} pairs at once" if pairs > 1 else "one pair at once"
