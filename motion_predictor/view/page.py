"""The browser page with the scene, the controls, and tables of the errors of predictions."""

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from html import escape
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray
from viser import uplot

from motion_predictor.view.hindsight import Hindsight
from motion_predictor.view.memory import Memory
from motion_predictor.view.moment import Moment
from motion_predictor.view.palette import DARK, LIGHT
from motion_predictor.view.scene import Scene, Show

FIGURES_S = 0.5
"""Period at which the tables are updated."""
HORIZON_S = 2.0
FOLLOWED_M = 0.7
"""The camera follows the people if their distance from the point in its centre is greater than
this."""
TIMELINE = 300
BANNER = (
    '<div style="margin: 0.4em 0.6em; padding-left: 0.6em; border-left: 4px solid {}; '
    'font-weight: 600">{}</div>'
)
GOOD, PARTLY, BAD = '#2da44e', '#e08a2c', '#d1242f'
SWITCHES = {
    'fan': ('Fan of futures', 'Hands, feet, head and hips in some of the futures.'),
    'mean': ('Mean', 'The mean of all futures.'),
    'balls': ('Balls', 'Each holds its joint with the stated probability.'),
    'trails': ('Trails', 'Where hands, feet, head and hips were.'),
    'truth': (
        'What then happened',
        'Shows an earlier prediction, with the motion that followed it as a ghost.',
    ),
    'flesh': ('Flesh', 'Limbs with the thickness that distances are measured to.'),
}


def _quiet() -> AbstractContextManager[Any]:
    """Hide the output of viser, because the command itself prints the address of the page."""
    return redirect_stdout(io.StringIO())


class Page:
    """Serves the page on this machine and draws the newest moment on it.

    Args:
        port: port of the page. If this port is in use, another port is taken.
        host: network address of the page. By default only this machine can open the page.
        dark: whether the page starts with dark colours.
        show: settings that choose what is drawn at the start.
    """

    def __init__(
        self,
        port: int = 8080,
        host: str = '127.0.0.1',
        dark: bool = True,
        show: Show | None = None,
    ) -> None:
        self.show = show or Show()
        self._lock = threading.Lock()  # one thread adds moments, another thread draws them
        self.memory = Memory()
        self._hindsight = Hindsight()
        self._timeline: deque[tuple[float, float]] = deque(maxlen=TIMELINE)
        self._condition = ('no message yet', False)
        self._told_s = 0.0
        with _quiet():
            self.server = viser.ViserServer(
                host=host, port=port, label='motion_predictor', verbose=False
            )
        self.server.gui.main_panel.dock_right()
        self._look_at(0.0, 0.0)
        self._follows = True
        self.paint(dark)
        self._furnish(dark)

    @property
    def url(self) -> str:
        """The address (URL) of the page."""
        return f'http://{self.server.get_host()}:{self.server.get_port()}'

    @property
    def is_watched(self) -> bool:
        """Whether a browser has the page open."""
        return bool(self.server.get_clients())

    def paint(self, dark: bool) -> None:
        """Switch to dark or light colours."""
        self.server.gui.configure_theme(
            dark_mode=dark, show_logo=False, show_share_button=False, control_width='medium'
        )
        self._scene = Scene(self.server, DARK if dark else LIGHT)

    def _furnish(self, dark: bool) -> None:
        gui = self.server.gui
        self._banner = gui.add_html('')
        self._ahead = gui.add_slider(
            'Time ahead (s)', 0.0, HORIZON_S, 0.05, self.show.ahead_s,
            hint='Time after the last observation that is shown of the futures.',
        )  # fmt: skip
        self._ahead.on_update(lambda _: setattr(self.show, 'ahead_s', self._ahead.value))
        with gui.add_folder('Show'):
            for name, (title, hint) in SWITCHES.items():
                self._switch(title, hint, getattr(self.show, name), self._setter(name))
            self._switch('Follow', 'The camera goes with the people.', True, self._set_following)
            self._switch('Dark', 'Dark colours.', dark, self.paint)
        with gui.add_folder('Accuracy'):
            self._figures = gui.add_markdown('')
        with gui.add_folder('On time'):
            self._timing = gui.add_markdown('')
            empty = np.zeros(1)
            self._plot = gui.add_uplot(
                (empty, empty, empty),
                (
                    uplot.Series(label='s'),
                    uplot.Series(label='age when published (ms)', stroke='#3a8fd9', width=2),
                    uplot.Series(label='when read here (ms)', stroke='#e08a2c', width=2),
                ),
                scales={'x': uplot.Scale(time=False), 'y': uplot.Scale(auto=True)},
                axes=(uplot.Axis(show=False), uplot.Axis(stroke='#888888')),
                aspect=2.0,
            )

    def _setter(self, name: str) -> Callable[[bool], None]:
        return lambda value: setattr(self.show, name, value)

    def _switch(self, title: str, hint: str, value: bool, then: Callable[[bool], None]) -> None:
        box = self.server.gui.add_checkbox(title, value, hint=hint)
        box.on_update(lambda _: then(box.value))

    def close(self) -> None:
        """Stop serving the page."""
        with _quiet():
            self.server.stop()

    def take(self, moment: Moment) -> None:
        """Add the newest moment, which the next `draw` draws."""
        with self._lock:
            self.memory.add(moment)
            self._hindsight.update(self.memory)
            if np.isfinite(moment.age_ms):
                self._timeline.append((moment.age_ms, moment.latency_ms))

    def forget(self) -> None:
        """Forget all moments, for example before another recording."""
        with self._lock:
            self.memory.clear()
            self._hindsight.clear()
            self._timeline.clear()

    def draw(self, condition: str, good: bool) -> Moment | None:
        """Draw the newest moment.

        Args:
            condition: state of the predictions, as a sentence.
            good: whether the predictions are usable. With unusable predictions, people are grey
                and no futures are drawn.

        Returns:
            The moment that was drawn; None if there is none.
        """
        with self._lock:
            return self._draw(condition, good)

    def _draw(self, condition: str, good: bool) -> Moment | None:
        drawn = self._scene.draw(self.memory, self.show, stale=not good)
        if drawn is not None and drawn.poses:
            joints = np.concatenate(list(drawn.poses.values()))
            seen = joints[np.isfinite(joints).all(-1)]
            if len(seen):
                self._follow(seen.mean(axis=0))
        now_s = time.monotonic()
        if now_s - self._told_s > FIGURES_S or self._condition != (condition, good):
            self._told_s, self._condition = now_s, (condition, good)
            self._tell(condition, good)
        return drawn

    def _set_following(self, value: bool) -> None:
        self._follows = value

    def _follow(self, middle: NDArray[np.floating]) -> None:
        """Move the cameras so that they look near the middle of the people (3,).

        If no browser has the page open, set the first view for the next browser.
        """
        if not self.is_watched:
            self._look_at(*middle[:2].tolist())
        for client in self.server.get_clients().values() if self._follows else ():
            camera = client.camera
            way = (middle - camera.look_at) * (1, 1, 0)
            length = float(np.hypot(*way[:2]))
            if length > FOLLOWED_M:
                camera.position = camera.position + way * (1 - FOLLOWED_M / length)

    def _look_at(self, x: float, y: float) -> None:
        self.server.initial_camera.look_at = (x, y, 0.9)
        self.server.initial_camera.position = (x + 3.4, y - 4.2, 2.4)

    def _tell(self, condition: str, good: bool) -> None:
        newest = self.memory.newest
        people = len(newest.statuses) if newest else 0
        there = f', {people} {"person" if people == 1 else "people"}' if good else ''
        partly = newest is not None and newest.status not in ('OK', 'DEGRADED')
        colour = BAD if not good else PARTLY if partly else GOOD
        self._set(self._banner, BANNER.format(colour, escape(condition) + there))
        rows = self._hindsight.rows()
        lines = ['| ahead | mean off by | standing still | in balls |', '|---|---|---|---|']
        for row in rows:
            inside = 'unknown' if np.isnan(row.inside) else f'{100 * row.inside:.0f} %'
            lines.append(
                f'| {row.ahead_s:g} s | **{100 * row.error_m:.1f} cm** | '
                f'{100 * row.still_m:.1f} cm | {inside} |'
            )
        promised = newest.outlook.coverage if newest else float('nan')
        lines += ['', f'Balls promise {100 * promised:.0f} %. ' if np.isfinite(promised) else '']
        lines[-1] += 'The last 30 s, all joints.'
        waiting = 'Waiting for the first futures to come true.'
        self._set(self._figures, '\n'.join(lines) if rows else waiting)
        self._tell_timing(newest)

    def _tell_timing(self, newest: Moment | None) -> None:
        text = []
        if self._timeline:
            ages, latencies = np.array(self._timeline).T
            for name, values in (('age when published', ages), ('when read here', latencies)):
                if np.isfinite(values).all():
                    p50, p99 = np.percentile(values, [50, 99])
                    text.append(f'{name}: **{p50:.1f} ms**, p99 {p99:.1f} ms')
            steps = np.arange(1 - len(ages), 1, dtype=np.float64)
            self._plot.data = (steps, ages.astype(np.float64), latencies.astype(np.float64))
        if newest and newest.robot and np.isfinite(newest.robot.speed_scale):
            text.append(f'speed left to the robot: **{100 * newest.robot.speed_scale:.0f} %**')
        self._set(self._timing, '\n\n'.join(text) or 'No message yet.')

    @staticmethod
    def _set(handle: Any, text: str) -> None:
        if handle.content != text:
            handle.content = text
