"""Builds the diagnostics that the node publishes on /diagnostics."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from motion_predictor.budget import Budget
from motion_predictor.engines.choice import Attempt
from motion_predictor.predictor import MotionPredictor
from motion_predictor.self_check.check import SelfCheck

RECENT = 1000
SHOWN = 8
"""Number of people for whom diagnostics show how well they were predicted."""
GUESSED = ('the mean', 'zero velocity', 'constant velocity')
STAGES = (
    'age at arrival',
    'wait',
    'inference',
    'publish',
    'message to message',
    'all but inference',
)


@dataclass(frozen=True)
class Condition:
    """Problems of the node, the most severe first.

    An empty string means that there is no problem of this kind.
    """

    fault: str
    """Sentence that says what is broken."""
    silence: str
    """Sentence that says why there is no usable input."""
    shortfall: str
    """Sentence that says what does not work as configured."""


class Health:
    """Counts and timings since activation.

    Any thread may record counts and timings, and one thread reads them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._before: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._reported_s = time.monotonic()
        self._cpu_s = time.process_time()
        self._last_problem = ''
        self._remarks: list[str] = []
        self._timings = np.empty((RECENT, len(STAGES)))
        self._timed = 0

    def count(self, event: str) -> None:
        """Count an event: a message received or published, a prediction over budget, a restart."""
        with self._lock:
            self._counts[event] += 1

    def reject(self, reasons: Counter[str], sentence: str = '') -> None:
        """Count rejected input by reason, and keep a sentence that says why it was rejected."""
        with self._lock:
            self._rejected.update(reasons)
            self._last_problem = sentence or self._last_problem

    def remark(self, sentence: str) -> None:
        """Keep a sentence that says what is wrong with the input and how to correct it."""
        with self._lock:
            self._last_problem = sentence
            if sentence not in self._remarks:
                self._remarks.append(sentence)

    def time(self, age_ms: float, wait_ms: float, inference_ms: float, publish_ms: float) -> None:
        """Record how long each stage of one prediction took."""
        rest_ms = wait_ms + publish_ms
        row = (age_ms, wait_ms, inference_ms, publish_ms, rest_ms + inference_ms, rest_ms)
        with self._lock:
            self._timings[self._timed % RECENT] = row
            self._timed += 1

    def report(
        self, name: str, hardware_id: str, condition: Condition, facts: dict[str, str]
    ) -> DiagnosticArray:
        """Return the diagnostics for the time since the last report.

        Args:
            name: name of the node.
            hardware_id: identifier of the predictor's checkpoint.
            condition: present problems of the node.
            facts: further diagnostic values, by name.
        """
        with self._lock:
            counts, rejected = self._counts.copy(), self._rejected.copy()
            recent = self._timings[: min(self._timed, RECENT)].copy()
            last_problem = self._last_problem
            remarks, self._remarks = self._remarks, []
        fresh_counts, fresh_rejections = counts - self._before[0], rejected - self._before[1]
        self._before = (counts, rejected)
        now_s, cpu_s = time.monotonic(), time.process_time()
        period_s, busy_s = max(now_s - self._reported_s, 1e-3), cpu_s - self._cpu_s
        self._reported_s, self._cpu_s = now_s, cpu_s

        warnings = remarks
        if fresh_rejections:
            reasons = ', '.join(f'{reason} ({n})' for reason, n in fresh_rejections.items())
            warnings.append(f'input rejected: {reasons}')
        if condition.shortfall:
            warnings.append(condition.shortfall)
        if late := fresh_counts['over budget']:
            warnings.append(f'predictions over budget ({late})')
        status = DiagnosticStatus(name=f'{name}: prediction', hardware_id=hardware_id)
        silence = '' if fresh_rejections else condition.silence
        if condition.fault:
            status.level = DiagnosticStatus.ERROR
        elif silence:
            status.level = DiagnosticStatus.STALE
        elif warnings:
            status.level = DiagnosticStatus.WARN
        # Warnings are listed even while the input is silent, because they often explain the
        # silence.
        said = [sentence for sentence in (condition.fault, silence, *warnings) if sentence]
        status.message = '; '.join(said) or 'predicting'
        values = {
            'input rate (Hz)': f'{fresh_counts["received"] / period_s:.1f}',
            'output rate (Hz)': f'{fresh_counts["published"] / period_s:.1f}',
            'CPU (% of a core)': f'{100 * busy_s / period_s:.1f}',
            'messages received': str(counts['received']),
            'messages published': str(counts['published']),
            'predictions over budget': str(counts['over budget']),
            'predictions with unfamiliar people': str(counts['unfamiliar']),
            "restarts of the source's time": str(counts['restarted']),
            'restarts of the inference thread': str(counts['thread restarted']),
            'last problem': last_problem,
            **facts,
        }
        shares = np.percentile(recent, [50, 99, 100], axis=0).T if len(recent) else ()
        for stage, (p50, p99, top) in zip(STAGES, shares, strict=False):
            values[f'{stage} p50 / p99 / max (ms)'] = f'{p50:.1f} / {p99:.1f} / {top:.1f}'
        for reason, count in rejected.items():
            values[f'rejected: {reason}'] = str(count)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticArray(status=[status])


def facts(predictor: MotionPredictor, budget: Budget, threads: int) -> dict[str, str]:
    """Return diagnostic values about the network, its engine and its latency budget."""
    engine, state = predictor.engine, budget.state
    return {
        'model': predictor.checkpoint.model_id,
        'device': str(predictor.device),
        'engine': f'{engine.backend} in {engine.precision}',
        'engine error (mm)': f'{1000 * engine.error_m:.2f}',
        'engines not used': _told((*engine.attempts, *engine.gave_up)) or 'none',
        'CPU threads of the network': str(threads),
        'samples': str(state.samples),
        'samples configured': str(budget.ladder[0]),
        'budget (ms)': f'{budget.budget_ms:g}',
        'budget: people / p99 until read (ms)': f'{state.people} / {state.p99_ms:.1f}',
        'budget: reason': state.reason,
    }


def judged(check: SelfCheck) -> dict[str, str]:
    """Return diagnostic values: how well the `SHOWN` people seen last were predicted."""
    ahead = ' / '.join(f'{horizon_s:g}' for horizon_s in check.horizons_s)
    values = {}
    for quality in check.report()[-SHOWN:]:
        held = ' / '.join(f'{100 * share:.0f}' for share in quality.coverage)
        values[f'{quality.id}: held after {ahead} s (%)'] = held
        for name, errors_m in zip(GUESSED, quality.error_m, strict=True):
            errors = ' / '.join(f'{100 * error_m:.1f}' for error_m in errors_m)
            values[f'{quality.id}: error of {name} (cm)'] = errors
        factors = ' / '.join(f'{factor:.2f}' for factor in quality.factor)
        values[f'{quality.id}: factor of the radius'] = factors
    return values


def shortfall(predictor: MotionPredictor, budget: Budget, backend: str) -> str:
    """Return a sentence about all that does not work as configured; empty if all works.

    Args:
        predictor: predictor that runs the network.
        budget: latency budget, which chooses the number of samples.
        backend: configured backend of the engine. 'auto' accepts any engine.
    """
    state, engine, words = budget.state, predictor.engine, []
    if 0 < state.samples < budget.ladder[0]:
        words.append(
            f'{state.samples} of {budget.ladder[0]} samples for {state.people} '
            f'{"person" if state.people == 1 else "people"}: {state.reason}'
        )
    if engine.gave_up:
        words.append(f'engines that failed: {_told(engine.gave_up)}')
    if engine.attempts and backend != 'auto':
        words.append(f'engines not used: {_told(engine.attempts)}')
    return '; '.join(words)


def _told(attempts: Sequence[Attempt]) -> str:
    """Return the names of engines that were tried but are not used, and the reasons."""
    return '; '.join(f'{name} in {kind}: {why}' for name, kind, why in attempts)
