"""Everything about a predictor except its weights, validated."""

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
    """Frame rate, and numbers of observed frames, predicted frames and coefficients."""

    rate_hz: Annotated[float, Field(gt=0, le=1000)]
    history_frames: Annotated[int, Field(ge=2, le=10_000)]
    future_frames: Count
    coefficients: Annotated[int, Field(ge=1, le=1000)]


FORMAT: Literal[2] = 2
"""Version of the file format. It is raised when older files could be read, but would be
understood wrongly."""
Factor = Annotated[float, Field(gt=0, le=10)]


class Header(Strict):
    """Everything about a predictor except its weights."""

    format: Literal[2] = FORMAT
    """Version of the file. In version 1, the network of an anchored parametrisation saw a DCT of
    the history."""
    name: Annotated[str, Field(min_length=1, max_length=64)]
    network: NetworkSpec
    layout: Layout
    window: Window
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    """Number of steps of the DDIM sequence. The single step starts from its last timestep."""
    ddim_grid: Grid = 'leading'
    """How the DDIM sequence is spaced over all timesteps; see `ddim_timesteps`."""
    start_timestep: Annotated[int, Field(ge=1, lt=NOISE_STEPS)] | None = None
    """The timestep from which the single step starts, if it is not that of the DDIM sequence."""
    prediction: Literal['sample', 'epsilon']
    """What the network returns: the clean coefficients, or the noise."""
    parametrisation: Literal['anchored', 'residual', 'official']
    """How motion becomes coefficients; see `model.parametrisation`."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep."""
    frame: Literal['heading', 'world']
    """Axes of the model frame: the person's heading along +x, or the world's."""
    root: Literal['predicted', 'damped']
    """Whether the network predicts the root. If it is 'damped', the root goes on with its recent
    velocity, which decays."""
    sampling: Literal['one_step', 'ddim'] = 'one_step'
    """Whether a sample takes one evaluation of the network, or `ddim_steps` of them (teachers)."""
    noise_seed: Annotated[int, Field(ge=0)] = 0
    spread: tuple[tuple[Factor, ...], tuple[Factor, ...]] | None = None
    """Factors by which the deviations of the samples from their mean are multiplied: one per
    coefficient for the root, and one per coefficient for all other joints. They make the
    deviations as large as the errors on people who were not trained on."""
    quiet_m_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Mean speed of a person's joints at which half of the network's mean is added to the base
    line. At lower speeds it is less than half. 0: all of it is always added."""
    symmetric: bool = False
    """Whether every other sample is predicted for the mirror image of the person and mirrored
    back. Left and right are then treated alike, and the mean of the samples is better."""
    calibration: Calibration | None = None
    familiarity: Familiarity | None = None
    provenance: dict[str, Any] = {}
    """How the weights were made: configuration, data, versions, ancestors."""
    metrics: dict[str, Any] = {}
    """Results of measurements, and the data that they were made on."""

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
        """D, the number of values per frame that the network sees and returns."""
        return 3 * (len(self.layout.joints) - (self.root == 'damped'))

    @property
    def timestep(self) -> int:
        """The diffusion timestep that the single step starts from."""
        return self.start_timestep or ddim_timesteps(self.ddim_steps, self.ddim_grid)[-1]


def fresh_parametrisation(header: Header) -> Parametrisation:
    """Return the parametrisation that a header describes. Its scales are not fitted yet."""
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
