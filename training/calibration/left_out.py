"""The coverage for people who were left out of the fit, by person and horizon."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor_training.calibration.errors import Scores

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LeftOut:
    """Measured coverage for each person, with balls that were fitted to other people."""

    people: NDArray[np.str_]  # (W,) name of the person
    trained: NDArray[np.bool_]  # (W,) whether the network was trained on the person
    weights: FloatArray  # (W,)
    calibration: Calibration
    held: FloatArray  # (C, W, K) share of joints inside their balls; NaN if none was measured
    whole: FloatArray  # (C, W, K) 1 if all joints were inside, else 0; NaN if none was measured
    radius: FloatArray  # (C, W, K) median radius over the joints, metres

    @classmethod
    def of(cls, scores: Scores, weights: FloatArray, calibration: Calibration) -> 'LeftOut':
        """Return an object without results, to be filled by `record`."""
        shape = len(calibration.coverages), len(scores), len(calibration.frames)
        room = [np.full(shape, np.nan, np.float32) for _ in range(3)]
        return cls(scores.people, scores.trained, weights, calibration, *room)

    def record(
        self, index: int, error: FloatArray, radius: FloatArray, body_scale: FloatArray
    ) -> None:
        """Store the results for one coverage.

        Args:
            index: index of the coverage in the calibration.
            error: errors of the mean, metres; NaN where there is no error (W, K, J).
            radius: radii of the joints, metres (W, K, J).
            body_scale: factors that enlarge the radii so that all joints are inside (W, K).
        """
        known = np.isfinite(error)
        count = known.sum(-1)
        unknown = np.where(count, 0, np.nan)
        inside = known & (error <= radius)
        self.held[index] = inside.sum(-1) / np.maximum(count, 1) + unknown
        outside = known & (error > radius * body_scale[..., None])
        self.whole[index] = ~outside.any(-1) + unknown
        self.radius[index] = np.median(radius, -1)

    def facts(self) -> dict[str, Any]:
        """Return the shares of joints and of whole bodies that are inside their balls.

        There is one share for each coverage and frame. The shares are over the people whom the
        network was not trained on.
        """
        new = ~self.trained
        result: dict[str, Any] = {'frames': list(self.calibration.frames)}
        for index, coverage in enumerate(self.calibration.coverages):
            result[f'{coverage:g}'] = {
                name: [round(float(v), 4) for v in self._average(values[index], new)]
                for name, values in (('joints', self.held), ('bodies', self.whole))
            }
        return result

    def table(self, rate_hz: float) -> str:
        """Return a table of all results for a terminal; the table is valid Markdown.

        At the default coverage, the table also has one row for each person.

        Args:
            rate_hz: number of frames per second.
        """
        frames = self.calibration.frames
        shown = np.unique(np.linspace(0, len(frames) - 1, 8).round().astype(int))
        head = [f'{frames[k] / rate_hz:.2f} s' for k in shown]
        everybody = np.ones(len(self.people), bool)
        lines = []
        for index, coverage in enumerate(self.calibration.coverages):
            rows = [
                ('joints, everybody left out in turn', self.held, everybody),
                ('joints, people not trained on', self.held, ~self.trained),
                ('whole body, everybody', self.whole, everybody),
                ('whole body, people not trained on', self.whole, ~self.trained),
            ]
            for name, values, chosen in rows:
                if chosen.any():
                    average = 100 * self._average(values[index], chosen)[shown]
                    lines.append([f'{coverage:g}: {name}, %', *(f'{v:.1f}' for v in average)])
            radius_cm = 100 * np.median(self.radius[index], axis=0)[shown]
            lines.append([f'{coverage:g}: median radius, cm', *(f'{v:.1f}' for v in radius_cm)])
            listed = np.unique(self.people) if index == self.calibration.choose(None) else ()
            for person in listed:
                own = self.people == person
                average = 100 * self._average(self.held[index], own)[shown]
                known = ', trained on' if self.trained[own][0] else ''
                name = f'{person} ({own.sum()} windows{known})'
                lines.append([f'{coverage:g}: {name}, %', *(f'{v:.1f}' for v in average)])
        return tabulate(lines, ['', *head], tablefmt='github')

    def _average(self, values: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
        """Return the weighted averages (K,) of values (W, K) over the chosen windows (W,)."""
        values, weights = values[chosen], self.weights[chosen, None]
        known = np.isfinite(values)
        total = np.where(known, weights, 0).sum(0)
        return np.where(known, values * weights, 0).sum(0) / np.maximum(total, 1e-12)
