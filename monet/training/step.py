"""One step of CycleGAN training, in the order of the paper (Zhu et al. 2017, sections 3 and 4).

The losses are in `losses.py`; how a machine computes them (parts of a batch, threads, retries) is in `execution.py`.
"""

from __future__ import annotations

import functools

from torch import Tensor, nn

from monet.device import Precision
from monet.models import Direction
from monet.training.execution import Execution, Task
from monet.training.losses import Domain, Losses, discriminator_losses, generator_losses, in_order_of_names, loss_names
from monet.training.pool import ImagePool


def train_step(execution: Execution, real_a: Tensor, real_b: Tensor, pairs: range, precision: Precision) -> Tensor:
    """Updates all networks once. A step that is not finite changes nothing (see `Guard`).

    Args:
        execution: the state, which is changed in place, and how this machine computes.
        real_a: this process's photos, (B, 3, H, W), −1…1.
        real_b: its paintings, in the same shape.
        pairs: the indices of the pairs of all processes.
        precision: of the convolutions.

    Returns:
        The mean losses over all processes, in the order of `loss_names`; the device may still be computing them.

    Raises:
        OutOfMemory: memory runs out with the batch in twice as many parts, too, or it cannot be split.
    """
    state, group, names = execution.state, execution.group, loss_names(execution.config.training)
    generators, discriminators = state.networks.generators(), state.networks.discriminators()
    with execution.undone_on_failure():
        # Generators: translate there and back; losses and gradients of all directions.
        translated = execution.forward_backward(generator_tasks(execution, real_a, real_b), precision)
        # Image pools: the discriminators see earlier fakes, too.
        shown = {
            domain: exchange(execution, state.pools[domain], fakes, pairs)
            for domain, fakes in fakes_by_domain(execution, translated).items()
        }
        wait_for_generators = group.all_reduce_mean(gradients(generators))  # while the discriminators compute
        # Discriminators: losses and gradients on real images and on those fakes.
        judged = execution.forward_backward(discriminator_tasks(execution, real_a, real_b, shown), precision)
        losses = in_order_of_names([*translated, *judged], names)
        group.all_reduce_mean([losses])()
        wait_for_generators()
        group.all_reduce_mean(gradients(discriminators))()
        # Both optimizers, or none of them.
        step_optimizers(execution, losses, scaled=precision == "fp16")
        # Exponential moving average of the generators.
        if state.ema:
            state.ema.update(pairs.start, len(pairs), execution.guard.step_taken)
        for pool in state.pools.values():
            pool.finish_exchange(execution.guard.all_good)
    return losses.float()


def generator_tasks(execution: Execution, real_a: Tensor, real_b: Tensor) -> list[Task]:
    """Returns the directions that are trained: of a cycle both, each with gradients for both generators."""
    training = execution.config.training
    parameters = execution.state.networks.generators(training.directions)
    losses = functools.partial(
        generator_losses, lambda_cycle=training.lambda_cycle, lambda_identity=training.lambda_identity
    )
    return [
        Task(functools.partial(losses, direction=direction), (real_a, real_b), parameters)
        for direction in training.directions
    ]


def fakes_by_domain(execution: Execution, translated: list[Losses]) -> dict[Domain, Tensor]:
    """Returns the translations of the generators' tasks by the domain that they imitate, (B, 3, H, W) each.

    Args:
        execution: knows the directions.
        translated: what `generator_tasks` came to.
    """
    targets: dict[Direction, Domain] = {"ab": "b", "ba": "a"}
    directions = execution.config.training.directions
    found = {targets[direction]: each.fakes[0] for direction, each in zip(directions, translated, strict=True)}
    return dict(sorted(found.items()))


def discriminator_tasks(
    execution: Execution, real_a: Tensor, real_b: Tensor, shown: dict[Domain, Tensor]
) -> list[Task]:
    """Returns the discriminators that have fakes, each with the images of its domain."""
    networks, real = execution.state.networks.named(), {"a": real_a, "b": real_b}
    return [
        Task(
            functools.partial(discriminator_losses, domain=domain),
            (real[domain], shown[domain]),
            list(networks[f"discriminator_{domain}"].parameters()),
        )
        for domain in shown
    ]


def exchange(execution: Execution, pool: ImagePool, fakes: Tensor, pairs: range) -> Tensor:
    """Exchanges fakes. Every process has the whole pool: it stores the fakes of all, and returns its own."""
    if pool.size == 0:
        return fakes
    group, skipped = execution.group, execution.state.counters.skipped
    shown = pool.exchange(group.all_gather(fakes), pairs, pairs.start - skipped)
    own = group.shard(range(len(pairs)))
    return shown[own.start : own.stop]


def step_optimizers(execution: Execution, losses: Tensor, *, scaled: bool) -> None:
    """Averages the running statistics, and lets both optimizers step, or, if a loss or a gradient is not finite, none.

    All processes decide alike, because losses and gradients are averaged before.

    Args:
        execution: holds the optimizers, their gradients, and the guard.
        losses: of the step.
        scaled: the gradients are those of scaled losses (fp16).
    """
    state, guard = execution.state, execution.guard
    execution.updating = True
    if scaled:
        for optimizer in state.optimizers.values():
            state.scaler.unscale_(optimizer)
    guard.check_finite(losses, state.networks.generators() + state.networks.discriminators(), may_overflow=scaled)
    execution.group.all_reduce_mean(guard.statistics)()
    for optimizer in state.optimizers.values():
        if optimizer.defaults["fused"]:
            optimizer.found_inf = guard.found_inf  # type: ignore[attr-defined]
            optimizer.step()
        elif guard.step_taken:  # waits for the device: only where it has no fused optimizer
            optimizer.step()
        optimizer.zero_grad()
    if scaled:
        state.scaler.update()


def gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    """Returns the gradients of parameters."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
