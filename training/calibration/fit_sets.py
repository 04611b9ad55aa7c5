"""Fits the sets of a calibration to scores, and measures them on people who are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor.uncertainty.sets import ExpectedError, groups_of
from motion_predictor_training.calibration.conformal import Grouped, factors, smooth, worst_person
from motion_predictor_training.calibration.errors import Scores
from motion_predictor_training.calibration.fit_expected_error import fit_expected_error
from motion_predictor_training.calibration.left_out import LeftOut
from motion_predictor_training.config import CalibrationConfig

FloatArray = NDArray[np.float32]
FEW = 30.0
"""Number of windows half a second apart from which a person has full weight."""


@dataclass(frozen=True)
class People:
    """People of the windows, who is left out together, and weights of the windows."""

    index: NDArray[np.int64]  # (W,) who
    folds: NDArray[np.int64]  # (W,) from 0 on
    weights: FloatArray  # (W,) sum to one

    @classmethod
    def of(cls, people: NDArray[np.str_], share: FloatArray, folds: int) -> 'People':
        """Assign people to folds. If there is only one person, assign parts of their time.

        Args:
            people: (W,) whose each window is.
            share: (W,) how much of a window apart from the others each is.
            folds: at most.
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
        """Return the groups (W, n) of n scores a window, window by window."""
        each = groups.shape[1]
        row = groups[0] // columns if columns > 1 else np.zeros(each, int)
        in_row = np.bincount(row)[row]  # (n,) scores of a window in the same row
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
    """Return the tensors of a calibration by name, and how they hold people left out."""
    people = People.of(scores.people, scores.share, config.folds)

    def terms_for(chosen: NDArray[np.bool_]) -> FloatArray:
        some, weights = scores.choose(chosen), people.weights[chosen]
        return fit_expected_error(some, weights, parts, config.steps)

    tensors = {name: np.empty(shape, np.float32) for name, shape in calibration.shapes().items()}
    terms, scale, pace_scale, body_scale = tensors.values()
    terms[:] = terms_for(np.ones(len(scores), bool))
    unknowing = [terms_for(people.folds != fold) for fold in range(people.folds.max() + 1)]
    joint_groups, pace_groups, body_groups = groups_of(scores.state, parts, calibration)
    joints = people.grouped(scores, joint_groups, *scale.shape[2:4])
    each = np.repeat(pace_groups[:, None], len(parts), 1)
    paces = people.grouped(scores, each, pace_scale.shape[2], 1)
    bodies = people.grouped(scores, body_groups[:, None], body_scale.shape[2], 1)
    everybody = people.grouped(scores, np.zeros_like(body_groups)[:, None], 1, 1)
    left_out = LeftOut.of(scores, people.weights, calibration)
    for r, error in enumerate(scores.error):
        expected = np.empty(error.shape, np.float32)
        for fold, of_others in enumerate(unknowing):
            own = people.folds == fold
            some = scores.choose(own)
            expected[own] = ExpectedError(of_others, parts)(some.state, some.spread[r])
        ratio = error / np.maximum(expected, 1e-6)
        ratio *= overfit(ratio, scores, people)
        for c, coverage in enumerate(calibration.coverages):
            scale[c, r], pace_scale[c, r], applied = promise(
                ratio, joints, paces, people.folds, coverage
            )
            radius = np.maximum.accumulate(applied * expected, axis=1)
            worst = np.fmax.reduce(ratio * expected / radius, axis=-1, keepdims=True)  # (W, K, 1)
            table, margin, body = promise(worst, bodies, everybody, people.folds, coverage)
            body_scale[c, r] = table[:, 0] * margin
            if r == 0:
                left_out.record(c, error, radius, body[..., 0])
    for table in (scale, pace_scale):  # a higher coverage never gives a smaller set
        np.maximum.accumulate(table, axis=0, out=table)
    return tensors, left_out


def promise(
    ratio: FloatArray, of: Grouped, margins: Grouped, folds: NDArray[np.int64], coverage: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the factors (rows, columns, K), the margins (Q, K), and both as of other people.

    With the margins, factors that were made without a person have the promised coverage for this
    person: on average over people, and nearly for each of them.

    Args:
        ratio: (W, K, n) errors over what was to be expected; NaN where there is none.
        of: the groups of the W * n scores.
        margins: the Q groups of the scores that get margins of their own.
        folds: (W,) who is left out together.
        coverage: that is promised.
    """
    windows, frames, each = ratio.shape
    scores = ratio.swapaxes(1, 2).reshape(-1, frames)  # (W * n, K)
    fold = np.repeat(folds, each)
    theirs = np.empty(scores.shape)
    for left_out in range(folds.max() + 1):
        table = factors(scores[fold != left_out], of.choose(fold != left_out), coverage)
        own = fold == left_out
        theirs[own] = table.reshape(-1, frames)[of.groups[own]]
    rest = (scores / theirs).astype(np.float32)
    on_average = factors(rest, margins, coverage).reshape(-1, frames)
    margin = np.maximum(on_average, worst_person(rest, margins, coverage))
    applied = (theirs * margin[margins.groups]).reshape(windows, each, frames).swapaxes(1, 2)
    return (
        factors(scores, of, coverage).astype(np.float32),
        margin.astype(np.float32),
        applied.astype(np.float32),
    )


def overfit(ratio: FloatArray, scores: Scores, people: People) -> FloatArray:
    """Return factors (W, K, 1), 1 or more, that scale scores of trained people to those of others.

    They are the ratio of the medians of the 90 % quantiles, reduced by a standard error, since few
    people say little.
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
