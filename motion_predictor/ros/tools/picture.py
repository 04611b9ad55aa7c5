"""Draws the demo's animation of a person, several predicted futures and the true future."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from numpy.typing import NDArray

from motion_predictor.ros.tools.scoring import Example

FRAMES_PER_SECOND = 15
FAN = 12
FORESEEN, SEEN = '#d9822b', '#1f4e79'


def draw(examples: list[Example], parents: list[int], path: Path) -> None:
    """Write the animation. The past and the true future are blue; the samples are orange."""
    matplotlib.use('Agg')
    figure = pyplot.figure(figsize=(4.8, 4.8), dpi=80)
    axes = figure.add_subplot(projection='3d')
    limbs = [(joint, parent) for joint, parent in enumerate(parents) if parent >= 0]

    def lines(poses: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return poses (P, J, 3) as line segments (P * limbs, 2, 3), one per limb."""
        return poses[:, limbs].reshape(-1, 2, 3)

    fan = Line3DCollection(np.zeros((1, 2, 3)), colors=FORESEEN, alpha=0.25, linewidths=1)
    person = Line3DCollection(np.zeros((1, 2, 3)), colors=SEEN, linewidths=2.5)
    axes.add_collection3d(fan)
    axes.add_collection3d(person)
    title = axes.set_title('')
    axes.view_init(elev=15, azim=-60)
    moments = [
        (example, float(time))
        for example in examples
        for time in np.arange(-0.5, example.claim.times_s[-1] + 1e-6, 1 / FRAMES_PER_SECOND)
    ]

    def show(moment: tuple[Example, float]) -> list[Artist]:
        example, time = moment
        claim = example.claim
        everything = np.concatenate([example.observed, example.truth]).reshape(-1, 3)
        middle = (everything.min(0) + everything.max(0)) / 2
        for setter, centre in zip((axes.set_xlim, axes.set_ylim), middle[:2], strict=True):
            setter(centre - 1.2, centre + 1.2)
        axes.set_zlim(everything[:, 2].min(), everything[:, 2].min() + 2.4)
        if time <= 0:
            index = round((1 + time / 0.5) * (len(example.observed) - 1))
            person.set_segments(lines(example.observed[index][None]))
            fan.set_segments([])
            title.set_text('observed')
        else:
            index = int(np.argmin(np.abs(claim.times_s - time)))
            person.set_segments(lines(example.truth[index][None]))
            fan.set_segments(lines(claim.samples[:FAN, index]))
            title.set_text(f'predicted {time:.1f} s ahead (blue: what then happened)')
        return [person, fan, title]

    path.parent.mkdir(parents=True, exist_ok=True)
    animation = FuncAnimation(figure, show, frames=moments, repeat=False)
    animation.save(path, writer=PillowWriter(fps=FRAMES_PER_SECOND))
    pyplot.close(figure)
