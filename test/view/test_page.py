"""The page in a real browser."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from motion_predictor.archive import open_archive
from motion_predictor.planning.outlook import Outlook, Person
from motion_predictor.view.moment import Moment
from motion_predictor.view.palette import DARK

pytest.importorskip('viser', reason="the page is drawn by viser: pip install 'viser>=1.1'")

PATIENCE_S = 240.0
"""It is long because without a graphics card the processor draws everything."""


def standing(aside_m: float = 0.0) -> Moment:
    """Return a moment in which a person stands and is predicted to walk away."""
    archive = open_archive('bundled')
    pose = archive.clip(0)[0] + np.array([aside_m, 0, 0], np.float32)
    times_s = np.arange(1, 21) / 10
    mean = np.repeat(pose[None], 20, 0)
    mean[..., 0] += times_s[:, None].astype(np.float32)
    radius = np.full(mean.shape[:2], 0.1, np.float32)
    person = Person('anna', 1.0, mean[None], mean, radius)
    layout = archive.layout
    names, parents = tuple(layout.joint_names), tuple(layout.parents)
    outlook = Outlook(10**9, 0.0, 'map', layout.name, names, parents, 0.95, times_s, (person,))
    return Moment(outlook, {'anna': 'OK'})


def pixels_like(page: Any, colour: tuple[int, int, int]) -> int:
    """Return the number of pixels with about the hue of a colour in the browser's picture."""
    (browser,) = page.server.get_clients().values()
    picture = browser.get_render(200, 320, timeout=PATIENCE_S) / np.float32(255)
    wanted = np.array(colour) / 255
    wanted = wanted - wanted.mean()
    hue = picture - picture.mean(-1, keepdims=True)
    alike = hue @ wanted / np.linalg.norm(wanted) / np.linalg.norm(hue, axis=-1).clip(1e-6)
    return int(((alike > 0.95) & (np.linalg.norm(hue, axis=-1) > 0.2)).sum())


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f'{what}: not within {PATIENCE_S:g} s'
        time.sleep(0.2)


def test_page_draws_people_and_the_slider_moves_the_future(
    browser_at: Callable[[str], AbstractContextManager[Any]],
) -> None:
    from motion_predictor.view.page import Page
    from motion_predictor.view.scene import Show

    page = Page(port=18765, show=Show(ahead_s=0.0))
    try:
        page.take(standing())
        page.draw('OK', good=True)
        with browser_at(page.url) as browser:
            browser.get_by_text('OK, 1 person').wait_for()
            wait_for(lambda: page.is_watched, 'the page has a camera')
            wait_for(lambda: pixels_like(page, DARK.person) > 50, 'somebody is drawn')
            assert pixels_like(page, DARK.future) == 0
            slider = browser.get_by_role('slider').first
            slider.focus()
            for _ in range(20):
                slider.press('ArrowRight')
            wait_for(lambda: page.show.ahead_s == pytest.approx(1.0), 'the slider is heard')
            page.draw('OK', good=True)
            wait_for(lambda: pixels_like(page, DARK.future) > 50, 'the future is drawn')
            page.forget()
            page.take(standing(aside_m=20.0))
            page.draw('OK', good=True)
            wait_for(lambda: pixels_like(page, DARK.person) > 50, 'the camera has gone with them')
    finally:
        page.close()


def test_somebody_is_drawn_before_anything_can_be_seen_to_come_true() -> None:
    from motion_predictor.view.page import Page
    from motion_predictor.view.scene import Show

    first = standing()
    later = replace(first, outlook=replace(first.outlook, stamp_ns=2 * 10**9))
    page = Page(port=18765, show=Show(ahead_s=1.0, truth=True))
    try:
        page.take(first)
        assert page.draw('OK', good=True) is first
        page.take(later)
        assert page.draw('OK', good=True) is first
        page.show.truth = False
        assert page.draw('OK', good=True) is later
    finally:
        page.close()
