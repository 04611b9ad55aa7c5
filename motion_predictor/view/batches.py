"""Draws many copies of a mesh, which are sent to the page as one message."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import trimesh
import viser
from numpy.typing import NDArray

from motion_predictor.view.palette import Rgb
from motion_predictor.view.solids import Placed

Array = NDArray[np.float32]
ROOM = 64
"""The number of copies of a mesh grows in steps of this size, so that the mesh is rarely sent
again."""
HIDDEN_M = 1e-6
"""Size of unused copies, which makes them invisible."""


class Batch:
    """Draws many copies of one mesh in one colour.

    Args:
        server: server of the page.
        name: name in the scene tree of viser.
        mesh: mesh of size 1, which each copy scales.
        colour: colour of all copies.
        opacity: opacity from 0 (invisible) to 1 (solid).
        side: side of the surface that is drawn. With the back side only, a translucent mesh never
            hides objects inside it.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        name: str,
        mesh: Any,
        colour: Rgb,
        opacity: float = 1.0,
        side: Literal['front', 'back'] = 'front',
    ) -> None:
        self._server, self._name, self._mesh = server, name, mesh
        self._colour, self._opacity, self._side = colour, opacity, side
        self._handle: Any = None
        self._room = self._used = 0

    def add_again(self) -> None:
        """Make the next call of `place` add the copies again, so that they are drawn last."""
        self._handle = None

    def place(self, placed: Placed | None) -> bool:
        """Move the copies to new poses; None hides the copies.

        Returns:
            True if the copies were added to the scene again. The page draws newly added copies
            last.
        """
        used = 0 if placed is None else len(placed.positions)
        if not used and not self._used:
            return False
        if used > self._room:
            self._room = -(-used // ROOM) * ROOM
            self._handle = None
        self._used = used
        positions = np.zeros((self._room, 3), np.float32)
        wxyzs = np.tile(np.array([1, 0, 0, 0], np.float32), (self._room, 1))
        scales = np.full((self._room, 3), HIDDEN_M, np.float32)
        if placed is not None:
            positions[:used], wxyzs[:used] = placed.positions, placed.wxyzs
            scales[:used] = placed.scales.clip(HIDDEN_M)
        if self._handle is not None:
            self._handle.batched_positions = positions
            self._handle.batched_wxyzs = wxyzs
            self._handle.batched_scales = scales
            return False
        solid = self._opacity == 1
        self._handle = self._server.scene.add_batched_meshes_simple(
            self._name,
            self._mesh.vertices,
            self._mesh.faces,
            wxyzs,
            positions,
            batched_scales=scales,
            batched_colors=self._colour,
            opacity=None if solid else self._opacity,
            lod='off',
            side=self._side,
            cast_shadow=solid,
            receive_shadow=False,
        )
        return True


class Bodies:
    """Draws round limbs: cylinders with balls at both ends.

    Args:
        server: server of the page.
        name: name in the scene tree of viser.
        colour: colour of all limbs.
        opacity: opacity from 0 (invisible) to 1 (solid).
    """

    def __init__(
        self, server: viser.ViserServer, name: str, colour: Rgb, opacity: float = 1.0
    ) -> None:
        tube = trimesh.creation.cylinder(1.0, 1.0, sections=16)
        ball = trimesh.creation.icosphere(2)
        self._tubes = Batch(server, f'{name}/limbs', tube, colour, opacity)
        self._balls = Batch(server, f'{name}/joints', ball, colour, opacity)

    def place(self, solid: tuple[Placed, Placed] | None) -> bool:
        """Move the limbs; None hides the limbs.

        Return True if limbs were added to the scene again.
        """
        tubes, balls = solid or (None, None)
        return self._tubes.place(tubes) | self._balls.place(balls)


class Lines:
    """Draws paths whose colour changes from their start to their end.

    Args:
        server: server of the page.
        name: name in the scene tree of viser.
        colours: colours at the start and at the end of every path.
        thickness_m: thickness of the lines.
    """

    def __init__(
        self, server: viser.ViserServer, name: str, colours: tuple[Rgb, Rgb], thickness_m: float
    ) -> None:
        self._server, self._name = server, name
        self._first, self._last = (np.array(colour, np.float32) for colour in colours)
        self._thickness_m = thickness_m
        self._used = 0

    def place(self, groups: Sequence[Array]) -> None:
        """Draw groups of N paths (N, T, 3).

        N and T may differ by group. An empty list hides all paths.
        """
        groups = [group for group in groups if group.size and group.shape[1] > 1]
        if not groups and not self._used:
            return
        self._used = len(groups)
        points = [np.empty((0, 2, 3), np.float32)]
        colours: list[NDArray[np.uint8]] = [np.empty((0, 2, 3), np.uint8)]
        for group in groups:
            share = np.linspace(0, 1, group.shape[1], dtype=np.float32)[:, None]
            shade = (self._first + share * (self._last - self._first)).astype(np.uint8)
            points.append(np.stack([group[:, :-1], group[:, 1:]], axis=2).reshape(-1, 2, 3))
            colours.append(np.tile(np.stack([shade[:-1], shade[1:]], axis=1), (len(group), 1, 1)))
        self._server.scene.add_line_segments(
            self._name,
            np.concatenate(points),
            np.concatenate(colours),
            thickness=self._thickness_m,
        )
