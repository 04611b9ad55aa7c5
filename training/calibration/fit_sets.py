"""Fits balls of the promised coverage to scores, and measures the coverage for people left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor.uncertainty.sets import ExpectedError, groups_of
from motion_predictor_training.calibration.conformal import Grouped, smooth
from motion_predictor_training.calibration.errors import Scores
from motion_predictor_training.calibration.fit_expected_error import fit_expected_error
from motion_predictor_training.calibration.fit_pace_floor import PaceFloors
from motion_predictor_training.calibration.left_out import LeftOut
from motion_predictor_training.calibration.promise import Promise, promise
from motion_predictor_training.config import CalibrationConfig

FloatArray = NDArray[np.float32]
FEW = 30.0
"""Number of windows, half a second apart, from which a person has full weight."""


@dataclass(frozen=True)
class People:
    """The person, the fold and the weight of each window.

    All people of a fold are left out of a fit together.
    """

    index: NDArray[np.int64]  # (W,) number of the person
    folds: NDArray[np.int64]  # (W,) number of the fold, from 0 on
    weights: FloatArray  # (W,) weights, whose sum is one

    @classmethod
    def of(cls, people: NDArray[np.str_], share: FloatArray, folds: int) -> 'People':
        """Assign people to folds. If there is only one person, each fold is a span of time.

        Args:
            people: name of the person in each window (W,).
            share: for each window, the part of an independent window for which it counts (W,). The
                part is less than 1 if windows start less than half a second apart.
            folds: greatest number of folds.
        """
        names, index = np.unique(people, return_inverse=True)
        windows = np.bincount(index, weights=share)
        each = np.minimum(1.0, windows / FEW) / windows
        weights = (each[index] * share).astype(np.float32)
        if len(names) > 1:
            rank = np.argsort(np.argsort(-windows, kind='stable'))
            fold = rank[index] % min(folds, len(names))
        else:
            parts = min(folds, len(people))
            fold = np.arange(len(people)) * parts // len(people)
        return cls(index, fold, weights / weights.sum())

    def grouped(
        self, scores: Scores, groups: NDArray[np.int64], rows: int, columns: int
    ) -> Grouped:
        """Return a list of all scores with their groups, people and weights.

        Each of the W windows has n scores, which follow each other in the list.

        Args:
            scores: data of W windows, of which only `share` is used.
            groups: number of the group of each score (W, n).
            rows: number of rows in the table of groups.
            columns: number of columns in the table of groups.
        """
        each = groups.shape[1]
        row = groups[0] // columns if columns > 1 else np.zeros(each, int)
        in_row = np.bincount(row)[row]  # (n,) how many scores share the row of each score
        share = scores.share.astype(np.float64)[:, None] / in_row
        return Grouped(
            groups.reshape(-1),
            rows,
            columns,
            np.repeat(self.index, each),
            np.repeat(self.weights.astype(np.float64), each),
            share.reshape(-1),
            len(np.unique(row)),
        )


def fit_sets(
    scores: Scores, calibration: Calibration, parts: Sequence[int], config: CalibrationConfig
) -> tuple[dict[str, FloatArray], LeftOut]:
    """Return the tensors of a calibration by name, and the coverage for people left out."""
    people = People.of(scores.people, scores.share, config.folds)

    def terms_for(chosen: NDArray[np.bool_]) -> FloatArray:
        some, weights = scores.choose(chosen), people.weights[chosen]
        return fit_expected_error(some, weights, parts, config.steps)

    tensors = {name: np.empty(shape, np.float32) for name, shape in calibration.shapes().items()}
    terms, scale, pace_scale, pace_floor, body_scale = tensors.values()
    terms[:] = terms_for(np.ones(len(scores), bool))
    unknowing = [terms_for(people.folds != fold) for fold in range(people.folds.max() + 1)]
    joint_groups, pace_groups, body_groups = groups_of(scores.state, parts, calibration)
    joints = people.grouped(scores, joint_groups, *scale.shape[2:4])
    each = np.repeat(pace_groups[:, None], len(parts), 1)
    paces = people.grouped(scores, each, pace_scale.shape[2], 1)
    bodies = people.grouped(scores, body_groups[:, None], body_scale.shape[2], 1)
    everybody = people.grouped(scores, np.zeros_like(body_groups)[:, None], 1, 1)

    def whole(ratio: FloatArray, coverage: float) -> Promise:
        worst = np.fmax.reduce(ratio, axis=-1, keepdims=True)  # (W, K, 1)
        nothing = np.zeros(worst.shape, bool)
        return promise(worst, nothing, bodies, everybody, people.folds, coverage)

    left_out = LeftOut.of(scores, people.weights, calibration)
    for r, error in enumerate(scores.error):
        expected = np.empty(error.shape, np.float32)
        for fold, of_others in enumerate(unknowing):
            own = people.folds == fold
            some = scores.choose(own)
            expected[own] = ExpectedError(of_others, parts)(some.state, some.spread[r])
        ratio = error / np.maximum(expected, 1e-6)
        ratio *= overfit(ratio, scores, people)
        off = ratio * expected
        for c, coverage in enumerate(calibration.coverages):
            floors = PaceFloors(scores, off, people.folds, calibration.paces, coverage)
            held = off <= floors.left_out()
            of_joints = promise(ratio, held, joints, paces, people.folds, coverage)
            scale[c, r], pace_scale[c, r] = of_joints.factors, of_joints.margin
            pace_floor[c, r] = floors.everybodys
            radius = _radius(of_joints.cross_fitted() * expected, floors.known())
            of_bodies = whole(off / radius, coverage)
            body_scale[c, r] = of_bodies.factors[:, 0] * of_bodies.margin
            if r == 0:
                radius = _radius(of_joints.left_out() * expected, floors.left_out())
                of_bodies = whole(off / radius, coverage)
                left_out.record(c, error, radius, of_bodies.left_out()[..., 0])
    _raise_with_coverage(scale, pace_scale)
    np.maximum.accumulate(pace_floor, axis=0, out=pace_floor)
    return tensors, left_out


def _raise_with_coverage(scale: FloatArray, pace_scale: FloatArray) -> None:
    """Raise margins so that a higher coverage never gives a smaller ball.

    The radius of a ball is proportional to its factor and to its margin.

    Args:
        scale: factors (C, R, G, B, K), by coverage, number of samples, row of the table of groups,
            column of this table, and frame.
        pace_scale: margins (C, R, Q, K), by coverage, number of samples, group and frame. This
            array is changed.
    """
    for less in range(len(scale) - 1):
        larger = (scale[less] / scale[less + 1]).max((1, 2))  # (R, K)
        least = pace_scale[less] * larger[:, None]
        pace_scale[less + 1] = np.maximum(pace_scale[less + 1], least)


def _radius(learnt: FloatArray, least: FloatArray) -> FloatArray:
    """Return the published radii: at least `least`, and never smaller at a later frame."""
    return np.maximum.accumulate(np.maximum(learnt, least), axis=1)


def overfit(ratio: FloatArray, scores: Scores, people: People) -> FloatArray:
    """Return factors that enlarge the scores of people whom the network was trained on (W, K, 1).

    The network predicts people that it was trained on better than other people. For each person,
    the 90 % quantile of the scores is computed. The factor is a quotient of two medians of these
    quantiles: the median over other people, divided by the median over people that the network was
    trained on. The factor is made smaller by the standard error of this quotient, since medians of
    few people are uncertain. The factor is at least 1. For other people, the factor is 1.
    """
    result = np.ones((*ratio.shape[:2], 1), np.float32)
    if not scores.trained.any() or scores.trained.all():
        return result
    of: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    for person in np.unique(people.index):
        own = people.index == person
        with np.errstate(all='ignore'):
            values = np.nanquantile(ratio[own], 0.9, axis=(0, 2))  # (K,)
        if scores.share[own].sum() >= 3 and np.isfinite(values).all():
            of[bool(scores.trained[own].any())].append(np.log(np.maximum(values, 1e-6)))
    if min(map(len, of.values())) < 2:
        return result
    known, new = np.array(of[True]), np.array(of[False])
    larger = np.median(new, axis=0) - np.median(known, axis=0)
    unsure = np.sqrt(known.var(0, ddof=1) / len(known) + new.var(0, ddof=1) / len(new))
    more = smooth(np.maximum(0, larger - unsure))
    result[scores.trained] = np.exp(more)[:, None]
    return result
