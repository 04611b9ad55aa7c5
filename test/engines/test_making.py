"""Another process makes engines while eager predicts."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.engines import choice
from motion_predictor.engines.choice import walkers
from motion_predictor.making import Maker
from motion_predictor.predictor import MotionPredictor
from motion_predictor.skeleton import known_layouts

FloatArray = NDArray[np.float32]


@pytest.fixture
def saved(tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny checkpoint as a file, with an empty cache, on a machine without bfloat16."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(choice, 'cpu_capabilities', dict)
    path = tmp_path / 'tiny.safetensors'
    tiny.save(path)
    return path


@pytest.fixture
def crowd() -> FloatArray:
    return walkers(known_layouts()['smpl22'], 5, 20.0).numpy()


def of(saved: Path) -> dict[str, Any]:
    """Return the arguments of a maker."""
    return {'name_or_path': str(saved), 'device': 'cpu', 'samples': 4, 'precision': 'float32'}


def test_a_faster_engine_is_taken_over_when_it_is_made(saved: Path, crowd: FloatArray) -> None:
    predictor = MotionPredictor.load(saved, 'cpu', samples=4, make_engines=False)
    assert predictor.engine.backend == 'eager'
    assert predictor.engine.unmade == (('compiled', 'float32'),)
    before = predictor.predict(crowd)
    assert not predictor.improve(), 'nobody made it yet'
    assert Maker(of(saved), threads=1).wait(predictor.engine.unmade) == []
    assert predictor.improve()
    engine = predictor.engine
    assert (engine.backend, engine.unmade, engine.attempts) == ('compiled', (), ())
    np.testing.assert_allclose(predictor.predict(crowd).samples, before.samples, atol=1e-5)
    again = MotionPredictor.load(saved, 'cpu', samples=4, make_engines=False)
    assert again.engine.backend == 'compiled', 'at the next start it is there at once'


def test_what_could_not_be_made_is_not_waited_for(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('CXX', 'no-such-compiler')
    predictor = MotionPredictor.load(saved, 'cpu', samples=4, make_engines=False)
    refused = Maker(of(saved), threads=1).wait(predictor.engine.unmade)
    assert not predictor.improve(refused)
    reason = "there is no C++ compiler 'no-such-compiler'"
    assert predictor.engine.attempts == (('compiled', 'float32', reason),)
    assert predictor.engine.unmade == ()


def test_an_engine_that_fails_meanwhile_is_not_replaced(saved: Path) -> None:
    predictor = MotionPredictor.load(saved, 'cpu', samples=4, make_engines=False)
    waiting = predictor.engine
    predictor.engine = replace(waiting, backend='compiled')
    assert predictor.fall_back('it broke')
    assert predictor.engine.gave_up == (('compiled', 'float32', 'it broke'),)
    assert predictor.engine.unmade == (), 'and what failed is not tried again'
    assert not predictor.improve()


def test_a_maker_that_breaks_says_so(saved: Path) -> None:
    unmade = [('compiled', 'float32')]
    ((_, _, why),) = Maker({'name_or_path': '/nowhere.safetensors'}, 1).wait(unmade)
    assert 'status 1: ' in why and 'there is no checkpoint' in why
    maker = Maker(of(saved), threads=1)
    maker.stop()
    ((_, _, why),) = maker.wait(unmade)
    assert f'status {-signal.SIGKILL}' in why
