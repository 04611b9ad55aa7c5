"""What the node says of itself on /diagnostics."""

from collections import Counter, defaultdict, deque

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

RECENT = 1000


class Health:
    """Counts and timings since activation, read once per period."""

    def __init__(self) -> None:
        self.received = 0
        self.published = 0
        self.late = 0
        """Predictions that took longer than the budget."""
        self.rejected: Counter[str] = Counter()
        self.last_problem = ''
        """Why input was last refused, in one sentence."""
        self._timings: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._before: Counter[str] = Counter()
        self._counts: tuple[int, int] = (0, 0)

    def time(self, stage: str, milliseconds: float) -> None:
        """Add the time that one stage of one prediction took."""
        self._timings[stage].append(milliseconds)

    def report(
        self,
        name: str,
        hardware_id: str,
        period_s: float,
        fault: str,
        stale: bool,
        facts: dict[str, str],
    ) -> DiagnosticArray:
        """Return the diagnostics of the last period.

        Args:
            name: of the node.
            hardware_id: of the predictor.
            period_s: time since the last report.
            fault: what is broken, or empty.
            stale: whether the source is silent.
            facts: more to show.
        """
        fresh_rejections = self.rejected - self._before
        received, published = self.received - self._counts[0], self.published - self._counts[1]
        self._before, self._counts = self.rejected.copy(), (self.received, self.published)
        status = DiagnosticStatus(name=f'{name}: prediction', hardware_id=hardware_id)
        if fault:
            status.level, status.message = DiagnosticStatus.ERROR, fault
        elif fresh_rejections:
            reasons = ', '.join(f'{reason} ({n})' for reason, n in fresh_rejections.items())
            status.level = DiagnosticStatus.WARN
            status.message = f'input rejected: {reasons}'
        elif stale:
            status.level, status.message = DiagnosticStatus.STALE, 'no usable input'
        else:
            status.level, status.message = DiagnosticStatus.OK, 'predicting'
        values = {
            'input rate (Hz)': f'{received / period_s:.1f}',
            'output rate (Hz)': f'{published / period_s:.1f}',
            'messages received': str(self.received),
            'messages published': str(self.published),
            'predictions over budget': str(self.late),
            'last problem': self.last_problem,
            **facts,
        }
        for stage, recent in list(self._timings.items()):
            p50, p99, top = np.percentile(list(recent), [50, 99, 100])
            values[f'{stage} p50 / p99 / max (ms)'] = f'{p50:.1f} / {p99:.1f} / {top:.1f}'
        for reason, count in self.rejected.items():
            values[f'rejected: {reason}'] = str(count)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticArray(status=[status])
