"""Dropout on a CPU, where it draws its own random bytes."""

import pytest
import torch

from motion_predictor.model.dropout import Dropout


@pytest.mark.parametrize('kind', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('share', [0.1, 0.5])
def test_a_share_is_zeroed_and_the_mean_stays(share: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(300, 1001, dtype=kind, requires_grad=True)
    y = Dropout(share).train()(x)
    assert y.dtype == kind
    assert (y == 0).float().mean().item() == pytest.approx(share, abs=0.005)
    assert y.float().mean().item() == pytest.approx(1, abs=0.01)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y)  # the gradient is the mask with its scale, which is y


def test_each_value_is_drawn_by_itself_from_the_seed() -> None:
    drop, x = Dropout(0.5).train(), torch.ones(64, 4096)
    torch.manual_seed(3)
    first, second = drop(x), drop(x)
    torch.manual_seed(3)
    assert torch.equal(drop(x), first) and not torch.equal(first, second)
    kept = (first > 0).float()
    for lag in (1, 8, 64):
        alike = (kept[:, lag:] == kept[:, :-lag]).float().mean().item()
        assert alike == pytest.approx(0.5, abs=0.01), 'neighbours do not depend on each other'


@pytest.mark.parametrize('network', [Dropout(0.5).eval(), Dropout(0.0).train()])
def test_nothing_is_zeroed_when_predicting_or_when_nothing_is_asked(network: Dropout) -> None:
    x = torch.randn(5, 7)
    assert torch.equal(network(x), x)
