"""What the middleware promises of predictions, so that silence is noticed by those who ask it."""

from rclpy.duration import Duration
from rclpy.qos import LivelinessPolicy, QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

SLACK_S = 0.2
"""How much later than `stale_after_s` something may be published: the watchdog looks ten times a
second."""
LEASE_S = 1.0
"""After this a process that is gone is known to be."""
OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


def output_qos(stale_after_s: float) -> QoSProfile:
    """Return the profile of predictions: the newest alone, reliably, and never late.

    Args:
        stale_after_s: silence of the source after which the node publishes all the same.
    """
    return QoSProfile(
        depth=1,
        deadline=Duration(nanoseconds=round((stale_after_s + SLACK_S) * 1e9)),
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Duration(nanoseconds=round(LEASE_S * 1e9)),
    )


def overridable() -> QoSOverridingOptions:
    """Return the QoS policies that parameters may override."""
    return QoSOverridingOptions(policy_kinds=OVERRIDABLE)
