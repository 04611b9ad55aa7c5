"""Decides the status of a tracked person: whether they can be predicted, and if not, why."""

from collections import Counter
from dataclasses import replace

from motion_predictor.common.status import Status
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.plausibility import wrong_proportions
from motion_predictor.tracking.scene import Person
from motion_predictor.tracking.track import Track

RECENT_LEAST = 0.5
"""Share of the joints that must have been seen in the last 0.1 s, so that no prediction starts
from a pose that is mostly remembered. A lower `min_observed_fraction` is used instead of this
share."""


def status_of(track: Track, newest_ns: int | None, axes_are_wrong: bool) -> Status:
    """Return the status that the track of a person gives; `WindowCheck` checks the window later.

    Args:
        track: track of the person, which holds the history.
        newest_ns: time of capture of the newest message.
        axes_are_wrong: whether the source seems to mix up axes, or left and right.
    """
    if track.newest_ns != newest_ns or track.frozen or axes_are_wrong:
        return Status.STALE_INPUT
    return Status.OK if track.history.is_full() else Status.WARMING_UP


class WindowCheck:
    """Decides whether the window of a person shows enough of a human body for a prediction.

    Args:
        body: shape of a body in the layout of the people.
        min_observed_fraction: share of the window's positions that must lie between two frames in
            which the joint was seen. The smaller one of this share and RECENT_LEAST is the share
            of the joints that must have been seen in the last 0.1 s.
        rejected: counter of people who are not predicted, by reason.
        remarks: dictionary for sentences that say what is wrong, by reason.
    """

    def __init__(
        self,
        body: Body,
        min_observed_fraction: float,
        rejected: Counter[str],
        remarks: dict[str, str],
    ) -> None:
        self._body = body
        self._least = min_observed_fraction
        self._rejected = rejected
        self._remarks = remarks

    def __call__(self, person: Person, track: Track) -> Person:
        """Return the person with a window, or with the status STALE_INPUT if the check fails.

        Args:
            person: a person whose history is full.
            track: track of this person.
        """
        window = track.window()
        if sentence := wrong_proportions(self._body, track.gates.limbs_m):
            self._rejected['limb lengths of no person'] += 1
            self._remarks['limb lengths of no person'] = sentence
            return replace(person, status=Status.STALE_INPUT)
        if window is None:
            self._rejected['too little observed'] += 1
            return replace(person, status=Status.STALE_INPUT)
        observed = replace(person, observed_fraction=window.observed_fraction)
        recent_least = min(self._least, RECENT_LEAST)
        if window.seen_fraction < self._least or window.recent_fraction < recent_least:
            self._rejected['too little observed'] += 1
            return replace(observed, status=Status.STALE_INPUT)
        return replace(observed, window=window, track=track.number)
