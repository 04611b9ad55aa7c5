"""What leaves: predictions as messages, their numbers as flat buffers that rclpy copies whole."""

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.msg import PredictedMotion, PredictedMotionArray
from motion_predictor.people import Scene, Status, most_severe
from motion_predictor.predictor import Prediction


def time_message(nanoseconds: int) -> Time:
    """Return a time as a message."""
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def flat(values: NDArray[np.float32]) -> 'array[float]':
    """Return the numbers of an array that is not empty, as the type that rclpy takes at once."""
    numbers = array('f')
    numbers.frombytes(np.ascontiguousarray(values, np.float32).data.cast('B'))
    return numbers


class MotionOutput:
    """Builds PredictedMotionArray messages.

    Args:
        checkpoint: what predicts.
        frame_stride: every n-th frame is published, the last one always among them if n divides
            their number.
        publish_samples: whether the samples are.
        coverage: probability that radii stand for, for messages without any.

    Raises:
        ValueError: if the stride leaves no frame.
    """

    def __init__(
        self, checkpoint: Checkpoint, frame_stride: int, publish_samples: bool, coverage: float
    ) -> None:
        header = checkpoint.header
        if frame_stride > header.window.future_frames:
            raise ValueError(
                f"parameter 'frame_stride' of {frame_stride} leaves none of the "
                f'{header.window.future_frames} future frames'
            )
        self._frames = slice(frame_stride - 1, None, frame_stride)
        self._message = PredictedMotionArray(
            model=checkpoint.model_id,
            layout=header.layout.name,
            joint_names=list(header.layout.joint_names),
            parents=array('i', header.layout.parents),
            time_step=frame_stride / header.window.rate_hz,
            num_frames=header.window.future_frames // frame_stride,
            num_joints=len(header.layout.joints),
        )
        self._coverage = coverage
        self._publish_samples = publish_samples

    def message(
        self,
        scene: Scene,
        prediction: Prediction | None,
        published_ns: int,
        at_least: Status = Status.OK,
    ) -> PredictedMotionArray:
        """Return the message for a scene, which the next call fills again.

        Args:
            scene: everyone; those with a window are the prediction's people, in order.
            prediction: None if nothing may be published as fresh.
            published_ns: the time now.
            at_least: lower bound of every status, for what ails the source or the node.
        """
        samples = prediction.samples[:, :, self._frames] if prediction else None
        message = self._message
        message.header.stamp = time_message(scene.stamp_ns)
        message.header.frame_id = scene.frame_id
        message.published = time_message(published_ns)
        message.coverage = self._coverage if prediction is None else prediction.coverage
        message.num_samples = (
            len(samples[0]) if samples is not None and self._publish_samples else 0
        )
        message.motions = []
        # Somebody is there of whom nothing could be read: a list without them is not complete.
        statuses = [at_least, *([Status.STALE_INPUT] if scene.unreadable else [])]
        row = 0
        for person in scene.people:
            motion = PredictedMotion(
                id=person.id,
                observed_fraction=person.observed_fraction,
                check_fields=True,  # takes arrays as they are, where others copy them
            )
            status = most_severe([person.status, at_least])
            if person.window is not None and prediction is not None and samples is not None:
                if self._publish_samples:
                    motion.samples = flat(samples[row])
                motion.mean = flat(prediction.mean[row, self._frames])
                motion.radius = flat(prediction.radius[row, self._frames])
                motion.body_radius_scale = flat(prediction.body_radius_scale[row, self._frames])
                row += 1
            motion.status = int(status)
            statuses.append(status)
            message.motions.append(motion)
        message.status = int(most_severe(statuses))
        return message
