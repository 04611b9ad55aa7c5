"""Everything that a planner needs to act on predictions. This package does not import rclpy."""

from motion_predictor.common.rigid import Rigid
from motion_predictor.planning.approach import NOBODY, Closest, closest, nearest, over
from motion_predictor.planning.capsules import Capsules
from motion_predictor.planning.contact import Touch, touch, touching
from motion_predictor.planning.flesh import Bodies, FleshError, Limbs
from motion_predictor.planning.latest import BlindError, Inbox, Latest, Limits, Reason
from motion_predictor.planning.outlook import HorizonError, Outlook, Person
from motion_predictor.planning.unpredicted import Unpredicted

__all__ = [
    'NOBODY',
    'BlindError',
    'Bodies',
    'Capsules',
    'Closest',
    'FleshError',
    'HorizonError',
    'Inbox',
    'Latest',
    'Limbs',
    'Limits',
    'Outlook',
    'Person',
    'Reason',
    'Rigid',
    'Touch',
    'Unpredicted',
    'closest',
    'nearest',
    'over',
    'touch',
    'touching',
]
