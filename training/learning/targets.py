"""Makes the training rows of a one-step student: noise, condition and target result.

If teacher and student differ in skeleton or frame rate, the teacher gets the same motion in its
own layout and rate, and the teacher's futures are converted to the layout and rate of the student.
"""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint, Header
from motion_predictor.model.diffusion import add_noise
from motion_predictor.model.frames import from_features, person_frame, to_world
from motion_predictor.model.parametrisation import ScaledParametrisation
from motion_predictor.skeleton import JointMap, Layout
from motion_predictor_training.config import Augmentation
from motion_predictor_training.data.augment import Drawer
from motion_predictor_training.data.pool import Pool, pool_of
from motion_predictor_training.data.windows import (
    Windows,
    cut_windows,
    model_features,
    model_windows,
)
from motion_predictor_training.learning.examples import Examples, seed_torch
from motion_predictor_training.learning.loop import training_device
from motion_predictor_training.predicting.multi_step import build_sampler

MADE_WEIGHT = 0.25
"""Loss weight of a joint that the teacher lacks and that is computed from other joints. All other
joints have the weight 1."""

Targets = Literal['teacher', 'recorded']


class Supervisor(Protocol):
    """Draws training rows for a student, the same rows for the same seed."""

    def __call__(self, conditions: int, noises: int, seed: tuple[int, int]) -> dict[str, Tensor]:
        """Draw training rows; return one tensor for each field (such as `noise`).

        Args:
            conditions: number of conditions (histories) P.
            noises: number of noises S per condition.
            seed: seed of the random numbers of this draw.

        Returns:
            `noise` and `result` have the shape (P, S, K, D), `condition` and `truth` the shape (P,
            K, D). `truth` has the clean coefficients of the recorded motion.
        """


def supervisor_of(
    teacher: Checkpoint,
    student: Checkpoint,
    windows: Windows,
    archive: MotionArchive,
    augmentation: Augmentation,
    targets: Targets,
) -> Supervisor:
    """Return the supervisor that draws training rows for this student and these targets."""
    device = training_device()
    if targets == 'recorded':
        examples = Examples(windows, archive, student.header, augmentation, device)
        return Recorded(student, examples)
    if same_skeleton(teacher.header, student.header):
        examples = Examples(windows, archive, teacher.header, augmentation, device)
        return SameSkeleton(teacher, examples)
    rate_hz = teacher.header.window.rate_hz
    pool = pool_of(windows, archive, rate_hz, augmentation.balance, device)
    return OtherSkeleton(teacher, student, pool, augmentation)


def same_skeleton(teacher: Header, student: Header) -> bool:
    """Whether two models have the same layout, frame rate, and history and future lengths."""
    return (teacher.layout, teacher.window) == (student.layout, student.window)


def windows_for(
    archive: MotionArchive, teacher: Header, student: Header, targets: Targets, truth: bool
) -> Windows:
    """Cut an archive into the windows from which a supervisor draws training rows.

    If teacher and student have different skeletons, the windows keep all joints of the archive,
    have the rate of the teacher, and are long enough for both models. Windows with joints that
    were not measured are used only if no recorded future is a target.
    """
    if targets == 'recorded' or same_skeleton(teacher, student):
        partial = targets == 'teacher' and not truth
        return model_windows(archive, student, stride=1, partial=partial)
    frames = _common_history(teacher, student) + teacher.window.future_frames
    return cut_windows(archive, archive.layout, teacher.window.rate_hz, frames, 1)


def joint_weights(teacher: Layout, student: Layout) -> Tensor:
    """Return a loss weight for each of the student's joints (J,).

    The weight is MADE_WEIGHT if the teacher lacks the joint, and 1 otherwise.
    """
    known = set(_common_names(teacher))
    weights = [1.0 if name in known else MADE_WEIGHT for name in _common_names(student)]
    return torch.tensor(weights)


class SameSkeleton:
    """Draws training rows from a teacher that has the student's layout, rate and lengths.

    A teacher with a scaled parametrisation runs in bfloat16, which is accurate enough for scaled
    coefficients. A teacher without a scaled parametrisation runs in float32.
    """

    def __init__(self, teacher: Checkpoint, examples: Examples) -> None:
        self.header = teacher.header
        self.examples = examples
        self.device = training_device()
        self.model = build_sampler(teacher).to(self.device)

    def __call__(self, conditions: int, noises: int, seed: tuple[int, int]) -> dict[str, Tensor]:
        seed_torch(seed)
        features = self.examples(conditions).features
        parametrisation = self.model.parametrisation
        condition = parametrisation.condition(features[:, : self.header.window.history_frames])
        noise = _draw_noise(self.header, (conditions, noises), (*seed, 1)).to(self.device)
        scaled = isinstance(parametrisation, ScaledParametrisation)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=scaled):
            x0 = self.model.denoise(noise, condition).float()
        result = parametrisation.complete(x0, condition)
        truth = parametrisation.encode(features)
        return {'noise': noise, 'condition': condition, 'result': result, 'truth': truth}


class Recorded:
    """Draws training rows whose results are recorded futures, without a teacher.

    The noise of a row is made as in plain diffusion training: the recorded coefficients are
    diffused to the one timestep of the student, the last of the DDIM sequence. At this timestep
    the noise hides almost all of the coefficients, and even more if `ddim_steps` is larger. So the
    best that a student can learn is close to the mean future.
    """

    def __init__(self, student: Checkpoint, examples: Examples) -> None:
        self.header = student.header
        self.examples = examples
        self.device = training_device()
        self.model = student.build().to(self.device)

    def __call__(self, conditions: int, noises: int, seed: tuple[int, int]) -> dict[str, Tensor]:
        seed_torch(seed)
        features = self.examples(conditions).features
        parametrisation = self.model.parametrisation
        condition = parametrisation.condition(features[:, : self.header.window.history_frames])
        truth = parametrisation.encode(features)
        result = truth[:, None].expand(-1, noises, -1, -1)
        fresh = _draw_noise(self.header, (conditions, noises), (*seed, 1)).to(self.device)
        noise = add_noise(result, fresh, self.model.alpha_hat)
        return {'noise': noise, 'condition': condition, 'result': result, 'truth': truth}


class OtherSkeleton:
    """Draws training rows from a teacher with another layout, rate or lengths than the student.

    Windows are drawn in the layout of the archive, and then converted for teacher and student. The
    teacher's futures are converted to positions, resampled to the rate of the student, and mapped
    to the student's joints by name. Each converted joint is shifted so that it starts at its last
    observed position, because joints that are computed from other joints would jump otherwise.

    Each joint of the student gets the noise that the teacher has for the joint of the same name,
    coefficient by coefficient. Joints that only the student has get the noise of joints that only
    the teacher has. So the noise of the student has a unit normal distribution, too. If the
    student has fewer joints or coefficients than the teacher, the student gets only a part of the
    teacher's noise, and learns the average over the rest.
    """

    def __init__(
        self,
        teacher: Checkpoint,
        student: Checkpoint,
        pool: Pool,
        augmentation: Augmentation,
    ) -> None:
        self.teacher, self.student = teacher.header, student.header
        self.device = training_device()
        self.model = build_sampler(teacher).to(self.device)
        self.parametrisation = student.build_parametrisation()
        self.history_frames = _common_history(self.teacher, self.student)
        self.drawer = Drawer(pool, self.history_frames, augmentation)
        recorded = _common_names(pool.layout)
        self.to_teacher = JointMap.between(recorded, self.teacher.layout)
        self.to_student = JointMap.between(recorded, self.student.layout)
        self.across = JointMap.between(_common_names(self.teacher.layout), self.student.layout)
        self.same_noise = _noise_pairs(self.teacher.layout, self.student.layout)

    def __call__(self, conditions: int, noises: int, seed: tuple[int, int]) -> dict[str, Tensor]:
        seed_torch(seed)
        motion = self.drawer(conditions).motion.cpu()  # (P, M, J, 3) at the teacher's rate
        taught = _map(self.to_teacher, self._read(motion, self.teacher))
        seen = _map(self.to_student, self._read(motion, self.student))
        noise = _draw_noise(self.teacher, (conditions, noises), (*seed, 1))
        future = self._transfer(self._futures(taught, noise), taught, seen)
        frames = self.student.window.history_frames
        history = seen[:, :frames].repeat_interleave(noises, 0)
        whole = self._features(torch.cat([history, future.flatten(0, 1)], 1))
        recorded = self._features(seen)
        return {
            'noise': self._own_noise(noise, (*seed, 2)),
            'condition': self.parametrisation.condition(recorded[:, :frames]),
            'result': self.parametrisation.encode(whole).unflatten(0, (conditions, noises)),
            'truth': self.parametrisation.encode(recorded),
        }

    def _read(self, motion: Tensor, header: Header) -> Tensor:
        """Convert windows (P, M, J, 3) to the frame rate and the lengths of a model."""
        window = header.window
        steps = np.arange(1 - window.history_frames, window.future_frames + 1)
        return _interpolate(motion, self._places(header, steps) + self.history_frames - 1)

    def _places(self, header: Header, steps: np.ndarray) -> np.ndarray:
        """Convert a model's frame numbers, relative to the last observation, to teacher frames."""
        return steps * (self.teacher.window.rate_hz / header.window.rate_hz)

    def _futures(self, taught: Tensor, noise: Tensor) -> Tensor:
        """Predict futures (P, S, F, J, 3) of windows (P, N, J, 3) by the teacher, world frame."""
        header, parametrisation = self.teacher, self.model.parametrisation
        frames = header.window.history_frames
        facing = header.layout.facing if header.frame == 'heading' else None
        history = model_features(taught[:, :frames], frames, facing, True).to(self.device)
        condition = parametrisation.condition(history)
        with torch.autocast(self.device.type, torch.bfloat16):
            x0 = self.model.denoise(noise.to(self.device), condition).float()
        future = parametrisation.synthesis @ parametrisation.expand(x0)
        future = future + parametrisation.offset(history)[:, None]  # (P, S, F, D)
        frame = person_frame(taught[:, frames - 1], facing)
        return to_world(from_features(future, None).cpu(), frame)

    def _transfer(self, futures: Tensor, taught: Tensor, seen: Tensor) -> Tensor:
        """Convert futures (P, S, F, J, 3) to the student's layout and rate (P, S, F', J', 3)."""
        last = taught[:, self.teacher.window.history_frames - 1]  # (P, J, 3)
        start = last[:, None, None].expand(-1, futures.shape[1], -1, -1, -1)
        moving = torch.cat([start, futures], 2)  # (P, S, 1 + F, J, 3)
        steps = np.arange(self.student.window.future_frames + 1)
        moving = _interpolate(moving.flatten(0, 1), self._places(self.student, steps))
        mapped = _map(self.across, moving).unflatten(0, futures.shape[:2])
        pose = seen[:, self.student.window.history_frames - 1]  # (P, J', 3)
        return pose[:, None, None] + mapped[:, :, 1:] - mapped[:, :, :1]

    def _features(self, motion: Tensor) -> Tensor:
        """Convert motions (B, H + F, J, 3) to features of the student."""
        header = self.student
        facing = header.layout.facing if header.frame == 'heading' else None
        return model_features(motion, header.window.history_frames, facing, True)

    def _own_noise(self, noise: Tensor, seed: Sequence[int]) -> Tensor:
        """Convert the teacher's noise (P, S, K, D) to the student's noise (P, S, K', D')."""
        own = _draw_noise(self.student, noise.shape[:2], seed).unflatten(-1, (-1, 3))
        kept = min(own.shape[2], noise.shape[2])
        mine, theirs = map(list, zip(*self.same_noise, strict=True))
        own[:, :, :kept, mine] = noise.unflatten(-1, (-1, 3))[:, :, :kept, theirs]
        return own.flatten(-2)


def _common_history(teacher: Header, student: Header) -> int:
    """Return how many frames, at the teacher's rate, cover the histories of both models."""
    own = (student.window.history_frames - 1) * teacher.window.rate_hz / student.window.rate_hz
    return max(teacher.window.history_frames, math.ceil(own - 1e-6) + 1)


def _common_names(layout: Layout) -> list[str]:
    return [layout.common_name(joint) for joint in layout.joints]


def _noise_pairs(teacher: Layout, student: Layout) -> list[tuple[int, int]]:
    """Return pairs of joints (student's, teacher's) that get the same noise."""
    mine, theirs = _common_names(student), _common_names(teacher)
    pairs = [(i, theirs.index(name)) for i, name in enumerate(mine) if name in theirs]
    only_mine = [i for i, name in enumerate(mine) if name not in theirs]
    only_theirs = [i for i, name in enumerate(theirs) if name not in mine]
    return [*pairs, *zip(only_mine, only_theirs, strict=False)]


def _draw_noise(header: Header, sizes: tuple[int, ...], seed: Sequence[int]) -> Tensor:
    """Draw unit normal noise (*sizes, K, D) for a model."""
    shape = (*sizes, header.window.coefficients, header.features)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def _interpolate(motion: Tensor, places: np.ndarray) -> Tensor:
    """Interpolate motions (B, N, J, 3) linearly at F fractional frame numbers (F,)."""
    left = np.clip(places.astype(np.int64), 0, motion.shape[1] - 2)
    share = torch.from_numpy((places - left).clip(0, 1).astype(np.float32))[:, None, None]
    return motion[:, left] * (1 - share) + motion[:, left + 1] * share


def _map(joints: JointMap, motion: Tensor) -> Tensor:
    """Convert motions (B, N, J, 3) to other joints by a joint map."""
    return torch.from_numpy(joints(motion.flatten(0, 1).numpy())).unflatten(0, motion.shape[:2])
