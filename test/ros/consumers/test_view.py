"""The command that serves the live view, while a predictor starts and stops."""

import re
import time

import pytest

pytest.importorskip('viser', reason="the page is drawn by viser: pip install 'viser>=1.1'")
PATIENCE_S = 240.0


def address_of(view) -> str:
    """Wait until the page is served, and return its address."""
    until = time.monotonic() + PATIENCE_S
    while (found := re.search(r'look at (\S+)', view.output)) is None:
        assert view.popen.poll() is None and time.monotonic() < until, view.output
        time.sleep(0.1)
    return found[1]


def test_view_survives_restarts_of_the_predictor(start, browser_at) -> None:
    view = start('view', '--port', '18766')
    start('replay', '--loop')
    predictor = start('predictor')
    with browser_at(address_of(view)) as browser:
        browser.get_by_text('OK: everybody is predicted, 1 person').wait_for()
        predictor.stop()
        browser.get_by_text('SILENT').wait_for()
        start('predictor')
        browser.get_by_text('OK: everybody is predicted, 1 person').wait_for()
    assert view.stop() == 0
    assert 'Traceback' not in view.output


def test_view_says_what_is_wrong_with_its_command_line(start) -> None:
    view = start('view', 'nowhere.npz')
    assert view.popen.wait(timeout=60) == 2
    assert 'there is no motion archive nowhere.npz' in view.output
