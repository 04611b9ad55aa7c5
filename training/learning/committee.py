"""A committee: separately trained students whose average teaches one further student.

Students trained with different seeds make different errors on new motion. So the average of
several students is better than any single student (Lakshminarayanan et al. 2017). Running M
students takes M times as long as running one. But one student can learn to predict the futures of
all M students, without becoming slower (ensemble distillation, Malinin et al. 2020).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from motion_predictor.checkpoint import Checkpoint
from motion_predictor_training.config import ConfigError
from motion_predictor_training.learning.losses import Futures, distance, energy, mean_over

DRAWN = 4
"""Number of futures that each member of a committee predicts for each window."""


class Committee:
    """Predicts futures with several students.

    Args:
        members: one-step students. The networks of the members may differ.
        like: student that will learn from the committee.
        frames: number of future frames at which losses compare futures.
        device: torch device that the members run on.

    Raises:
        ConfigError: if a member has another layout, window, frame or root than the student.
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
        """Return the futures that M members predict (P, M, DRAWN, F, J, 3), metres.

        Args:
            observed: features of P histories (P, H, D).
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
    """Return the loss of a student's samples against the forecast of a committee, metres.

    Args:
        samples: futures predicted by the student (P, S, F, J, 3), metres.
        expected: futures predicted by the `Committee` (P, M, DRAWN, F, J, 3), metres.
        weights: weight of each frame (F,).
        mean_weight: weight of the distance between the samples' mean and the committee's mean.
        body_weight: weight of the whole-body energy score, relative to that of single joints.
    """
    everywhere = torch.ones_like(expected[:, 0, 0, ..., 0])  # (P, F, J)
    drift = distance(samples.mean(1) - expected.mean((1, 2)), dim=-1)
    value = mean_weight * mean_over(drift, everywhere, weights)
    each = [  # one future per member is enough here
        energy(samples, future, everywhere, weights, body_weight)
        for future in expected[:, :, 0].unbind(1)
    ]
    return value + torch.stack(each).mean()
