"""Decides which messages are used: those in one coordinate frame that are newer than the last."""

from collections import Counter
from enum import Enum, auto

RESTART_AFTER = 5
"""Number of stamps in a row that show that the time of the source restarted, because a recording
looped or a clock was set back. Each of these stamps is older than the newest stamp of all, but
newer than the stamp before. Fewer old stamps in a row only mean that messages were delayed."""

TWO_CLOCKS_NS = 10_000_000_000
"""Two restarts of time within this span mean that two sources publish on the topic."""
BEHIND, BEHIND_NS = 10, 2_000_000_000
"""If at least BEHIND messages are late within BEHIND_NS, the cause is not a delay."""


class Verdict(Enum):
    """The decision about a message: whether it is used."""

    TAKEN = auto()
    AFRESH = auto()
    """The message is used, and all histories begin anew with it."""
    REFUSED = auto()


class Feed:
    """Decides for each message, by its coordinate frame and its stamp, whether it is used.

    A history must not mix positions of two coordinate frames. So one coordinate frame is in use,
    and messages in other frames are refused. Another coordinate frame can come into use when no
    message has arrived in the present coordinate frame for `quiet_after_ns`.

    Args:
        quiet_after_ns: time without a message after which a coordinate frame is out of use.
    """

    def __init__(self, quiet_after_ns: int) -> None:
        self._quiet_after_ns = quiet_after_ns
        self.clear()
        self.frame_id = ''
        self.rejected: Counter[str] = Counter()
        """Number of refused messages, by reason."""
        self.remarks: dict[str, str] = {}
        """Sentences that say what is wrong and what to do, by reason."""
        self.restarts = 0
        """Number of times that the stamps of the source went back and stayed back."""
        self._restarted_ns: int | None = None
        self._behind_since_ns, self._behind = 0, 0

    def clear(self) -> None:
        """Forget all stamps. The next message is then used, whatever its stamp and frame are."""
        self.newest_ns: int | None = None
        self._heard_ns = 0
        self._older_stamps: list[int] = []

    def decide(self, stamp_ns: int, frame_id: str, now_ns: int) -> Verdict:
        """Decide whether a message is used, and remember its stamp and frame.

        Args:
            stamp_ns: time of capture of the message.
            frame_id: coordinate frame of the positions in the message.
            now_ns: time of arrival of the message.
        """
        verdict = Verdict.TAKEN
        if self.newest_ns is None:
            self.frame_id = frame_id
        elif frame_id != self.frame_id:
            if 0 <= now_ns - self._heard_ns <= self._quiet_after_ns:
                self.rejected['another frame'] += 1
                self.remarks['two frames'] = (
                    f"skeletons come in the frames '{frame_id}' and '{self.frame_id}' at "
                    'the same time: set fixed_frame, to which both are transformed, or '
                    'let one tracker publish on this topic'
                )
                return Verdict.REFUSED
            self.frame_id = frame_id
            verdict = Verdict.AFRESH
        elif stamp_ns <= self.newest_ns:
            if not self._time_restarted(stamp_ns, self.newest_ns):
                self._note_behind(self.newest_ns - stamp_ns, now_ns)
                return Verdict.REFUSED
            self.restarts += 1
            self._note_restart(self.newest_ns - stamp_ns, now_ns)
            verdict = Verdict.AFRESH
        self.newest_ns, self._heard_ns = stamp_ns, now_ns
        self._older_stamps.clear()
        return verdict

    def _note_behind(self, behind_ns: int, now_ns: int) -> None:
        """Add a remark if messages without a newer stamp keep coming."""
        if not 0 <= now_ns - self._behind_since_ns <= BEHIND_NS:
            self._behind_since_ns, self._behind = now_ns, 0
        self._behind += 1
        if self._behind >= BEHIND and not behind_ns:
            self.remarks['the same stamp'] = (
                'several messages carry the same stamp, and all but the first are '
                'refused: send everybody who was captured at the same time in one message'
            )
        elif self._behind >= BEHIND:
            self.remarks['two clocks'] = (
                f'messages keep arriving with stamps that are {behind_ns * 1e-9:.3f} s '
                'older than others: two sources seem to publish on this topic; keep one '
                'of them, or merge them'
            )

    def _note_restart(self, back_ns: int, now_ns: int) -> None:
        """Add a remark that the stamps of the source went back.

        If the stamps went back twice within TWO_CLOCKS_NS, the remark says that two sources
        publish.
        """
        seldom = self._restarted_ns is None or now_ns - self._restarted_ns > TWO_CLOCKS_NS
        self._restarted_ns = now_ns
        if seldom:
            self.remarks['time went back'] = (
                f'the stamps of the source went back by {back_ns * 1e-9:.3f} s and stay '
                'there, so all histories start anew: did a recording start over, or was a '
                'clock set?'
            )
        else:
            self.remarks['two clocks'] = (
                f'stamps keep going back by {back_ns * 1e-9:.3f} s: two sources with '
                'different clocks seem to publish on this topic; synchronise their '
                'clocks, or keep one of them'
            )

    def _time_restarted(self, stamp_ns: int, newest_ns: int) -> bool:
        """Count a stamp that is not new, and return whether the stamps have started again."""
        if stamp_ns == newest_ns:
            self.rejected['duplicate stamp'] += 1
            return False
        self.rejected['out-of-order stamp'] += 1
        if self._older_stamps and stamp_ns <= self._older_stamps[-1]:
            self._older_stamps.clear()
        self._older_stamps.append(stamp_ns)
        return len(self._older_stamps) >= RESTART_AFTER
