"""Compares our networks and sampling with numbers computed with the official modules."""

from pathlib import Path

import numpy as np
import pytest
import torch

from motion_predictor.model import SwiftDiff, TransFusion
from motion_predictor.model.dct import dct_matrix, pad_with_last
from motion_predictor.model.diffusion import cosine_schedule, ddim_sample, x0_from_epsilon
from motion_predictor_training.evaluation.measures.published import evaluate

DATA = Path(__file__).parents[1] / 'data'
TOLERANCE = 1e-4


def state_dict(golden: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}


@pytest.fixture(scope='module')
def teacher(golden: dict[str, torch.Tensor]) -> TransFusion:
    network = TransFusion(
        features=48,
        coefficients=int(golden['cfg_dct_coefficients']),
        layers=int(golden['cfg_teacher_layers']),
        heads=int(golden['cfg_teacher_heads']),
        width=int(golden['cfg_teacher_latent_dim']),
        ff_width=int(golden['cfg_teacher_ff_size']),
        dropout=0.2,
    )
    network.load_state_dict(state_dict(golden, 'teacher/'), strict=True)
    return network.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_condition_is_the_dct_of_the_padded_history(golden: dict[str, torch.Tensor]) -> None:
    padded = pad_with_last(golden['history'], int(golden['cfg_future_frames']))
    close(dct_matrix(125, 20).float() @ padded, golden['condition_dct'])


def test_cosine_schedule(golden: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(
        cosine_schedule().float(), golden['alpha_hat'], atol=1e-6, rtol=1e-4
    )


def test_transfusion_forward(golden: dict[str, torch.Tensor], teacher: TransFusion) -> None:
    condition = golden['condition_dct'].expand(4, -1, -1)
    with torch.no_grad():
        epsilon = teacher(golden['noise'], golden['timesteps'], condition)
    close(epsilon, golden['teacher_epsilon'])


def test_ddim_with_completion(golden: dict[str, torch.Tensor], teacher: TransFusion) -> None:
    coefficients = ddim_sample(
        teacher,
        golden['condition_dct'].expand(4, -1, -1),
        golden['noise'],
        history_frames=25,
        future_frames=100,
        steps=int(golden['teacher_ddim_steps']),
        completion_noise=golden['teacher_inpaint_noise'],
    )
    close(coefficients, golden['teacher_ddim_dct'])
    close(dct_matrix(125, 20).float().T @ coefficients, golden['teacher_ddim_motion'])


def test_swiftdiff_forward(golden: dict[str, torch.Tensor]) -> None:
    network = SwiftDiff(features=48, coefficients=20, layers=3, width=32, dropout=0.2)
    network.load_state_dict(state_dict(golden, 'student/'), strict=True)
    with torch.no_grad():
        epsilon = network.eval()(golden['noise'], golden['condition_dct'].expand(4, -1, -1))
    close(epsilon, golden['student_epsilon'])
    alpha_hat = golden['alpha_hat'][int(golden['student_timestep'])]
    close(x0_from_epsilon(golden['noise'], epsilon, alpha_hat), golden['student_x0_dct'])


def test_one_step_transfusion(golden: dict[str, torch.Tensor], teacher: TransFusion) -> None:
    timestep = int(golden['student_timestep'])
    with torch.no_grad():
        epsilon = teacher(
            golden['noise'],
            torch.full((4,), timestep),
            golden['condition_dct'].expand(4, -1, -1),
        )
    x0 = x0_from_epsilon(golden['noise'], epsilon, golden['alpha_hat'][timestep])
    close(x0, golden['one_step_transfusion_x0_dct'])


def test_the_thirteen_metrics() -> None:
    with np.load(DATA / 'golden_metrics.npz') as archive:
        metrics = evaluate(
            archive['motions'],
            archive['predictions'],
            int(archive['history_frames']),
            float(archive['multimodal_threshold']),
        )
        expected = dict(
            zip(archive['metric_names'].tolist(), archive['metric_values'], strict=True)
        )
    assert metrics == pytest.approx(expected, abs=TOLERANCE)
