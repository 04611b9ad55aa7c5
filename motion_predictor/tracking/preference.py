"""Chooses the people to predict when more people are seen than can be predicted."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

KEEPS_PLACE_M = 0.3
"""A predicted person is replaced only by somebody who is nearer to the robot by this distance. So
two people at similar distances do not replace each other all the time."""


class Preference:
    """Prefers people near the robot, and people who were predicted before.

    Args:
        robot_position: position [x, y, z] of the robot, metres, in the frame of the people.
        max_people: greatest number of predicted people.

    Raises:
        ValueError: if the robot's position is not three finite numbers.
    """

    def __init__(self, robot_position: Sequence[float], max_people: int) -> None:
        robot = np.array(robot_position, np.float64)
        if robot.shape != (3,) or not np.isfinite(robot).all():
            raise ValueError(f'robot_position must be x, y, z, got {list(robot_position)}')
        self.robot = robot
        self.max_people = max_people

    def in_order(
        self, places: Mapping[str, NDArray[np.floating]], predicted: set[str]
    ) -> list[str]:
        """Return ids of people in the order of preference.

        Args:
            places: position of each person who can be predicted, by id (3,).
            predicted: ids of the people who were predicted last.
        """
        if len(places) <= self.max_people:
            return list(places)
        distances_m = {
            person_id: float(np.linalg.norm(place - self.robot))
            - KEEPS_PLACE_M * (person_id in predicted)
            for person_id, place in places.items()
        }
        return sorted(places, key=distances_m.__getitem__)
