"""Loss scaling for gradients that are computed in float16 (Micikevicius et al. 2018).

Small gradients would become zero in float16, so the loss is multiplied before they are computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LossScale"]

# As `torch.amp.GradScaler`, which makes the host wait to learn whether to skip a step.
_INITIAL = 2.0**16
_GROWTH = 2.0
_BACKOFF = 0.5
_GROWTH_INTERVAL = 2000


class LossScale:
    """What one trial's loss is multiplied by: halved when gradients overflow, or doubled.

    It doubles after 2000 steps without overflow. Nothing here waits for the device.

    Attributes:
        factor: What to multiply the loss by; never moves.
    """

    def __init__(self, device: torch.device) -> None:
        self.factor = torch.full((), _INITIAL, device=device)
        self._good_steps = torch.zeros((), dtype=torch.int32, device=device)

    def unscale(self, gradients: list[Tensor]) -> Tensor:
        """Divide gradients of the scaled loss by the factor, and choose the next factor.

        Returns 1 if one of them is not finite, so that the step is to be skipped; otherwise 0.
        """
        skipped = torch.zeros_like(self.factor)
        inverse = self.factor.reciprocal()
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, skipped, inverse)
        torch._amp_update_scale_(
            self.factor, self._good_steps, skipped, _GROWTH, _BACKOFF, _GROWTH_INTERVAL
        )
        return skipped

    def tensors(self) -> dict[str, Tensor]:
        """The state by name: its own tensors."""
        return {"loss_scale": self.factor, "loss_scale_steps": self._good_steps}
