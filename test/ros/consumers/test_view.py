"""The command that serves the live view."""

import pytest

pytest.importorskip('viser', reason="the page is drawn by viser: pip install 'viser>=1.1'")


def test_view_says_what_is_wrong_with_its_command_line(start) -> None:
    view = start('view', 'nowhere.npz')
    assert view.popen.wait(timeout=60) == 2
    assert 'there is no motion archive nowhere.npz' in view.output
