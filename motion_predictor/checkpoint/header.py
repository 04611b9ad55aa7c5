"""The header of a checkpoint: everything about a predictor except its weights, validated."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from motion_predictor.checkpoint.networks import Count, NetworkSpec, Strict
from motion_predictor.model.diffusion import NOISE_STEPS, Grid, NoiseSchedule, ddim_timesteps
from motion_predictor.model.parametrisation import (
    AnchoredParametrisation,
    OfficialParametrisation,
    Parametrisation,
    ResidualParametrisation,
)
from motion_predictor.skeleton import Layout
from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor.uncertainty.familiarity import Familiarity


class Window(Strict):
    """The frame rate, and the numbers of observed frames, predicted frames and coefficients."""

    rate_hz: Annotated[float, Field(gt=0, le=1000)]
    history_frames: Annotated[int, Field(ge=2, le=10_000)]
    future_frames: Count
    coefficients: Annotated[int, Field(ge=1, le=1000)]


FORMAT: Literal[2] = 2
"""Version of the file format. The number is raised when this program could still read older files,
but would misunderstand them."""
Factor = Annotated[float, Field(gt=0, le=10)]


class Header(Strict):
    """The header of a checkpoint: everything about a predictor except its weights."""

    format: Literal[2] = FORMAT
    """Version of the file format. In version 1, networks with the anchored parametrisation got a
    DCT of the history as input."""
    name: Annotated[str, Field(min_length=1, max_length=64)]
    network: NetworkSpec
    layout: Layout
    window: Window
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    """Number of steps of the DDIM sequence. A single step starts from the last timestep of this
    sequence."""
    ddim_grid: Grid = 'leading'
    """Spacing of the DDIM sequence over all timesteps; see `ddim_timesteps`."""
    start_timestep: Annotated[int, Field(ge=1, lt=NOISE_STEPS)] | None = None
    """Timestep from which a single step starts. None takes the last one of the DDIM sequence."""
    prediction: Literal['sample', 'epsilon']
    """The network returns the clean coefficients (`sample`) or the noise (`epsilon`)."""
    parametrisation: Literal['anchored', 'residual', 'official']
    """The way in which motion is turned into coefficients; see `model.parametrisation`."""
    noise_schedule: NoiseSchedule = 'cosine'
    """The schedule by which the noise grows with the timestep."""
    frame: Literal['heading', 'world']
    """Axes of the model frame: +x along the person's heading, or the axes of the world."""
    root: Literal['predicted', 'damped']
    """`predicted`: the network predicts the root. `damped`: the root moves on with its last
    velocity, which decays."""
    sampling: Literal['one_step', 'ddim'] = 'one_step'
    """Evaluations of the network per sample: one, or `ddim_steps` for a teacher (`ddim`)."""
    noise_seed: Annotated[int, Field(ge=0)] = 0
    spread: tuple[tuple[Factor, ...], tuple[Factor, ...]] | None = None
    """Factors by which the deviations of the samples from their mean are multiplied: one per
    coefficient for the root, and one per coefficient for all other joints. With these factors, the
    deviations are as large as the errors on people who are not in the training set."""
    quiet_m_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Mean speed of a person's joints at which half of the network's mean is added to the base
    line. At lower speeds, less than half is added. With 0, the whole mean is always added."""
    symmetric: bool = False
    """Whether every other sample is predicted for the mirror image of the person and mirrored
    back. Left and right are then treated alike, and the mean of the samples is better."""
    calibration: Calibration | None = None
    familiarity: Familiarity | None = None
    provenance: dict[str, Any] = {}
    """Record of how the weights were made: configuration, data, versions, earlier checkpoints."""
    metrics: dict[str, Any] = {}
    """Results of measurements, with the data on which they were measured."""

    @field_validator('format', mode='before')
    @classmethod
    def _is_present(cls, value: object) -> object:
        if value != FORMAT:
            raise ValueError(
                f'it is {value}, but this version reads {FORMAT}: networks see other inputs now, '
                'so train it again'
            )
        return value

    @model_validator(mode='after')
    def _fits_itself(self) -> 'Header':
        window = self.window
        if window.coefficients > window.history_frames + window.future_frames:
            raise ValueError(
                f'window.coefficients is {window.coefficients}, more than the frames of '
                'history and future'
            )
        if self.parametrisation == 'anchored' and window.coefficients > window.future_frames:
            raise ValueError(
                f'window.coefficients is {window.coefficients}, more than the future frames'
            )
        if self.network.kind == 'transfusion' and self.network.width % self.network.heads:
            raise ValueError(
                f'network.width {self.network.width} is no multiple of network.heads '
                f'{self.network.heads}'
            )
        if self.quiet_m_per_s and self.parametrisation == 'official':
            raise ValueError(
                'quiet_m_per_s needs a base line, which parametrisation official does not have'
            )
        counts = {len(part) for part in self.spread or ()}
        if counts - {window.coefficients}:
            raise ValueError(
                f'spread must have {window.coefficients} factors, one for each coefficient, got '
                f'{sorted(counts)}'
            )
        if self.network.kind != 'transfusion' and self.sampling == 'ddim':
            raise ValueError(
                f'a {self.network.kind} takes one step, got ddim_steps {self.ddim_steps}'
            )
        if self.prediction == 'epsilon' and self.ddim_grid == 'trailing':
            raise ValueError(
                'prediction epsilon cannot start at ddim_grid trailing: no motion is left '
                'there, and the error of the noise would be multiplied by 20,000'
            )
        if self.parametrisation == 'official' and self.noise_schedule != 'cosine':
            raise ValueError(
                f'parametrisation official needs noise_schedule cosine, got {self.noise_schedule}'
            )
        if self.frame == 'heading' and self.layout.hips is None:
            raise ValueError(
                f'frame heading needs hips, which layout {self.layout.name} does not have'
            )
        if self.calibration and self.calibration.frames[-1] > window.future_frames:
            raise ValueError(
                f'calibration frame {self.calibration.frames[-1]} lies after the '
                f'{window.future_frames} predicted frames'
            )
        return self

    @property
    def features(self) -> int:
        """Number of values per frame that the network sees and returns, D."""
        return 3 * (len(self.layout.joints) - (self.root == 'damped'))

    @property
    def timestep(self) -> int:
        """The diffusion timestep from which a single step starts."""
        return self.start_timestep or ddim_timesteps(self.ddim_steps, self.ddim_grid)[-1]


def fresh_parametrisation(header: Header) -> Parametrisation:
    """Return the parametrisation that a header describes, with scales that are not fitted yet."""
    window = header.window
    sizes = (window.history_frames, window.future_frames, window.coefficients)
    match header.parametrisation:
        case 'official':
            return OfficialParametrisation(*sizes)
        case 'residual':
            return ResidualParametrisation(*sizes, header.features)
        case 'anchored':
            with_root = header.root == 'predicted'
            return AnchoredParametrisation(*sizes, header.features, window.rate_hz, with_root)
