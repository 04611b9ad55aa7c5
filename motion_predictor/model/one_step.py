"""The whole computation from the observed history to future positions, as one torch module."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from motion_predictor.model.diffusion import SCHEDULES, NoiseSchedule, x0_from_epsilon
from motion_predictor.model.frames import (
    PersonFrame,
    from_features,
    person_frame,
    to_features,
    to_model,
    to_world,
    turn_to_world,
)
from motion_predictor.model.graph import GraphDenoiser
from motion_predictor.model.gru import GruDenoiser
from motion_predictor.model.mirror import Mirror
from motion_predictor.model.parametrisation import Parametrisation, velocity_weights
from motion_predictor.model.shared_trunk import SharedTrunk
from motion_predictor.model.swiftdiff import SwiftDiff
from motion_predictor.model.transfusion import TransFusion
from motion_predictor.skeleton import Facing

Network = GraphDenoiser | GruDenoiser | SharedTrunk | SwiftDiff | TransFusion

ROOT_TIME_CONSTANT_S = 0.5
ROOT_VELOCITY_WINDOW_S = 0.2


class DampedRoot(nn.Module):
    """Predicts the root for networks that do not predict the root.

    The root moves on with its last velocity, which decays: displacement(t) = velocity * tau *
    (1 - exp(-t / tau)) with tau = 0.5 s. The last velocity is the least-squares slope over the
    last 0.2 s.
    """

    path: Tensor  # (F, H) displacement as a linear map of the observed root

    def __init__(self, history_frames: int, future_frames: int, rate_hz: float) -> None:
        super().__init__()
        slope = velocity_weights(history_frames, rate_hz, ROOT_VELOCITY_WINDOW_S)
        t = torch.arange(1, future_frames + 1, dtype=torch.float64) / rate_hz
        reach = ROOT_TIME_CONSTANT_S * (1 - torch.exp(-t / ROOT_TIME_CONSTANT_S))  # (F,)
        self.register_buffer('path', torch.outer(reach, slope).float(), persistent=False)

    def forward(self, root: Tensor) -> Tensor:
        """Return the future positions (B, F, 3) of the root, given its observed ones (B, H, 3)."""
        return root[:, -1:] + self.path @ root


def synthesised(synthesis: Tensor, coefficients: Tensor) -> Tensor:
    """Return the joints at all frames (..., F, J, 3), computed from their coefficients.

    Args:
        synthesis: matrix from coefficients to frames, (F, K).
        coefficients: coefficients of the joints, (..., K, J, 3).
    """
    return (synthesis @ coefficients.flatten(-2)).unflatten(-1, (-1, 3))  # (..., F, J, 3)


def _halves(samples: Tensor, people: int) -> Tensor:
    """Return even and odd samples as separate rows: (P or 1, S, ...) to (2P, S / 2 + 1, ...).

    The row of a person's even samples is followed by the row of the person's odd samples. If a row
    has too few samples, copies of the person's last sample fill the row. Each row gets one extra
    sample, so that no row has only one sample: torch.export would treat a dimension of size one as
    a separate case. An extra sample is used because TensorRT cannot compute max(size, 2).
    """
    count = samples.shape[1]
    even = 2 * torch.arange((count + 3) // 2, device=samples.device)
    even = even.clamp(max=count - 1)
    odd = (even + 1).clamp(max=count - 1)
    halves = torch.stack([samples[:, even], samples[:, odd]], 1)  # (P or 1, 2, S / 2, ...)
    return halves.expand(people, *halves.shape[1:]).flatten(0, 1)


class OneStep(nn.Module):
    """Turns observed histories into future positions with one evaluation of the network.

    Args:
        network: a one-step network, or a TransFusion that was distilled to one step.
        parametrisation: module that turns motion into coefficients, and back.
        rate_hz: frames per second of history and future.
        timestep: diffusion timestep from which the single step starts.
        predicts_noise: True if the network returns the noise, False if the network returns the
            clean coefficients.
        facing: joints that give the heading. If `facing` is None, the model frame has the world's
            axes.
        predicts_root: whether the network predicts the root, or else `DampedRoot` predicts it.
        noise_schedule: name of the noise schedule with which the network was trained.
        spread: factors by which the deviations of the samples from their mean are multiplied,
            (2, K): first the factors of the root, then those of all other joints. If `spread` is
            None, the deviations are not changed.
        quiet_m_per_s: average speed of the joints at which half of the network's mean is added to
            the base line. For slower people a smaller share of the mean is added, since the
            network has learnt its mean from people who move more. If `quiet_m_per_s` is 0, the
            whole mean is added for every person.
        mirrored: for each joint, the index of the same joint on the other side. Every other sample
            is then predicted for the mirror image of the person, and mirrored back, so that left
            and right are treated alike. If `mirrored` is None, no sample is mirrored.
    """

    alpha_hat: Tensor  # (), the value of the noise schedule at the timestep
    spread: Tensor | None  # (2, K, 1)
    pace: Tensor  # (H,) weights of the frames. Their weighted sum is the velocity.

    def __init__(
        self,
        network: Network,
        parametrisation: Parametrisation,
        *,
        rate_hz: float,
        timestep: int,
        predicts_noise: bool,
        facing: Facing | None,
        predicts_root: bool,
        noise_schedule: NoiseSchedule = 'cosine',
        spread: Sequence[Sequence[float]] | None = None,
        quiet_m_per_s: float = 0.0,
        mirrored: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.parametrisation = parametrisation
        self.timestep = timestep
        self.predicts_noise = predicts_noise
        self.facing = facing
        self.predicts_root = predicts_root
        self.damped_root = DampedRoot(
            parametrisation.history_frames, parametrisation.future_frames, rate_hz
        )
        self.noise_schedule = noise_schedule
        alpha_hat = SCHEDULES[noise_schedule]()[timestep].float()
        self.register_buffer('alpha_hat', alpha_hat, persistent=False)
        factors = None if spread is None else torch.tensor(spread)[..., None]
        self.register_buffer('spread', factors, persistent=False)
        self.quiet_m_per_s = quiet_m_per_s
        frames = parametrisation.history_frames
        pace = velocity_weights(frames, rate_hz, frames / rate_hz).float()
        self.register_buffer('pace', pace, persistent=False)
        self.mirror = None if mirrored is None else Mirror(mirrored, predicts_root)

    def embed(self, noise: Tensor) -> Tensor:
        """Return the network's features of noise (S, K, D), independent of the history."""
        return self.network.embed(noise)

    def denoise(self, noise: Tensor, condition: Tensor, embedded: Tensor | None = None) -> Tensor:
        """Return the clean coefficients (P, S, K, D).

        Args:
            noise: noise of the samples, (P, S, K, D), or (1, S, K, D) if people share the noise.
            condition: coefficients of the history, (P, K, D).
            embedded: features of the noise from `embed`; None to compute them here.
        """
        if embedded is None:
            embedded = self.embed(noise)
        if self.mirror is None:
            return self._denoise(noise, condition, embedded)
        people, samples = condition.shape[0], noise.shape[1]
        both = self._denoise(
            _halves(noise, people),
            torch.stack([condition, self.mirror(condition)], 1).flatten(0, 1),  # (2P, K, D)
            _halves(embedded, people),
        )
        seen, image = both.unflatten(0, (people, 2)).unbind(1)  # (P, S / 2, K, D)
        x0 = torch.stack([seen, self.mirror(image)], 2).flatten(1, 2)
        # The samples are picked by index, because an exporter cannot slice to an unknown size.
        return x0[:, torch.arange(samples, device=x0.device)]

    def _denoise(self, noise: Tensor, condition: Tensor, embedded: Tensor) -> Tensor:
        if isinstance(self.network, TransFusion):
            output = self.network.denoise(embedded, condition, self.timestep)
        else:
            output = self.network.denoise(embedded, condition)
        return x0_from_epsilon(noise, output, self.alpha_hat) if self.predicts_noise else output

    def forward(self, history: Tensor, noise: Tensor, embedded: Tensor | None = None) -> Tensor:
        """Predict the future positions of P people.

        Args:
            history: observed joints (P, H, J, 3), metres, world frame, z up.
            noise: unit normal noise (S, K, D). Sample s of every person starts from noise[s].
            embedded: features of the noise from `embed`; None to compute them here.

        Returns:
            The future joints (P, S, F, J, 3), metres, world frame. Frame f lies (f + 1) / rate_hz
            seconds after the last observed frame.
        """
        deviations, mean, base = self.coefficients(history, noise, embedded)
        return synthesised(self.parametrisation.synthesis, mean + deviations) + base[:, None]

    def coefficients(
        self, history: Tensor, noise: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict like `forward`, but return coefficients in time instead of frames.

        The joints of sample s are ``synthesis @ (mean + deviations)[:, s] + base``.

        Returns:
            Deviations (P, S, K, J, 3) of the samples from their mean, the mean (P, 1, K, J, 3),
            and the base line (P, F or 1, J, 3), all in metres, world frame.
        """
        frame = person_frame(history[:, -1], self.facing)
        local = to_model(history, frame)  # (P, H, J, 3)
        features = to_features(local, self.predicts_root)  # (P, H, D)
        condition = self.parametrisation.condition(features)  # (P, K, D)
        if embedded is not None:
            embedded = embedded[None]
        x0 = self.denoise(noise[None], condition, embedded)  # (P, S, K, D)
        mean = x0.mean(1, keepdim=True)  # (P, 1, K, D)
        deviations = x0 - mean
        if self.spread is not None:
            deviations = deviations * self._factors(x0.shape[-1])
        if self.quiet_m_per_s:
            mean = mean * self._kept(local)[:, None, None, None]

        # All steps from here on are linear. So these steps can be applied to the K coefficients,
        # which are fewer than the F frames.
        offset = self.parametrisation.offset(features)[:, None]  # (P, 1, F or 1, D)
        moves = None
        if not self.predicts_root:
            moves = self.damped_root(local[:, :, 0])[:, None]  # (P, 1, F, 3)
            offset = offset.expand(-1, -1, moves.shape[2], -1)
        base = to_world(from_features(offset, moves), frame)[:, 0]  # (P, F or 1, J, 3)
        return self._positions(deviations, frame), self._positions(mean, frame), base

    def _positions(self, x0: Tensor, frame: PersonFrame) -> Tensor:
        """Turn coefficients of features (P, S, K, D) into coefficients of joints (P, S, K, J, 3).

        The joints are in the world frame, in metres.
        """
        still = None if self.predicts_root else x0.new_zeros(*x0.shape[:-1], 3)
        return turn_to_world(from_features(self.parametrisation.expand(x0), still), frame)

    def _kept(self, local: Tensor) -> Tensor:
        """Return the share (P,) of the network's mean that is added to the base line.

        Args:
            local: history in the model frame (P, H, J, 3), metres.
        """
        velocity = torch.tensordot(local, self.pace, ([1], [0]))  # (P, J, 3) m/s
        speed = torch.linalg.vector_norm(velocity, dim=-1).mean(-1)
        square = speed * speed
        return square / (square + self.quiet_m_per_s**2)

    def _factors(self, features: int) -> Tensor:
        """Return the factors (K, D) by which deviations of features from the mean are scaled."""
        assert self.spread is not None
        roots = 3 if self.predicts_root else 0
        of_root, of_others = self.spread
        return torch.cat([of_root.expand(-1, roots), of_others.expand(-1, features - roots)], 1)
