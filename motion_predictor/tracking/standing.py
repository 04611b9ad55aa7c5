"""What can be said of a person who is followed: predictable, or why not."""

from collections import Counter
from dataclasses import replace

from motion_predictor.common.status import Status
from motion_predictor.tracking.body import Body
from motion_predictor.tracking.plausibility import wrong_proportions
from motion_predictor.tracking.scene import Person
from motion_predictor.tracking.track import Track

RECENT_LEAST = 0.5
"""Share of the joints that must have been seen recently. A pose that is mostly remembered is not
predicted from, unless `min_observed_fraction` is lower than this."""


def status_of(track: Track, newest_ns: int | None, axes_are_wrong: bool) -> Status:
    """Return a person with the status that is known without the window.

    Args:
        track: of the person.
        newest_ns: time of capture of the newest message.
        axes_are_wrong: whether the source's axes or sides cannot be those of people.
    """
    if track.newest_ns != newest_ns or track.frozen or axes_are_wrong:
        return Status.STALE_INPUT
    return Status.OK if track.history.is_full() else Status.WARMING_UP


class WindowCheck:
    """Lets a person be predicted whose window shows enough of a human body.

    Args:
        body: of the layout.
        min_observed_fraction: with less than this observed, a person is not predicted; nor if half
            of the joints, or this share if it is less, have not been seen for 0.1 s.
        rejected: where to count, by reason, who is not predicted.
        remarks: where to say what is wrong, by reason.
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
        """Return a person of a full history with the window, or STALE_INPUT without one."""
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
