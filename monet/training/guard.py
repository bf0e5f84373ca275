"""Refuses a step whose loss is not finite, without waiting for the device at every step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Guard:
    """Checks losses and gradients on the device.

    From the first bad step on, every step is refused, so that the device keeps the last good state until the host calls
    `read` and decides. How late it does makes no difference to that state. A step whose gradients overflow in fp16
    is refused, too, but not bad: the gradient scaler lowers its scale, and training continues.

    Args:
        device: where the losses are.
        modules: networks whose buffers (running statistics) a bad batch must not change.
    """

    def __init__(self, device: torch.device, modules: Sequence[nn.Module] = ()) -> None:
        self._bad = torch.zeros((), device=device)
        self._refused = torch.zeros((), device=device)
        self._good_steps = torch.zeros((), dtype=torch.long, device=device)
        self._buffers = [
            value
            for module in modules
            for value in module.state_dict(keep_vars=True).values()  # constants are not in it
            if not isinstance(value, nn.Parameter)
        ]
        self._saved: list[Tensor] = []

    @property
    def statistics(self) -> list[Tensor]:
        """The buffers that are floating-point: running statistics, not counters."""
        return [buffer for buffer in self._buffers if buffer.is_floating_point()]

    @property
    def all_good(self) -> Tensor:
        """Scalar bool on the device: no bad step so far."""
        return self._bad == 0

    @property
    def found_inf(self) -> Tensor:
        """1.0 where the step that was checked is refused, else 0.0: what fused optimizers take as `found_inf`."""
        return self._refused

    @property
    def step_taken(self) -> Tensor:
        """Scalar bool on the device: the step that was checked is taken."""
        return self._refused == 0

    def buffers(self) -> list[Tensor]:
        """Returns copies of the buffers."""
        return [buffer.clone() for buffer in self._buffers]

    def restore(self, buffers: Sequence[Tensor]) -> None:
        """Sets the buffers to the values of such copies."""
        for buffer, value in zip(self._buffers, buffers, strict=True):
            buffer.copy_(value)

    def begin_step(self) -> None:
        """Copies the buffers before a forward pass."""
        self._saved = self.buffers()

    def abandon_step(self) -> None:
        """Sets the buffers to what they were before the step."""
        self.restore(self._saved)

    def nan_after_bad_step(self, loss: Tensor) -> Tensor:
        """Returns the loss, or NaN once a step was bad."""
        return torch.where(self.all_good, loss, torch.nan)

    def check_finite(
        self, losses: Tensor, parameters: Sequence[nn.Parameter] = (), *, may_overflow: bool = False
    ) -> None:
        """Checks a step before the optimizers take it: all of them take it, or none.

        Args:
            losses: any number of values.
            parameters: their gradients must be finite, too.
            may_overflow: gradients that are not finite make a step refused, but not a bad one.
        """
        finite = sound = torch.isfinite(losses).all()
        if parameters:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            sound = finite & torch.isfinite(torch.stack(torch._foreach_norm(gradients)).sum())
        self._bad = torch.where(finite if may_overflow else sound, self._bad, 1.0)
        self._refused = torch.where(sound, self._bad, 1.0)
        self._good_steps += self.all_good
        for buffer, saved in zip(self._buffers, self._saved, strict=True):
            buffer.copy_(torch.where(self.step_taken, buffer, saved))

    def read(self) -> int | None:
        """Waits for the device, and resets the guard.

        Returns:
            None where every step since the last call was good; else how many were, before the first bad one.
        """
        bad, good_steps = torch.stack([self._bad, self._good_steps.float()]).tolist()
        self._bad = torch.zeros_like(self._bad)
        self._good_steps = torch.zeros_like(self._good_steps)
        return int(good_steps) if bad else None
