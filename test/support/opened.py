"""Opens sources as the node does, and reads messages with them."""

from typing import Any

import pointcloud2

from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.catalogue import Settings, open_source
from motion_predictor.sources.source import Bodies, Source


def source(name: str, **settings: Any) -> Source:
    """Return a source with settings that differ from the defaults."""
    layouts = settings.pop('layouts', known_layouts())
    return open_source(name, Settings(layouts, **settings), lambda: pointcloud2.read_points)


def read(reader: Source, message: Any) -> Bodies:
    """Return the people that a source reads from a message, which must not be empty."""
    bodies = reader.read(message)
    assert bodies is not None
    return bodies
