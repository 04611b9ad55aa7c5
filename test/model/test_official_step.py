"""One-step sampling with official weights gives the numbers of the official modules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.checkpoint import (
    Checkpoint,
    SwiftDiffSpec,
    Window,
)
from motion_predictor.model.one_step import DampedRoot
from motion_predictor.model.parametrisation import (
    OfficialParametrisation,
)
from motion_predictor.skeleton import known_layouts


def close(ours: NDArray[Any] | Tensor, theirs: NDArray[Any] | Tensor) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4, rtol=0)


@pytest.fixture
def student(make_checkpoint: Callable[..., Checkpoint], golden: dict[str, Tensor]) -> Checkpoint:
    """The official SwiftDiff that the golden numbers were computed with."""
    checkpoint = make_checkpoint(
        network=SwiftDiffSpec(layers=3, width=32),
        layout=known_layouts()['h36m17'],
        window=Window(rate_hz=50, history_frames=25, future_frames=100, coefficients=20),
        prediction='epsilon',
        parametrisation='official',
        frame='world',
        root='damped',
    )
    checkpoint.tensors = {
        f'network.{name.removeprefix("student/")}': value
        for name, value in golden.items()
        if name.startswith('student/')
    }
    return checkpoint


def test_the_official_step_is_reproduced(student: Checkpoint, golden: dict[str, Tensor]) -> None:
    model = student.build()
    assert model.timestep == int(golden['student_timestep'])
    parametrisation = model.parametrisation
    assert isinstance(parametrisation, OfficialParametrisation)
    history = golden['history'][None]
    with torch.inference_mode():
        condition = parametrisation.condition(history)
        x0 = model.denoise(golden['noise'][None], condition)[0]
        future = parametrisation.synthesis @ x0 + parametrisation.offset(history)
        # The official sampler also adds noise to the condition. Our sampler uses the mean instead.
        level = (1 - parametrisation.alpha_hat[0]).sqrt()
        future = future + parametrisation.known @ (level * golden['student_inpaint_noise'])
    close(condition[0], golden['condition_dct'])
    close(x0, golden['student_x0_dct'])
    close(future, golden['student_motion'][:, 25:])


def test_official_weights_predict_through_the_librarys_face(
    student: Checkpoint, golden: dict[str, Tensor]
) -> None:
    relative = golden['history'].reshape(25, 16, 3)
    root = torch.arange(25)[:, None] * torch.tensor([0.02, 0, 0]) + torch.tensor([4.0, 5, 1])
    history = torch.cat([root[:, None], relative + root[:, None]], 1)
    model = student.build()
    with torch.inference_mode():
        samples = model(history[None], golden['noise'])[0]
    # The official noise on the condition is missing here: 0.6 % of a unit normal at t = 0.
    joints = (samples[:, :, 1:] - samples[:, :, :1]).flatten(2)
    deviation = (joints - golden['student_motion'][:, 25:]).abs()
    assert 0 < deviation.max() < 0.05
    reach = 1.0 * 0.5 * (1 - torch.exp(-torch.arange(1, 101) / 50 / 0.5))
    for sample in samples:
        close(sample[:, 0], root[-1] + reach[:, None] * torch.tensor([1.0, 0, 0]))


@pytest.mark.parametrize('rate_hz', [15.0, 50.0, 120.0])
def test_the_velocity_of_a_damped_root_dies_away(rate_hz: float) -> None:
    velocity = torch.tensor([1.2, -0.4, 0.1])
    history = torch.arange(30)[:, None] / rate_hz * velocity + torch.tensor([3.0, 0, 1])
    future = DampedRoot(30, 60, rate_hz)(history[None])[0]
    t = torch.arange(1, 61) / rate_hz
    close(future, history[-1] + velocity * 0.5 * (1 - torch.exp(-t / 0.5))[:, None])
