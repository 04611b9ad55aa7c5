"""Turns predictions into messages. Arrays become flat buffers, which rclpy copies as a whole."""

import math
from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from motion_predictor.checkpoint import Checkpoint
from motion_predictor.common.status import Status, most_severe
from motion_predictor.msg import (
    MotionQuality,
    MotionQualityArray,
    PredictedMotion,
    PredictedMotionArray,
)
from motion_predictor.prediction import Prediction
from motion_predictor.self_check.check import Quality
from motion_predictor.tracking.scene import Scene

FloatArray = NDArray[np.float32]
MAX_UINT16 = 65_535


def time_message(nanoseconds: int) -> Time:
    """Return a time in nanoseconds as a message."""
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def flat(values: FloatArray) -> 'array[float]':
    """Return the numbers of a non-empty array as a flat buffer, which rclpy copies as a whole."""
    numbers = array('f')
    numbers.frombytes(np.ascontiguousarray(values, np.float32).data.cast('B'))
    return numbers


def chosen_frames(
    frames: int, rate_hz: float, stride: int, times_s: Sequence[float]
) -> NDArray[np.int64]:
    """Return the indices of the future frames to publish, in order.

    Args:
        frames: number of future frames.
        rate_hz: frame rate of the checkpoint. Frame f lies (f + 1) / rate_hz seconds after the
            last observation.
        stride: publish every `stride`-th future frame. If `stride` is 0, publish the frames
            nearest to `times_s` instead.
        times_s: times at which frames are published, seconds after the last observation. Times
            beyond the last future frame are ignored.

    Raises:
        ValueError: if no frame is left to publish, or a time is not positive and finite.
    """
    if stride:
        if stride > frames:
            raise ValueError(
                f"parameter 'frame_stride' must be at most the {frames} future frames, got "
                f'{stride}'
            )
        return np.arange(stride - 1, frames, stride)
    times = np.asarray(times_s, np.float64)
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError(f"parameter 'frame_times' must hold positive seconds, got {[*times_s]}")
    wanted = np.maximum(np.rint(times * rate_hz).astype(np.int64), 1)
    chosen = np.unique(wanted[wanted <= frames]) - 1
    if not chosen.size:
        raise ValueError(
            f"parameter 'frame_times' must lie within the {frames} future frames, got {[*times_s]}"
        )
    return chosen


def even_step(times_s: FloatArray) -> float:
    """Return the time step, seconds; NaN if frame f does not lie at f + 1 time steps."""
    even = times_s[0] * np.arange(1, len(times_s) + 1)
    return float(times_s[0]) if np.allclose(times_s, even, rtol=0, atol=1e-5) else float('nan')


def quality_message(
    found: Sequence[Quality],
    horizons_s: FloatArray,
    model: str,
    coverage: float,
    published_ns: int,
) -> MotionQualityArray:
    """Return the message that says how well each person was predicted."""
    message = MotionQualityArray(model=model, coverage=coverage, horizons=flat(horizons_s))
    message.header.stamp = time_message(published_ns)
    for quality in found:
        mean, zero, constant = map(flat, quality.error_m)
        message.people.append(
            MotionQuality(
                id=quality.id,
                evidence=flat(quality.seconds),
                coverage=flat(quality.coverage),
                mean_error=mean,
                zero_velocity_error=zero,
                constant_velocity_error=constant,
                radius_factor=flat(quality.factor),
            )
        )
    return message


class MotionOutput:
    """Builds PredictedMotionArray messages.

    Args:
        checkpoint: checkpoint that the predictor uses.
        frame_stride: publish every `frame_stride`-th future frame. The last future frame is
            published if `frame_stride` divides the number of future frames. If `frame_stride` is
            0, publish the frames nearest to `frame_times` instead.
        frame_times: times at which frames are published, seconds after the last observation.
        publish_samples: whether messages contain the samples, not only the mean and the radius.
        coverage: coverage that is written into messages without a prediction.
        wanted_samples: number of samples per person that the parameters ask for.
        max_speed: greatest possible speed of a person, metres per second.

    Raises:
        ValueError: if no frame is left to publish.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        frame_stride: int,
        frame_times: Sequence[float],
        publish_samples: bool,
        coverage: float,
        wanted_samples: int,
        max_speed: float,
    ) -> None:
        header, window = checkpoint.header, checkpoint.header.window
        chosen = chosen_frames(window.future_frames, window.rate_hz, frame_stride, frame_times)
        self._frames = chosen
        times_s = ((chosen + 1) / window.rate_hz).astype(np.float32)
        self._message = PredictedMotionArray(
            model=checkpoint.model_id,
            layout=header.layout.name,
            joint_names=list(header.layout.joint_names),
            parents=array('i', header.layout.parents),
            times=flat(times_s),
            time_step=even_step(times_s),
            wanted_samples=wanted_samples,
            max_speed=max_speed,
            num_frames=len(chosen),
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
        """Return the PredictedMotionArray for all people of a scene.

        The next call reuses the same message object.

        Args:
            scene: all people who are listed in the message.
            prediction: futures of the people in `scene` who have a history window, in the order
                of `scene`. `prediction` is None if no prediction may be published as fresh.
            published_ns: present time of the node, nanoseconds.
            at_least: mildest status that the message and its people may have. While the source or
                the node has a problem, `at_least` is a more severe status than OK.
        """
        samples = None
        if prediction is not None and self._publish_samples:
            samples = prediction.samples_at(self._frames)
        message = self._message
        message.header.stamp = time_message(scene.stamp_ns)
        message.header.frame_id = scene.frame_id
        message.published = time_message(published_ns)
        message.coverage = self._coverage if prediction is None else prediction.coverage
        message.drawn_samples = 0 if prediction is None else prediction.deviations.shape[1]
        message.num_samples = 0 if samples is None else message.drawn_samples
        message.unlisted = min(scene.unlisted, MAX_UINT16)
        message.motions = []
        # If people are unlisted, the list is not complete, so the status of the message cannot be
        # OK.
        statuses = [at_least, *([Status.STALE_INPUT] if scene.unlisted else [])]
        row = 0
        for person in scene.people:
            seen = person.last_seen
            motion = PredictedMotion(
                id=person.id,
                last_seen=time_message(seen.stamp_ns),
                last_pose=flat(seen.pose),
                place=seen.place.astype(np.float32),
                reach=seen.reach_m,
                observed_fraction=person.observed_fraction,
                check_fields=True,  # if rclpy checks the fields, it does not copy arrays
            )
            status = most_severe([person.status, at_least])
            familiarity = math.nan
            if person.window is not None and prediction is not None:
                if samples is not None:
                    motion.samples = flat(samples[row])
                motion.mean = flat(prediction.mean[row].take(self._frames, axis=0))
                motion.radius = flat(prediction.radius[row].take(self._frames, axis=0))
                scale = prediction.body_radius_scale[row]
                motion.body_radius_scale = flat(scale.take(self._frames, axis=0))
                familiarity = float(prediction.familiarity[row])
                motion.unfamiliar = bool(prediction.unfamiliar[row])
                row += 1
            motion.familiarity = familiarity
            motion.status = int(status)
            statuses.append(status)
            message.motions.append(motion)
        message.status = int(most_severe(statuses))
        return message
