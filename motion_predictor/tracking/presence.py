"""Remembers people who may be there although they are not listed.

A fault must not make a robot cell look empty. So this module counts, for a holding time, people
whose pose could not be read or was refused, and people whose history was cleared. Until the
holding time is over, an empty list of people does not mean that nobody is there.
"""


class _Count:
    """Numbers of people who may be there, each with the time at which the number expires."""

    def __init__(self) -> None:
        self._until_ns: dict[int, int] = {}  # the key is the number of people

    def note(self, people: int, until_ns: int) -> None:
        self._until_ns[people] = max(until_ns, self._until_ns.get(people, until_ns))

    def at(self, now_ns: int) -> int:
        self._until_ns = {n: ns for n, ns in self._until_ns.items() if ns >= now_ns}
        return max(self._until_ns, default=0)

    def hold_until(self, until_ns: int) -> None:
        self._until_ns = dict.fromkeys(self._until_ns, until_ns)


class Presence:
    """Remembers how many people may be there without being listed.

    Args:
        hold_ns: holding time, for which people are remembered.
    """

    def __init__(self, hold_ns: int) -> None:
        self._hold_ns = hold_ns
        self._others, self._somebody = _Count(), _Count()

    def note_others(self, people: int, now_ns: int) -> None:
        """Record a number of people who are not in the list."""
        if people > 0:
            self._others.note(people, now_ns + self._hold_ns)

    def note_somebody(self, people: int, now_ns: int) -> None:
        """Record that some number of people may be there; some of them may be in the list."""
        if people > 0:
            self._somebody.note(people, now_ns + self._hold_ns)

    def unlisted(self, listed: int, now_ns: int) -> int:
        """Return the number of people who may be there but are not in the list."""
        return max(self._others.at(now_ns), self._somebody.at(now_ns) - listed)

    def time_jumped(self, now_ns: int) -> None:
        """Restart all holding times at `now_ns`, after the clock was set."""
        for count in (self._others, self._somebody):
            count.hold_until(now_ns + self._hold_ns)
