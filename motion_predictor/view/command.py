"""Defines the arguments of the page and starts the page, for all commands that open one."""

import argparse
from typing import TYPE_CHECKING

from motion_predictor.common.arguments import number, whole
from motion_predictor.common.terminal import complain

RATE_HZ = 15.0
"""Greatest rate at which the page is drawn."""

if TYPE_CHECKING:
    from motion_predictor.view.page import Page

MISSING = "the page needs viser, which is not installed: pip install 'viser>=1.1'"


def add_page_arguments(parser: argparse.ArgumentParser, truth: bool) -> None:
    """Add arguments for the address of the page and for its look at the start.

    Args:
        parser: parser to which the arguments are added.
        truth: default of `--truth`: whether the page shows the true motion from the start.
    """
    parser.add_argument('--port', type=whole(1, 65535), default=8080, help='port of the page')
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to serve on (default: this machine only)'
    )
    parser.add_argument('--light', action='store_true', help='light colours')
    parser.add_argument(
        '--ahead',
        type=number(0, 10),
        default=0.5,
        metavar='S',
        help='time ahead that is shown at first, in seconds',
    )
    parser.add_argument(
        '--truth',
        action=argparse.BooleanOptionalAction,
        default=truth,
        help='show from the start what then happened',
    )


def open_page(arguments: argparse.Namespace) -> 'Page':
    """Serve the page and print its address. Without viser, print one sentence and exit."""
    try:
        from motion_predictor.view.page import Page
        from motion_predictor.view.scene import Show
    except ImportError as error:
        if (error.name or '').split('.')[0] not in ('viser', 'trimesh'):
            raise
        complain('view', MISSING)
        raise SystemExit(1) from error
    show = Show(ahead_s=arguments.ahead, truth=arguments.truth)
    page = Page(arguments.port, arguments.host, not arguments.light, show)
    print(f'look at {page.url}', flush=True)
    return page
