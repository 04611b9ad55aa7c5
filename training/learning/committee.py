"""Committee: several students, trained separately, from which one student learns.

Students from different seeds make different errors on new motion, so their average is better than
each of them (Lakshminarayanan et al. 2017). Running all of them would take as many times as long.
One student can learn to forecast the futures of all of them, and takes no longer than before
(ensemble distillation, Malinin et al. 2020).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.config import ConfigError
from motion_predictor_training.learning.losses import Futures, distance, energy, mean_over

DRAWN = 4
"""Futures of each window that each member draws."""


class Committee:
    """Futures of several students.

    Args:
        members: students of one step; their networks may differ.
        like: the student that is to learn from them.
        frames: number of future frames that are compared.
        device: where they run.

    Raises:
        ConfigError: if a member's people, time or frame are not those of the student.
    """

    def __init__(
        self, members: Sequence[Checkpoint], like: Checkpoint, frames: int, device: torch.device
    ) -> None:
        self.members = []
        for member in members:
            header = member.header
            for name in ('layout', 'window', 'frame', 'root'):
                theirs, ours = getattr(header, name), getattr(like.header, name)
                if theirs != ours:
                    raise ConfigError(
                        f'a member of the committee has another {name} than the student: '
                        f'{theirs} instead of {ours}'
                    )
            model = member.build().to(device)
            model.requires_grad_(False)
            rate_hz, with_root = header.window.rate_hz, header.root == 'predicted'
            futures = Futures(model.parametrisation, rate_hz, with_root, frames)
            self.members.append((model, futures, (header.window.coefficients, header.features)))

    @torch.no_grad()
    def __call__(self, observed: Tensor) -> Tensor:
        """Return futures (P, M, DRAWN, F, J, 3), metres, of the M members.

        Args:
            observed: features (P, H, D).
        """
        parts = []
        for model, futures, shape in self.members:
            noise = torch.randn(len(observed), DRAWN, *shape, device=observed.device)
            x0 = model.denoise(noise, model.parametrisation.condition(observed))
            parts.append(futures.positions(x0.float()))
        return torch.stack(parts, 1)


def agreement(
    samples: Tensor, expected: Tensor, weights: Tensor, mean_weight: float, body_weight: float
) -> Tensor:
    """Return the score of samples against the average forecast of a committee, in metres.

    Args:
        samples: (P, S, F, J, 3).
        expected: (P, M, DRAWN, F, J, 3) of `Committee`.
        weights: (F,) of frames.
        mean_weight: of the error of the samples' mean.
        body_weight: of the whole body beside single joints.
    """
    everywhere = torch.ones_like(expected[:, 0, 0, ..., 0])  # (P, F, J)
    drift = distance(samples.mean(1) - expected.mean((1, 2)), dim=-1)
    value = mean_weight * mean_over(drift, everywhere, weights)
    each = [  # one future of each member is enough
        energy(samples, future, everywhere, weights, body_weight)
        for future in expected[:, :, 0].unbind(1)
    ]
    return value + torch.stack(each).mean()
