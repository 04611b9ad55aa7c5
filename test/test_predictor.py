"""`MotionPredictor`, with tiny networks and random weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from motion_predictor.checkpoint import (
    Checkpoint,
    CheckpointError,
    TransFusionSpec,
    Window,
)
from motion_predictor.prediction import Prediction
from motion_predictor.predictor import MotionPredictor

FloatArray = NDArray[np.float32]


def predictor_of(checkpoint: Checkpoint, **options: Any) -> MotionPredictor:
    chosen: dict[str, Any] = {'device': 'cpu', 'samples': 4, **options}
    return MotionPredictor(checkpoint, checkpoint.build(), **chosen)


@pytest.fixture
def crowd(stride: FloatArray) -> FloatArray:
    """Three people (3, 5, 22, 3) who move in different ways."""
    generator = np.random.default_rng(0)
    walks = generator.normal(scale=0.05, size=(3, 5, 1, 3)).cumsum(1)
    places = generator.normal(scale=3, size=(3, 1, 1, 3))
    return (stride + walks + places).astype(np.float32)


def close(ours: NDArray[Any] | Tensor, theirs: NDArray[Any] | Tensor) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4, rtol=0)


@pytest.mark.parametrize('kind', ['tiny', 'tiny_official'])
@pytest.mark.parametrize('people', [0, 1, 3])
def test_shapes_types_and_times(
    request: pytest.FixtureRequest, crowd: FloatArray, kind: str, people: int
) -> None:
    prediction = predictor_of(request.getfixturevalue(kind)).predict(crowd[:people])
    assert prediction.samples.shape == (people, 4, 7, 22, 3)
    assert prediction.mean.shape == (people, 7, 22, 3)
    assert prediction.radius.shape == (people, 7, 22)
    assert prediction.body_radius_scale.shape == (people, 7)
    np.testing.assert_allclose(prediction.times, np.arange(1, 8) / 20, rtol=1e-6)
    arrays = (prediction.samples, prediction.mean, prediction.radius, prediction.times)
    arrays += (prediction.body_radius_scale,)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert np.isfinite(prediction.samples).all()
    close(prediction.mean, prediction.samples.mean(1))


@pytest.mark.parametrize('parametrisation', ['anchored', 'residual', 'official'])
@pytest.mark.parametrize('root', ['predicted', 'damped'])
@pytest.mark.parametrize('samples', [1, 4])
def test_mean_and_spread_are_those_of_the_samples(
    make_checkpoint: Callable[..., Checkpoint],
    crowd: FloatArray,
    parametrisation: str,
    root: str,
    samples: int,
) -> None:
    checkpoint = make_checkpoint(parametrisation=parametrisation, root=root)
    predictor = predictor_of(checkpoint, samples=samples)
    inputs = torch.from_numpy(crowd + 100), predictor._noise, predictor._embedded
    with torch.inference_mode():
        drawn = checkpoint.build().eval()(*inputs)
        _, mean, spread = predictor.engine(*inputs)
    close(predictor.predict(crowd + 100).samples, drawn)
    deviation = np.linalg.norm(drawn - drawn.mean(1, keepdim=True), axis=-1)  # (P, S, F, J)
    assert samples == 1 or deviation.max() > 0.1
    close(mean, drawn.mean(1))
    close(spread, np.sqrt((deviation**2).mean(1)))


def test_one_person_needs_no_axis_of_people(tiny: Checkpoint, crowd: FloatArray) -> None:
    predictor = predictor_of(tiny)
    alone, listed = predictor.predict(crowd[0]), predictor.predict(crowd[:1])
    np.testing.assert_array_equal(alone.samples, listed.samples)


@pytest.mark.parametrize('kind', ['tiny', 'tiny_official'])
def test_people_in_one_batch_are_predicted_as_if_alone(
    request: pytest.FixtureRequest, crowd: FloatArray, kind: str
) -> None:
    predictor = predictor_of(request.getfixturevalue(kind))
    together = predictor.predict(crowd)
    for index, person in enumerate(crowd):
        close(together.samples[index], predictor.predict(person).samples[0])


def test_fewer_samples_are_the_first_of_more(tiny: Checkpoint, crowd: FloatArray) -> None:
    many = predictor_of(tiny, samples=50).predict(crowd)
    few = predictor_of(tiny, samples=7).predict(crowd)
    close(many.samples[:, :7], few.samples)


def test_fewer_samples_are_the_first_of_all(tiny: Checkpoint, crowd: FloatArray) -> None:
    predictor = predictor_of(tiny, samples=50)
    few = predictor.predict(crowd, samples=7)
    close(few.samples, predictor.predict(crowd).samples[:, :7])
    close(few.mean, few.samples.mean(1))


@pytest.mark.parametrize('root', ['predicted', 'damped'])
def test_left_and_right_are_treated_alike(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray, root: str
) -> None:
    """Even samples are predicted from the person as seen, odd ones from the mirror image."""
    checkpoint = make_checkpoint(symmetric=True, root=root)
    sides = list(checkpoint.header.layout.mirrored)

    def mirrored(motion: FloatArray) -> FloatArray:
        return motion[..., sides, :] * np.array([1, -1, 1], np.float32)

    model = checkpoint.build()
    noise = torch.randn(1, 4, 6, checkpoint.header.features).repeat_interleave(2, 1)[0]
    seen, image = (
        model(torch.from_numpy(motion), noise).detach().numpy()
        for motion in (crowd, mirrored(crowd).copy())
    )
    assert np.abs(seen[:, 0::2] - seen[:, 1::2]).max() > 0.01, 'the network tells them apart'
    close(seen[:, 0::2], mirrored(image[:, 1::2]))
    close(seen[:, 1::2], mirrored(image[:, 0::2]))
    asymmetric = make_checkpoint(root=root)
    asymmetric.tensors |= checkpoint.tensors
    plain = asymmetric.build()(torch.from_numpy(crowd), noise).detach().numpy()
    close(seen[:, 0::2], plain[:, 0::2])


@pytest.mark.parametrize('samples', [1, 3, 5])
def test_an_odd_number_of_samples_is_the_first_of_more_too(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray, samples: int
) -> None:
    predictor = predictor_of(make_checkpoint(symmetric=True), samples=6)
    close(predictor.predict(crowd, samples).samples, predictor.predict(crowd).samples[:, :samples])


@pytest.mark.parametrize('samples', [0, 5])
def test_samples_that_were_not_asked_for_are_refused(
    tiny: Checkpoint, crowd: FloatArray, samples: int
) -> None:
    with pytest.raises(ValueError, match=rf'1\.\.4, got {samples}$'):
        predictor_of(tiny).predict(crowd, samples)


def test_a_sample_is_the_same_kind_of_future_at_every_call(
    tiny: Checkpoint, crowd: FloatArray
) -> None:
    predictor = predictor_of(tiny)
    first, second = predictor.predict(crowd), predictor.predict(crowd)
    np.testing.assert_array_equal(first.samples, second.samples)
    elsewhere = predictor_of(tiny).predict(crowd)
    np.testing.assert_array_equal(first.samples, elsewhere.samples)


def test_noise_is_drawn_anew_where_that_is_asked_for(tiny: Checkpoint, crowd: FloatArray) -> None:
    predictor = predictor_of(tiny, resample_noise=True)
    assert (predictor.predict(crowd).samples != predictor.predict(crowd).samples).any()


def test_a_random_network_is_not_blind_to_history(tiny: Checkpoint, crowd: FloatArray) -> None:
    still = np.broadcast_to(crowd[:, -1:], crowd.shape)
    predictor = predictor_of(tiny)
    difference = predictor.predict(crowd).mean - predictor.predict(still).mean
    assert np.abs(difference).max() > 1e-3  # else the other tests prove nothing


def silenced(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose network returns zero."""
    for name in ('network.out.weight', 'network.out.bias'):
        checkpoint.tensors[name] = torch.zeros_like(checkpoint.tensors[name])
    return checkpoint


def test_zero_output_of_the_residual_parametrisation_is_standing_still(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    samples = predictor_of(silenced(make_checkpoint(parametrisation='residual')))
    samples = samples.predict(crowd).samples
    close(samples, np.broadcast_to(crowd[:, None, -1:], samples.shape))


def test_zero_output_of_the_anchored_parametrisation_is_going_on(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    rate_hz, frames = 20, 3  # the velocity is that of the last 3 frames
    samples = predictor_of(silenced(make_checkpoint())).predict(crowd).samples
    times_s = np.arange(1, samples.shape[2] + 1) / rate_hz
    relative = crowd - crowd[:, :, :1] * (np.arange(crowd.shape[2]) > 0)[:, None]
    for person, joint, axis in np.ndindex(len(crowd), crowd.shape[2], 3):
        seen = relative[person, -frames:, joint, axis]
        speed = np.polyfit(np.arange(frames) / rate_hz, seen, 1)[0]
        fades_s = 2.0 if joint == 0 else 0.2
        way = speed * fades_s * (1 - np.exp(-times_s / fades_s))
        if joint:
            root = samples[person, 0, :, 0, axis] - crowd[person, -1, 0, axis]
            way = way + root
        close(samples[person, 0, :, joint, axis], crowd[person, -1, joint, axis] + way)


def test_every_future_begins_where_the_person_is_and_as_fast(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    """The rate is 1000 Hz here, so that the first steps show the initial velocity."""
    window = Window(rate_hz=1000, history_frames=5, future_frames=350, coefficients=6)
    going_on = predictor_of(silenced(make_checkpoint(window=window))).predict(crowd).samples
    samples = predictor_of(make_checkpoint(window=window)).predict(crowd).samples
    assert np.abs(samples - going_on).max() > 0.1, 'they go different ways'
    apart = np.abs(samples - going_on)[:, :, :2].max((0, 1, 3, 4))  # errors of frames 1, 2
    assert apart[0] < 5e-3
    assert apart[1] / apart[0] == pytest.approx(4, rel=0.1), 'as of an acceleration, not a speed'


def test_without_calibration_there_is_no_radius(tiny: Checkpoint, crowd: FloatArray) -> None:
    prediction = predictor_of(tiny).predict(crowd)
    assert np.isnan(prediction.radius).all()
    assert np.isnan(prediction.body_radius_scale).all()
    assert np.isnan(prediction.coverage)


def expected_error(prediction: Prediction) -> FloatArray:
    """Return the expected error, of which the radii of the tiny checkpoint are multiples."""
    distance = np.linalg.norm(prediction.samples - prediction.mean[:, None], axis=-1)
    spread = np.hypot(np.sqrt((distance**2).mean(1)), 0.01)
    return np.maximum.accumulate(spread, axis=1)


def test_the_radius_is_the_calibrated_spread(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    checkpoint = make_checkpoint(calibrated=True)
    prediction = predictor_of(checkpoint).predict(crowd)
    assert prediction.coverage == 0.9
    close(prediction.radius, 2 * expected_error(prediction))
    close(prediction.body_radius_scale, np.full((3, 7), 1.5))


def test_each_number_of_samples_has_a_radius_of_its_own(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    predictor = predictor_of(make_checkpoint(calibrated=True))
    two = predictor.predict(crowd, samples=2)
    close(two.radius, 3 * expected_error(two))
    assert two.coverage == 0.9
    three = predictor.predict(crowd, samples=3)
    close(three.radius, 3 * expected_error(three))
    assert three.coverage == 0.9
    one = predictor.predict(crowd, samples=1)
    assert np.isnan(one.radius).all(), 'the spread of fewer is smaller'
    assert np.isnan(one.body_radius_scale).all()
    assert np.isnan(one.coverage)


def test_the_coverage_is_chosen_and_refused_by_name(
    make_checkpoint: Callable[..., Checkpoint], crowd: FloatArray
) -> None:
    checkpoint = make_checkpoint(calibrated=True, coverages=(0.9, 0.95))
    for coverage, asked in ((0.95, None), (0.9, 0.9), (0.95, 0.95)):
        prediction = predictor_of(checkpoint, coverage=asked).predict(crowd)
        assert prediction.coverage == coverage
        close(prediction.radius, (2 if coverage == 0.9 else 4) * expected_error(prediction))
    with pytest.raises(ValueError) as refusal:
        predictor_of(checkpoint, coverage=0.999)
    assert str(refusal.value) == (
        'coverage must be one that the checkpoint is calibrated for, '
        '0.9, 0.95 (from 30 windows of 3 people), got 0.999'
    )


def test_without_calibration_any_coverage_is_none(tiny: Checkpoint, crowd: FloatArray) -> None:
    assert np.isnan(predictor_of(tiny, coverage=0.95).predict(crowd).coverage)


@pytest.mark.parametrize(('coverage', 'times'), [(0.9, 1.0), (0.95, 1.118), (0.999, 1.613)])
def test_doubt_widens_a_radius_as_much_as_its_coverage_asks_for(
    tiny: Checkpoint, crowd: FloatArray, coverage: float, times: float
) -> None:
    prediction = predictor_of(tiny).predict(crowd)
    radius = np.full(prediction.radius.shape, 0.3, np.float32)
    prediction = replace(prediction, radius=radius, coverage=coverage)
    doubt_m = np.zeros((3, 22), np.float32)
    assert prediction.widened(doubt_m) is prediction
    doubt_m[1, 4] = 0.4
    widened = prediction.widened(doubt_m).radius
    close(widened[1, :, 4], np.full(7, np.hypot(0.3, 0.4 * times)))
    widened[1, :, 4] = 0.3
    close(widened, radius)


def test_after_an_error_of_the_gpu_the_cpu_takes_over(tiny: Checkpoint, crowd: FloatArray) -> None:
    """The lost GPU is simulated by an engine that fails, on a device with the name of a GPU."""
    predictor = predictor_of(tiny)
    expected = predictor.predict(crowd)

    def lost(*inputs: Any) -> Any:
        raise RuntimeError('CUDA error: an illegal memory access was encountered')

    predictor.device = torch.device('cuda')
    predictor.engine = replace(predictor.engine, run=lost)
    with pytest.raises(RuntimeError, match='illegal memory access'):
        predictor.predict(crowd)
    assert predictor.fall_back('illegal memory access')
    assert (predictor.device.type, predictor.engine.backend) == ('cpu', 'eager')
    np.testing.assert_allclose(predictor.predict(crowd).samples, expected.samples, atol=1e-5)
    assert not predictor.fall_back('again'), 'there is nothing slower'


@pytest.mark.parametrize(
    ('shape', 'seen'),
    [
        ((4, 22, 3), r'\(4, 22, 3\)'),
        ((5, 17, 3), r'\(5, 17, 3\)'),
        ((5, 22, 2), r'\(5, 22, 2\)'),
        ((5, 66), r'\(5, 66\)'),
        ((1, 1, 5, 22, 3), r'\(1, 1, 5, 22, 3\)'),
        ((), r'\(\)'),
    ],
)
def test_a_history_of_another_shape_is_refused(
    tiny: Checkpoint, shape: tuple[int, ...], seen: str
) -> None:
    with pytest.raises(ValueError, match=f'{seen}.*expected .5, 22, 3.'):
        predictor_of(tiny).predict(np.zeros(shape))


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e300])
@pytest.mark.filterwarnings('ignore:overflow')
def test_a_history_with_a_gap_is_refused(
    tiny: Checkpoint, crowd: FloatArray, value: float
) -> None:
    history = crowd.astype(np.float64)
    history[1, 2, 3, 0] = value
    with pytest.raises(ValueError, match='not finite'):
        predictor_of(tiny).predict(history)


@pytest.mark.parametrize('samples', [0, -1, 1001])
def test_an_impossible_number_of_samples_is_refused(tiny: Checkpoint, samples: int) -> None:
    with pytest.raises(ValueError, match=rf'1\.\.1000, got {samples}$'):
        predictor_of(tiny, samples=samples)


@pytest.mark.parametrize('choice', ['backend', 'precision'])
def test_a_way_to_run_that_does_not_exist_is_refused(tiny: Checkpoint, choice: str) -> None:
    with pytest.raises(ValueError, match=f"no {choice} 'abacus': take one of auto, "):
        predictor_of(tiny, **{choice: 'abacus'})


@pytest.mark.parametrize('device', ['abacus', 'cuda:99', 'meta', ''])
def test_a_device_that_is_not_there_is_refused(tiny: Checkpoint, device: str) -> None:
    with pytest.raises(ValueError, match=f"the device '{device}' is not available: .") as refusal:
        predictor_of(tiny, device=device)
    assert '\n' not in str(refusal.value)


def test_a_saved_predictor_predicts_the_same(
    tiny: Checkpoint, crowd: FloatArray, tmp_path: Path
) -> None:
    path = tmp_path / 'tiny.safetensors'
    tiny.save(path)
    loaded = MotionPredictor.load(path, device='cpu', samples=4, backend='eager').predict(crowd)
    np.testing.assert_array_equal(loaded.samples, predictor_of(tiny).predict(crowd).samples)


def test_a_teacher_of_many_steps_is_refused(
    make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    path = tmp_path / 'teacher.safetensors'
    network = TransFusionSpec(layers=1, width=8, heads=2, ff_width=8)
    make_checkpoint(network=network, sampling='ddim').save(path)
    with pytest.raises(CheckpointError, match='teacher.safetensors is a teacher of 20 denoising'):
        MotionPredictor.load(path)
