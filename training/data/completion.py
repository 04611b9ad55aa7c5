"""Estimates hidden joints as the ROS node does, but for many histories at once, on any device."""

import torch
from torch import Tensor

from motion_predictor.skeleton import Layout
from motion_predictor.tracking.body import Body


class Completion:
    """Estimates hidden joints in the histories of training, like `Body.fill` in the ROS node.

    In training the root is seen in every frame, and the frame rate is constant.

    `Body.fill` treats one person at a time, with numpy. Training must complete thousands of
    histories per second. So this class computes on the given device, usually a GPU. The CPU never
    waits for the GPU to finish a computation.

    Args:
        layout: layout of the joints.
        device: torch device of the histories.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        body = Body(layout)
        self.parents, self.mirrored = (
            torch.from_numpy(indices).to(device) for indices in (body.parents, body.mirrored)
        )
        self.lengths, self.directions = (
            torch.from_numpy(values).float().to(device)
            for values in (body.lengths, body.directions)
        )
        self.levels = [torch.from_numpy(level).to(device) for level in body.levels]
        self.sides = body.sides

    def __call__(self, seen: Tensor, visible: Tensor) -> Tensor:
        """Return histories (B, H, J, 3) whose hidden joints have estimated positions, metres.

        Args:
            seen: observed positions (B, H, J, 3), metres. Positions of hidden joints are ignored,
                but must be finite.
            visible: which positions are visible (B, H, J). The root must always be visible.
        """
        ever = visible.any(1)  # (B, J)
        lengths = self._own_lengths(seen, visible)
        between = _Between(visible)
        forward = self._forward(seen, visible)  # (B, H, 2)
        filled = seen.clone()
        for joints in self.levels:
            parents = self.parents[joints]
            anchor = filled[:, :, parents]
            offsets = between.fill(filled[:, :, joints] - anchor, joints)  # (B, H, n, 3)
            standing = self.directions[joints] * lengths[:, joints, None]  # (B, n, 3)
            never = ~ever[:, None, joints, None]
            place = anchor + torch.where(never, _turn(standing, forward), offsets)
            shown = visible[:, :, joints, None]
            filled[:, :, joints] = torch.where(shown, seen[:, :, joints], place)
        return filled

    def _own_lengths(self, seen: Tensor, visible: Tensor) -> Tensor:
        """Return the limb lengths of each person (B, J), metres.

        A limb that is never visible, such as a left forearm, gets the length of the same limb on
        the other side of the body. If both limbs are never visible, their length is estimated from
        the size of the body.
        """
        bones = torch.linalg.vector_norm(seen - seen[:, :, self.parents], dim=-1).mean(1)
        measured = (visible & visible[:, :, self.parents]).any(1)  # (B, J)
        counts = measured & (self.lengths > 0)
        total = torch.where(counts, bones, 0).sum(1)
        typical = torch.where(counts, self.lengths, 0).sum(1)
        size = torch.where(typical > 0, total / typical.clamp(min=1e-9), 1.0)[:, None]
        other = torch.where(measured, bones, size * self.lengths)[:, self.mirrored]
        return torch.where(measured, bones, other)

    def _forward(self, seen: Tensor, visible: Tensor) -> Tensor:
        """Return the heading as horizontal unit vectors (B, H, 2), or +x if it is unknown."""
        forward = torch.zeros_like(seen[:, :, 0, :2])
        forward[..., 0] = 1
        # The pairs of joints in `sides` are ordered from best to worst. In the reversed order, a
        # better pair overwrites the result of a worse pair.
        for left, right in reversed(self.sides):
            both = visible[:, :, left : left + 1] & visible[:, :, right : right + 1]
            across = (seen[:, :, left] - seen[:, :, right])[:, :, None]
            x, y, _ = _Between(both).fill(across)[:, :, 0].unbind(-1)
            told = torch.stack([y, -x], -1)
            told = told / torch.linalg.vector_norm(told, dim=-1, keepdim=True).clamp(min=1e-6)
            forward = torch.where(both.any(1)[..., None], told, forward)
        return forward


class _Between:
    """Finds the two frames between which a hidden joint is interpolated (see `body.Gaps`)."""

    def __init__(self, visible: Tensor) -> None:
        count = visible.shape[1]
        index = torch.arange(count, device=visible.device)[:, None].expand_as(visible)
        first = torch.where(visible, index, -1).cummax(1).values
        last = torch.where(visible, index, count).flip(1).cummin(1).values.flip(1)
        first, last = torch.where(first < 0, last, first), torch.where(last >= count, first, last)
        self.first, self.last = first.clamp(0, count - 1), last.clamp(0, count - 1)  # (B, H, n)
        span = (self.last - self.first).clamp(min=1)
        self.share = ((index - self.first) / span).clamp(0, 1)

    def fill(self, values: Tensor, joints: Tensor | None = None) -> Tensor:
        """Interpolate values of n joints over time where they are hidden (B, H, n, 3)."""
        first, last, share = self.first, self.last, self.share
        if joints is not None:
            first, last, share = first[..., joints], last[..., joints], share[..., joints]
        before, after = (
            values.gather(1, place[..., None].expand_as(values)) for place in (first, last)
        )
        return before * (1 - share[..., None]) + after * share[..., None]


def _turn(offsets: Tensor, forward: Tensor) -> Tensor:
    """Rotate offsets of people who face +x, so that the people face their headings.

    Args:
        offsets: offsets (B, n, 3), metres.
        forward: heading in each frame, a horizontal unit vector (B, H, 2).

    Returns:
        The rotated offsets (B, H, n, 3), metres.
    """
    cosine, sine = (forward[..., i, None] for i in (0, 1))  # (B, H, 1)
    x, y, z = (part[:, None] for part in offsets.unbind(-1))  # (B, 1, n)
    turned = (cosine * x - sine * y, sine * x + cosine * y, z.expand(-1, forward.shape[1], -1))
    return torch.stack(turned, -1)
