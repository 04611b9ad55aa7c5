"""Combines the arms or upper body of one person with the body of another, for training."""

import torch
from torch import Tensor

from motion_predictor.model.frames import person_frame, to_model, to_world
from motion_predictor.skeleton import Layout


class Exchange:
    """Replaces an arm, both arms, or the body above the hips by the same part of another person.

    The other person is from another window. Exchanges are useful because in a small archive few
    people walk or reach, and hardly anybody does both at once.

    The exchanged part is attached to the same joint of the new body, an arm for example to the
    shoulder. The part is rotated by the difference between the headings of both people.

    Args:
        layout: layout of the joints.
        history_frames: number of frames H in a history. The heading of a person is taken from
            the last frame of the history.
        device: torch device of the windows.
    """

    def __init__(self, layout: Layout, history_frames: int, device: torch.device) -> None:
        self.facing = layout.facing
        self.history_frames = history_frames
        parts = exchanged_parts(layout)
        self.parts = parts.to(device)  # (G, J)
        self.anchors = _anchors(parts, layout.parents).to(device)  # (G, J)

    def __call__(self, motion: Tensor, measured: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Exchange parts of bodies in the chosen windows.

        Returns the changed windows, and which of their positions were measured.

        Args:
            motion: positions (B, H + F, J, 3), metres, world frame.
            measured: which positions were measured (B, H + F, J).
            chosen: which windows get a part of another window (B,).
        """
        count, device = len(motion), motion.device
        group = torch.randint(len(self.parts), (count,), device=device)
        part = (self.parts[group] & chosen[:, None])[:, None]  # (B, 1, J)
        # A random permutation, drawn on the device: randperm might draw it on the host.
        giver = torch.rand(count, device=device).argsort()
        frame = person_frame(motion[:, self.history_frames - 1], self.facing)
        own = to_model(motion, frame)
        other = own[giver]
        anchors = self.anchors[group][:, None, :, None].expand_as(own)
        moved = other - other.gather(2, anchors) + own.gather(2, anchors)
        mixed = to_world(torch.where(part[..., None], moved, own)[:, None], frame)[:, 0]
        mixed = torch.where(chosen[:, None, None, None], mixed, motion)
        return mixed, torch.where(part, measured[giver], measured)


def subtrees(layout: Layout) -> Tensor:
    """Return a mask for each joint (J, J), which selects the joint and its descendants."""
    limbs = torch.eye(len(layout.joints), dtype=torch.bool)
    for joint, parent in enumerate(layout.parents):  # parents have lower indices than children
        if parent >= 0:
            limbs[:, joint] |= limbs[:, parent]
    return limbs


def exchanged_parts(layout: Layout) -> Tensor:
    """Return the parts of the body to choose from, as masks (G, J).

    Each of the G rows is one part, and all rows are equally likely to be chosen. Two rows are the
    body above the hips, and two rows are both arms together. So these parts are chosen more often
    than a single arm, which has one row. If the layout lacks elbows or hips, there is instead one
    row for each joint except the root: the joint with its descendants.
    """
    names = [layout.common_name(joint) for joint in layout.joints]
    limbs = subtrees(layout)
    if layout.hips is None or not {'l_elbow', 'r_elbow'} <= set(names):
        return limbs[1:]
    left, right = (limbs[names.index(elbow)] for elbow in ('l_elbow', 'r_elbow'))
    upper = ~(limbs[layout.hips[0]] | limbs[layout.hips[1]])
    upper[0] = False
    return torch.stack([upper, upper, left | right, left | right, left, right])


def _anchors(parts: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Return, for each joint of each part, the nearest ancestor outside the part (G, J)."""
    anchors = torch.arange(len(parents)).repeat(len(parts), 1)
    for joint, parent in enumerate(parents):  # parents have lower indices than children
        if parent >= 0:
            anchors[:, joint] = torch.where(parts[:, joint], anchors[:, parent], joint)
    return anchors
