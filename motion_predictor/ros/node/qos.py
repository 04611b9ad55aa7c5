"""QoS of the predictions.

The deadline and the liveliness of the QoS let subscribers notice that messages stop.
"""

from rclpy.duration import Duration
from rclpy.qos import LivelinessPolicy, QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

SLACK_S = 0.2
"""How much later than `stale_after_s` a message may come: the watchdog checks only ten times per
second."""
LEASE_S = 1.0
"""Time after which subscribers know that the process is gone."""
OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


def output_qos(stale_after_s: float) -> QoSProfile:
    """Return the QoS profile of predictions: reliable, only the newest message, with a deadline.

    Args:
        stale_after_s: time without input after which the node publishes STALE_INPUT, seconds.
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
