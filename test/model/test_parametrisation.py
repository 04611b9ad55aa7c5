"""The input of a network, and the future that follows from its output."""

import pytest
import torch

from motion_predictor.model.parametrisation import (
    anchored_basis,
    displacements,
)


@pytest.mark.parametrize(('history', 'coefficients'), [(30, 20), (5, 6), (2, 1), (30, 30)])
def test_what_a_network_sees_is_the_last_pose_and_how_it_was_reached(
    history: int, coefficients: int
) -> None:
    rows = displacements(history, coefficients)
    assert rows.shape == (coefficients, history)
    motion = torch.randn(history, 3, dtype=torch.float64)
    seen = rows @ motion
    torch.testing.assert_close(seen[0], motion[-1])
    if coefficients > 1:
        torch.testing.assert_close(seen[1], motion[-1] - motion[-2], msg='the newest step alone')
        torch.testing.assert_close(seen[1:].sum(0), motion[-1] - motion[0], msg='and all in all')
    used = min(history, coefficients)
    assert torch.linalg.matrix_rank(rows) == used, 'nothing is seen twice'
    assert not rows[used:].any()


@pytest.mark.parametrize('coefficients', [1, 6, 20])
def test_what_is_added_to_going_on_begins_at_nothing_and_at_rest(coefficients: int) -> None:
    future = 120
    basis = anchored_basis(future, coefficients)
    torch.testing.assert_close(basis.T @ basis, torch.eye(coefficients, dtype=torch.float64))
    n = torch.arange(1, future + 1, dtype=torch.float64)[:, None]
    k = torch.arange(coefficients, dtype=torch.float64) + 0.5
    waves = 1 - torch.cos(k * torch.pi * n / future)
    # The waves and their slopes are zero at the last observation. The basis spans the same space.
    shares = torch.linalg.lstsq(waves, basis).solution
    torch.testing.assert_close(waves @ shares, basis, atol=1e-9, rtol=0)


def test_a_basis_of_the_future_has_no_more_coefficients_than_frames() -> None:
    with pytest.raises(ValueError, match=r'must lie in 1..7 \(its frames\), got 8'):
        anchored_basis(7, 8)
