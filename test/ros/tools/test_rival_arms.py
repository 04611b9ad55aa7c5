"""Simulated arms that give way to the same people by different rules."""

from itertools import islice

import numpy as np
import pytest

from motion_predictor.archive import open_archive
from motion_predictor.common.rigid import Rigid
from motion_predictor.planning import Limbs
from motion_predictor.predictor import MotionPredictor
from motion_predictor.ros.tools.monitor_trial import BEFORE_S, fare, moments
from motion_predictor.ros.tools.rival_arms import (
    ISO,
    PREDICTED,
    STANDING,
    RivalArms,
    arm_model,
    arm_robot,
)

ARCHIVE = open_archive('bundled')
LIMBS = Limbs.of(ARCHIVE.layout.name, tuple(ARCHIVE.joint_names))
MODEL = arm_model()
ROBOT = arm_robot(MODEL)
STEP_S = 0.02


def beside(away_m: float) -> np.ndarray:
    pose = ARCHIVE.clip(0)[0]
    return pose - pose[0] * np.float32([1, 1, 0]) + np.float32([away_m, 0, 0])


def live(arms: RivalArms, since_s: float, for_s: float) -> None:
    for now_s in np.arange(since_s, since_s + for_s, STEP_S):
        arms.step(1.0, now_s, STEP_S)


def commanded(arms: RivalArms) -> dict[str, float]:
    return {name: arm.scales[-1] for name, arm in arms.arms.items()}


def test_the_standards_arm_gives_way_earlier_and_both_stop_when_blind() -> None:
    arms = RivalArms(Rigid.identity(), MODEL, ROBOT)
    arms.begin(1.0)
    for away_m, iso, standing in ((5.0, 1, 1), (1.5, 0, 1), (0.6, 0, 0)):
        arms.see({'someone': beside(away_m)}, LIMBS, 10.0)
        arms.step(1.0, 10.0, STEP_S)
        found = commanded(arms)
        assert (found[PREDICTED], found[STANDING] == 1) == (1, bool(standing)), away_m
        assert (found[ISO] == 1) == bool(iso), away_m
    arms = RivalArms(Rigid.identity(), MODEL, ROBOT)
    arms.see({}, LIMBS, 0.0)
    arms.begin(1.0)
    live(arms, 0.0, 0.1)
    assert set(commanded(arms).values()) == {1}
    live(arms, 0.1, 0.1)
    assert commanded(arms) == {PREDICTED: 1, ISO: 0, STANDING: 0}, 'nothing is told any more'


def test_somebody_who_is_no_longer_seen_is_remembered_for_a_second() -> None:
    for now_s in (0.3, 0.9, 1.1):
        arms = RivalArms(Rigid.identity(), MODEL, ROBOT)
        arms.see({'someone': beside(2.6)}, LIMBS, 0.0)
        arms.see({}, LIMBS, now_s)
        arms.begin(1.0)
        arms.step(1.0, now_s, STEP_S)
        assert (commanded(arms)[ISO] < 1) == (now_s == 0.9), 'they may have come near by then'
        assert commanded(arms)[STANDING] == 1
        assert arms.report()[ISO]['least distance while moving (m)'] == np.inf, 'nobody is seen'


@pytest.mark.parametrize('away_m', [0.5, 30.0])
def test_the_demo_is_computed_alike_every_time(away_m: float) -> None:
    predictor = MotionPredictor.load('default', device='cpu', samples=8, backend='eager')
    said = list(islice(moments(ARCHIVE, [0], predictor, 30.0), round((BEFORE_S + 2) * 30)))
    assert len(said[-1].message.motions[0].samples), 'predicted by then'
    place = Rigid.of_pose([*(ARCHIVE.clip(0)[60, 0, :2] + [away_m, 0]), 0, 0, 0, 0, 1])
    first, second = (fare(said, RivalArms(place, MODEL, ROBOT), ROBOT, LIMBS) for _ in range(2))
    assert first == second
    lost = {name: figures['time lost (%)'] for name, figures in first.items()}
    if away_m < 1:
        assert lost[PREDICTED] > 10 and lost[ISO] > 10
    else:
        assert max(map(abs, lost.values())) < 1, 'nobody is near'
    assert all(figures['moving in touch (s)'] == 0 for figures in first.values())
