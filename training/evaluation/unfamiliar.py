"""Measures how well unfamiliar motion is detected, for example with swapped joints or axes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from tabulate import tabulate

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor.predictor import MIN_FAMILIARITY
from motion_predictor.skeleton import Layout
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import cut_windows

FloatArray = NDArray[np.float32]
Random = np.random.Generator
Change = Callable[[FloatArray, Layout, Random], FloatArray]
"""Changes histories (W, H, J, 3), metres, z up; NaN hides a joint."""
ARM = ('collar', 'shoulder', 'elbow', 'wrist')
LEG = ('knee', 'ankle', 'foot')


def _joints(layout: Layout, *parts: str) -> list[int]:
    names = [layout.common_name(joint) for joint in layout.joints]
    return [j for j, name in enumerate(names) if any(part in name for part in parts)]


def _shuffled(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
    """Shuffle the order of the joints, differently in each window."""
    order = random.permuted(np.tile(np.arange(motion.shape[2]), (len(motion), 1)), axis=1)
    return np.take_along_axis(motion, order[:, None, :, None], axis=2)


def _two_swapped(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
    """Swap two random joints in each window."""
    for window in motion:
        pair = random.choice(window.shape[1], 2, replace=False)
        window[:, pair] = window[:, pair[::-1]]
    return motion


def _scaled(factor: float) -> Change:
    return lambda motion, layout, random: motion * np.float32(factor)


def _sides_swapped(*parts: str) -> Change:
    def change(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
        own = _joints(layout, *parts)
        motion[:, :, own] = motion[:, :, np.array(layout.mirrored)[own]]
        return motion

    return change


def _axes(x: int, y: int, z: int) -> Change:
    """Reorder the axes: take the given axes as x, y and z."""
    return lambda motion, layout, random: motion[..., [x, y, z]]


def _depth_first(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
    """Reorder the joints limb by limb, an order that differs from the layout's."""

    def below(joint: int) -> list[int]:
        own = [child for child, parent in enumerate(layout.parents) if parent == joint]
        return [joint, *(j for child in own for j in below(child))]

    return motion[:, :, below(0)]


def _backwards(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
    """Reverse the order of the joints."""
    return motion[:, :, ::-1]


def _pitched(degrees: float, *parts: str) -> Change:
    """Pitch all joints forward about the hips, or only joints with one of `parts` in the name."""

    def change(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
        left, right = layout.hips or (0, 0)
        across = motion[:, -1, left] - motion[:, -1, right]
        across[:, 2] = 0
        y = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-3)
        root, angle = motion[:, :, :1].copy(), np.radians(degrees)
        own = _joints(layout, *parts) if parts else list(range(motion.shape[2]))
        off = motion[:, :, own] - root
        y = np.broadcast_to(y[:, None, None], off.shape)
        along = (off * y).sum(-1, keepdims=True) * y
        turned = np.cos(angle) * (off - along) + np.sin(angle) * np.cross(y, off) + along
        motion[:, :, own] = root + turned
        return motion

    return change


def _on_all_fours(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
    """Bend the trunk forward and the shins back, as on all fours.

    The arms hang as in the recording.
    """
    before = motion.copy()
    motion = _pitched(80, 'spine', 'neck', 'head', *ARM)(motion, layout, random)
    for joint in _joints(layout, 'elbow', 'wrist'):
        parent = layout.parents[joint]
        motion[:, :, joint] = motion[:, :, parent] + before[:, :, joint] - before[:, :, parent]
    lying = _pitched(80)(before.copy(), layout, random)
    for joint in _joints(layout, 'ankle', 'foot'):
        parent = layout.parents[joint]
        motion[:, :, joint] = motion[:, :, parent] + lying[:, :, joint] - lying[:, :, parent]
    return motion


def _noise(metres: float) -> Change:
    return lambda motion, layout, random: (
        motion + random.normal(scale=metres, size=motion.shape).astype(np.float32)
    )


def _without(*parts: str) -> Change:
    def change(motion: FloatArray, layout: Layout, random: Random) -> FloatArray:
        motion[:, :, _joints(layout, *parts)] = np.nan
        return motion

    return change


ORDINARY: dict[str, Change] = {
    'as recorded': lambda motion, layout, random: motion,
    'noise of 5 mm': _noise(0.005),
    'noise of 20 mm': _noise(0.02),
    'a tenth smaller': _scaled(0.9),
    'a tenth taller': _scaled(1.1),
    'legs never seen': _without(*LEG),
    'an arm never seen': _without('r_elbow', 'r_wrist'),
}
STRANGE: dict[str, Change] = {
    'all joints shuffled': _shuffled,
    'two joints swapped': _two_swapped,
    'half the size': _scaled(0.5),
    '0.7 of the size': _scaled(0.7),
    '1.5 times the size': _scaled(1.5),
    'twice the size': _scaled(2.0),
    'feet for metres': _scaled(1 / 0.3048),
    'left and right swapped': _sides_swapped('l_', 'r_'),
    'left and right arm swapped': _sides_swapped(*ARM),
    'left and right leg swapped': _sides_swapped('hip', *LEG),
    'y up': _axes(0, 2, 1),
    'x up': _axes(1, 2, 0),
    'joints limb by limb': _depth_first,
    'joints in reverse order': _backwards,
    'on all fours': _on_all_fours,
    'lying': _pitched(90),
    'handstand': _pitched(180),
}


def measure_familiarity(
    checkpoint: Checkpoint, archive: MotionArchive, stride: int, seed: int = 0
) -> dict[str, Any] | None:
    """Measure how often recorded histories, and changed copies of them, count as unfamiliar.

    Args:
        checkpoint: checkpoint to measure.
        archive: ordinary motion of people whom the checkpoint does not know.
        stride: number of frames between the starts of histories.
        seed: seed of the random changes of histories.

    Returns:
        `ordinary` has the results for each change in ORDINARY, and `strange` for each change in
        STRANGE. For each change, `unfamiliar` is the share of the changed histories that count as
        unfamiliar. Changes in STRANGE also have `auroc`, the area under the ROC curve (true alarms
        over false alarms). `threshold`: p-value below which a history counts as unfamiliar.
        `windows`: number of histories. The result is None if the checkpoint is not calibrated for
        familiarity.
    """
    familiarity = checkpoint.familiarity()
    if familiarity is None:
        return None
    header = checkpoint.header
    window = header.window
    windows = cut_windows(
        archive, header.layout, window.rate_hz, window.history_frames, stride, partial=True
    )
    motion = windows.all().numpy()

    def values(change: Change) -> FloatArray:
        changed = change(motion.copy(), header.layout, np.random.default_rng(seed))
        left = np.isfinite(changed).any((1, 2, 3))
        seen = torch.from_numpy(np.ascontiguousarray(changed[left], np.float32))
        hidden = np.zeros(seen.shape[:3], bool)
        return familiarity(complete(seen, hidden, header.layout, window.rate_hz).frames.numpy())

    clean = values(ORDINARY['as recorded'])
    result: dict[str, Any] = {'threshold': MIN_FAMILIARITY, 'windows': len(clean)}
    for kind, changes in (('ordinary', ORDINARY), ('strange', STRANGE)):
        result[kind] = {}
        for name, change in changes.items():
            p = values(change)
            row = {'unfamiliar': float((p < MIN_FAMILIARITY).mean())}
            if kind == 'strange':
                row['auroc'] = auroc(clean, p)
            result[kind][name] = row
    return result


def auroc(high: FloatArray, low: FloatArray) -> float:
    """Return the probability that a random value of `high` exceeds one of `low`.

    A pair of equal values counts as 0.5.
    """
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def familiarity_table(result: dict[str, Any]) -> str:
    """Return the result of `measure_familiarity` as a table for a terminal, valid Markdown."""
    lines = [
        [name, row.get('auroc'), 100 * row['unfamiliar']]
        for kind in ('ordinary', 'strange')
        for name, row in result[kind].items()
    ]
    head = ['', 'AUROC', f'unfamiliar, % (p < {result["threshold"]:g})']
    return tabulate(lines, head, tablefmt='github', floatfmt=('', '.3f', '.1f'))
