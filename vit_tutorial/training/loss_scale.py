"""A scale for the loss, without which float16 would turn small gradients into 0.

    loss * scale -> backward -> gradients / scale -> clip -> step, unless a gradient is infinite

float16 has no numbers below 6e-8. So the loss is multiplied by a large number, all gradients grow by it, and they are
divided by it afterwards, in float32. If the scale is too large, a gradient overflows: then the step is left out, and
the scale halved. After many good steps it is doubled, to try again.

Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.2; the numbers are those of
torch.amp.GradScaler. That one judges each optimizer by its own gradients; here a step is left out as a whole.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

FIRST_SCALE = 2.0**16
STEPS_TO_GROW = 2000  # good ones, in a row


class LossScale:
    """The scale and what became of it; without `enabled` it is 1 for ever, and costs nothing."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.value = FIRST_SCALE if enabled else 1.0
        self.good_steps = 0  # since the scale changed
        self.skipped_steps = 0  # in all

    def scale(self, loss: Tensor) -> Tensor:
        """Multiply the loss by the scale."""
        return loss * self.value if self.enabled else loss

    @torch.no_grad()
    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Divide all gradients by the scale, which is a power of two, so no digit is lost."""
        if self.enabled:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            torch._foreach_mul_(gradients, 1 / self.value)

    def allows_step(self, norm: Tensor) -> bool:
        """Say whether to take the step, from the length of all gradients together, and adapt the scale.

        To know, the host waits for the device; only where the scale is enabled.
        """
        if not self.enabled:
            return True
        if not norm.isfinite():
            self.value, self.good_steps, self.skipped_steps = self.value / 2, 0, self.skipped_steps + 1
            return False
        self.good_steps += 1
        if self.good_steps == STEPS_TO_GROW:
            self.value, self.good_steps = 2 * self.value, 0
        return True

    @property
    def may_overflow(self) -> bool:
        """Whether an infinite gradient may be due to the scale, and will be finite with a smaller one."""
        return self.enabled and self.value > 1

    def state(self) -> Tensor:
        """Give all that a checkpoint must hold: [3]."""
        return torch.tensor([self.value, self.good_steps, self.skipped_steps], dtype=torch.float64)

    def restore(self, state: Tensor) -> None:
        """Go back to a state."""
        value, good, skipped = state.tolist()
        self.value, self.good_steps, self.skipped_steps = value, int(good), int(skipped)
