"""Makes motion of bodies other than people: a trotting robot dog and a robot arm.

    python examples/bodies/make_motion.py quadruped --seed 1 --out train.npz
    python examples/bodies/make_motion.py quadruped --seed 2 --clips 8 --out test.npz

doc/train.md says how to train a model on this motion.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import save_archive
from motion_predictor.skeleton import read_layout

RATE_HZ = 30
HERE = Path(__file__).parent
Motion = NDArray[np.float64]

# Positions of the four hips relative to the base, metres.
HIPS = np.array([[-0.2, 0.1, 0], [-0.2, -0.1, 0], [0.2, 0.1, 0], [0.2, -0.1, 0]])
PHASES = np.array([0, np.pi, np.pi, 0])  # in a trot, diagonal legs move together
HEIGHT_M = 0.3
LINKS_M = (0.3, 0.35, 0.3, 0.12)


def quadruped(rng: np.random.Generator, seconds: float) -> Motion:
    """Return the motion of a robot dog that trots along a curve, in metres (T, 13, 3)."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    speed_m_s, turn_rad_s = rng.uniform(0.2, 1.5), rng.uniform(-0.8, 0.8)
    step_hz = 1.0 + speed_m_s
    yaw = rng.uniform(-np.pi, np.pi) + turn_rad_s * t
    way = speed_m_s / RATE_HZ * np.stack([np.cos(yaw), np.sin(yaw), 0 * t], -1)
    body = way.cumsum(0) + [0, 0, HEIGHT_M]
    forward = np.stack([np.cos(yaw), np.sin(yaw), 0 * t], -1)
    left = np.stack([-np.sin(yaw), np.cos(yaw), 0 * t], -1)
    joints = [body]
    for hip, phase in zip(HIPS, PHASES, strict=True):
        angle = 2 * np.pi * step_hz * t + phase
        stride_m = speed_m_s / step_hz / 2
        at_hip = body + hip[0] * forward + hip[1] * left
        foot = at_hip + stride_m / 2 * np.sin(angle)[:, None] * forward
        foot[:, 2] = 0.06 * np.maximum(0, np.cos(angle))
        knee = (at_hip + foot) / 2 - 0.08 * forward
        joints += [at_hip, knee, foot]
    return np.stack(joints, 1)


def arm(rng: np.random.Generator, seconds: float) -> Motion:
    """Return the motion of a robot arm whose joints swing, in metres (T, 5, 3)."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    swing = rng.uniform(0.2, 0.9, 4) * np.sin(
        2 * np.pi * rng.uniform(0.1, 0.6, 4) * t[:, None] + rng.uniform(0, 2 * np.pi, 4)
    )  # (T, 4) radians
    yaw, pitch = 2 * swing[:, 0], np.cumsum(swing[:, 1:], 1)
    joints = [np.zeros((len(t), 3)), np.tile([0, 0, LINKS_M[0]], (len(t), 1))]
    for link, length in enumerate(LINKS_M[1:]):
        along = np.sin(pitch[:, link])
        step = np.stack([along * np.cos(yaw), along * np.sin(yaw), np.cos(pitch[:, link])], -1)
        joints.append(joints[-1] + length * step)
    return np.stack(joints, 1)


MAKERS = {'quadruped': quadruped, 'arm': arm}


def main() -> None:
    """Write an archive with motion of one body."""
    parser = argparse.ArgumentParser(description='Make motion of a robot dog or a robot arm.')
    parser.add_argument('body', choices=MAKERS)
    parser.add_argument('--clips', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=8.0, help='length of each')
    parser.add_argument('--seed', type=int, default=0, help='another one is another body')
    parser.add_argument('--out', type=Path, required=True)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    clips = [MAKERS[asked.body](rng, asked.seconds) for _ in range(asked.clips)]
    names = [f'{asked.body}_{asked.seed}_{k}' for k in range(asked.clips)]
    text = {
        'clip_names': names,
        'subject': [f'{asked.body}_{asked.seed}'] * asked.clips,
        'category': [asked.body] * asked.clips,
    }
    save_archive(asked.out, clips, read_layout(HERE / f'{asked.body}.yaml'), RATE_HZ, text)


if __name__ == '__main__':
    main()
