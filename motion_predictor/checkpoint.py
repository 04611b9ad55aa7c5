"""One .safetensors file that holds a predictor: weights and everything needed to use them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from motion_predictor.common.files import written_whole
from motion_predictor.common.installed import installed
from motion_predictor.common.problems import first_problem, one_line
from motion_predictor.model import SharedTrunk, SwiftDiff, TransFusion
from motion_predictor.model.diffusion import NoiseSchedule, ddim_timesteps
from motion_predictor.model.one_step import Network, OneStep
from motion_predictor.model.parametrisation import (
    AnchoredParametrisation,
    OfficialParametrisation,
    Parametrisation,
    ResidualParametrisation,
)
from motion_predictor.skeleton import Layout
from motion_predictor.uncertainty.calibration import Calibration
from motion_predictor.uncertainty.familiarity import (
    Familiarity,
    FamiliarityTest,
    FloatArray,
    Poses,
)
from motion_predictor.uncertainty.sets import Sets

METADATA_KEY = 'motion_predictor'


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, foreign or does not fit itself."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


Count = Annotated[int, Field(ge=1, le=10_000)]


class TransFusionSpec(_Strict):
    """Sizes of a TransFusion network."""

    kind: Literal['transfusion'] = 'transfusion'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    heads: Annotated[int, Field(ge=1, le=64)]
    ff_width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> TransFusion:
        """Return the network with fresh weights."""
        return TransFusion(
            features,
            coefficients,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            ff_width=self.ff_width,
            dropout=self.dropout,
        )


class SwiftDiffSpec(_Strict):
    """Sizes of a SwiftDiff network."""

    kind: Literal['swiftdiff'] = 'swiftdiff'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> SwiftDiff:
        """Return the network with fresh weights."""
        return SwiftDiff(features, coefficients, self.layers, self.width, self.dropout)


class SharedTrunkSpec(_Strict):
    """Sizes of a SharedTrunk network."""

    kind: Literal['shared_trunk'] = 'shared_trunk'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    branch_layers: Annotated[int, Field(ge=1, le=64)]
    branch_width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> SharedTrunk:
        """Return the network with fresh weights."""
        return SharedTrunk(
            features,
            coefficients,
            self.layers,
            self.width,
            self.branch_layers,
            self.branch_width,
            self.dropout,
        )


NetworkSpec = Annotated[
    TransFusionSpec | SwiftDiffSpec | SharedTrunkSpec, Field(discriminator='kind')
]


class Window(_Strict):
    """How much is observed and predicted, and how it is compressed."""

    rate_hz: Annotated[float, Field(gt=0, le=1000)]
    history_frames: Annotated[int, Field(ge=2, le=10_000)]
    future_frames: Count
    coefficients: Annotated[int, Field(ge=1, le=1000)]


class Header(_Strict):
    """Everything about a predictor but its weights."""

    format: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=64)]
    network: NetworkSpec
    layout: Layout
    window: Window
    ddim_steps: Annotated[int, Field(ge=1, le=500)]
    """Denoising steps of the DDIM sequence whose last timestep the single step starts from."""
    prediction: Literal['sample', 'epsilon']
    """What the network returns: the clean coefficients, or the noise."""
    parametrisation: Literal['anchored', 'residual', 'official']
    """How motion becomes coefficients; see `model.parametrisation`."""
    noise_schedule: NoiseSchedule = 'cosine'
    """How the noise grows with the timestep."""
    frame: Literal['heading', 'world']
    """Axes of the model frame: the person's heading along +x, or the world's."""
    root: Literal['predicted', 'damped']
    """Whether the network predicts the root, or its recent velocity dies away."""
    sampling: Literal['one_step', 'ddim'] = 'one_step'
    """Whether one evaluation makes a sample, or (teachers) all `ddim_steps` do."""
    noise_seed: Annotated[int, Field(ge=0)] = 0
    spread: tuple[Annotated[float, Field(gt=0, le=10)], ...] | None = None
    """By what the deviations of a person's samples from their mean are multiplied, coefficient by
    coefficient, so that they are as large as errors are with people who were not trained on."""
    symmetric: bool = False
    """Whether every other sample is predicted for the mirror image of the person and mirrored
    back: left and right are treated alike, and the mean of the samples is the better for it."""
    calibration: Calibration | None = None
    familiarity: Familiarity | None = None
    provenance: dict[str, Any] = {}
    """How the weights were made: configuration, data, versions, ancestors."""
    metrics: dict[str, Any] = {}
    """What was measured, and on what."""

    @model_validator(mode='after')
    def _fits_itself(self) -> 'Header':
        window = self.window
        if window.coefficients > window.history_frames + window.future_frames:
            raise ValueError(f'{window.coefficients} coefficients are more than the frames')
        if self.parametrisation == 'anchored' and window.coefficients > window.future_frames:
            raise ValueError(f'{window.coefficients} coefficients are more than the future frames')
        if self.network.kind == 'transfusion' and self.network.width % self.network.heads:
            raise ValueError(
                f'width {self.network.width} is no multiple of {self.network.heads} heads'
            )
        if self.spread is not None and len(self.spread) != window.coefficients:
            raise ValueError(f'{len(self.spread)} factors of spread are not one a coefficient')
        if self.network.kind != 'transfusion' and self.sampling == 'ddim':
            raise ValueError(f'a {self.network.kind} has one step, not {self.ddim_steps}')
        if self.parametrisation == 'official' and self.noise_schedule != 'cosine':
            raise ValueError(f'official is completed by the cosine, not the {self.noise_schedule}')
        if self.frame == 'heading' and self.layout.hips is None:
            raise ValueError(f'layout {self.layout.name} has no hips to take a heading from')
        if self.calibration and self.calibration.frames[-1] > window.future_frames:
            raise ValueError(
                f'calibration frame {self.calibration.frames[-1]} lies after the '
                f'{window.future_frames} that are predicted'
            )
        return self

    @property
    def features(self) -> int:
        """D, the values per frame that the network sees."""
        return 3 * (len(self.layout.joints) - (self.root == 'damped'))

    @property
    def timestep(self) -> int:
        """The diffusion timestep that the single step starts from."""
        return ddim_timesteps(self.ddim_steps)[-1]


@dataclass
class Checkpoint:
    """A predictor as it is stored.

    `tensors` holds the network's state dict under `network.`, the parametrisation's under
    `parametrisation.` and, where calibrated, what `Calibration` and `Familiarity` name.
    """

    header: Header
    tensors: dict[str, Tensor]
    sha256: str = ''
    is_outdated: bool = False
    """Whether the file held a calibration of an older kind, which was left out."""

    @classmethod
    def of(
        cls, header: Header, network: nn.Module, parametrisation: Parametrisation
    ) -> 'Checkpoint':
        """Put a checkpoint together from what was trained."""
        sections = {'network': network, 'parametrisation': parametrisation}
        return cls(
            header,
            {
                f'{section}.{name}': tensor
                for section, module in sections.items()
                for name, tensor in module.state_dict().items()
            },
        )

    @property
    def model_id(self) -> str:
        """Name and hash, as published in every message."""
        damped = ', root damped' if self.header.root == 'damped' else ''
        return f'{self.header.name}@{self.sha256[:8]}{damped}'

    def sets(self, coverage: float | None = None) -> Sets | None:
        """Return what makes radii of one of the calibrated coverages (see `Calibration.choose`).

        Returns:
            None if the checkpoint is not calibrated.

        Raises:
            ValueError: if the coverage is not among those calibrated.
        """
        header = self.header
        if header.calibration is None:
            return None
        tensors = {
            name: self.tensors[name].float().cpu().numpy() for name in header.calibration.shapes()
        }
        frames = header.window.future_frames
        return Sets(header.calibration, tensors, header.layout, frames, coverage)

    def calibrated(self, calibration: Calibration, tensors: dict[str, Tensor]) -> 'Checkpoint':
        """Return it with a calibration, instead of any that it has."""
        header = self.header.model_copy(update={'calibration': calibration})
        return Checkpoint(header, self._without('calibration.') | tensors)

    def familiarity(self) -> FamiliarityTest | None:
        """Return what says how familiar a history is; None where that was not calibrated."""
        header, window = self.header, self.header.window
        if header.familiarity is None:
            return None
        names = header.familiarity.shapes(len(header.layout.joints))
        tensors = [self.tensors[name].float().cpu().numpy() for name in names]
        poses = Poses(header.layout, window.history_frames, window.rate_hz)
        return FamiliarityTest(header.familiarity, tensors, poses)

    def familiar(self, familiarity: Familiarity, tensors: Sequence[FloatArray]) -> 'Checkpoint':
        """Return it with a familiarity, instead of any that it has.

        Args:
            familiarity: what the tensors were fitted to.
            tensors: in the order of `Familiarity.shapes`.
        """
        names = familiarity.shapes(len(self.header.layout.joints))
        fitted = {n: torch.from_numpy(values) for n, values in zip(names, tensors, strict=True)}
        header = self.header.model_copy(update={'familiarity': familiarity})
        return Checkpoint(header, self._without('familiarity.') | fitted)

    def _without(self, prefix: str) -> dict[str, Tensor]:
        return {k: v for k, v in self.tensors.items() if not k.startswith(prefix)}

    def _section(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    def _fresh_network(self) -> Network:
        header = self.header
        return header.network.build(header.features, header.window.coefficients)

    def require_fit(self) -> None:
        """Compare the tensors with what the header asks for, without making that.

        Raises:
            CheckpointError: naming the first tensor that is missing, foreign or of another shape.
        """
        header = self.header
        with torch.device('meta'):
            expected = self.of(
                header, self._fresh_network(), fresh_parametrisation(self.header)
            ).tensors
        if header.calibration is not None:
            for name, shape in header.calibration.shapes().items():
                expected[name] = torch.empty(shape, device='meta')
        if header.familiarity is not None:
            for name, shape in header.familiarity.shapes(len(header.layout.joints)).items():
                expected[name] = torch.empty(shape, device='meta')
        if missing := sorted(expected.keys() - self.tensors.keys()):
            raise CheckpointError(
                f'the header asks for {missing[0]}, one of {len(missing)} tensors that are missing'
            )
        for name, tensor in self.tensors.items():
            if name not in expected:
                raise CheckpointError(f'the header leaves no place for the tensor {name}')
            if tensor.shape != expected[name].shape or not tensor.is_floating_point():
                raise CheckpointError(
                    f'the tensor {name} is {tensor.dtype} of shape {tuple(tensor.shape)}, the '
                    f'header asks for real numbers of shape {tuple(expected[name].shape)}'
                )

    def build_parametrisation(self) -> Parametrisation:
        """Return the parametrisation with its constants."""
        parametrisation = fresh_parametrisation(self.header)
        parametrisation.load_state_dict(self._section('parametrisation.'))
        return parametrisation

    def build_network(self) -> Network:
        """Return the network with its weights."""
        network = self._fresh_network()
        network.load_state_dict(self._section('network.'))
        return network

    def build(self, module: Callable[..., OneStep] = OneStep) -> OneStep:
        """Return the module from history to future, in evaluation mode.

        Args:
            module: OneStep, or what builds another sampler from the same arguments.

        Raises:
            CheckpointError: if the tensors do not fit what the header says.
        """
        header = self.header
        self.require_fit()
        try:
            return module(
                self.build_network(),
                self.build_parametrisation(),
                rate_hz=header.window.rate_hz,
                timestep=header.timestep,
                predicts_noise=header.prediction == 'epsilon',
                hips=header.layout.hips if header.frame == 'heading' else None,
                predicts_root=header.root == 'predicted',
                noise_schedule=header.noise_schedule,
                spread=header.spread,
                mirrored=header.layout.mirrored if header.symmetric else None,
            ).eval()
        except RuntimeError as error:
            detail = one_line(error)
            raise CheckpointError(f'the weights do not fit their header: {detail}') from error

    def save(self, path: Path) -> None:
        """Write atomically: a reader sees the old file or the new one."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()
        }
        metadata = {METADATA_KEY: self.header.model_dump_json()}
        with written_whole(path) as draft:
            save_file(tensors, draft, metadata)
            draft.chmod(0o644)  # safetensors keeps it to the owner


def fresh_parametrisation(header: Header) -> Parametrisation:
    """Return a header's parametrisation before its scales are known."""
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


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        if not path.is_file():
            raise CheckpointError(f'there is no checkpoint {path}')
        with safe_open(path, framework='pt') as file:
            # Copied, since what is mapped into memory changes with the file, or is gone with it.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'{path} is not a safetensors file or is damaged: {error}'
        ) from error


def shipped_checkpoints() -> dict[str, Path]:
    """Return the checkpoints that ship with the package, "default" among them, by name."""
    files = sorted(installed('assets').glob('*.safetensors'))
    return {path.stem: path for path in files}


def _leave_out_old_calibration(metadata: dict[str, str], tensors: dict[str, Tensor]) -> bool:
    """Leave out a calibration by one scale for all joints, and return whether there was one.

    Until radii depended on the motion, that was all there was; the network is as good as ever.
    """
    try:
        header = json.loads(metadata[METADATA_KEY])
        calibration = header['calibration']
        is_old = 'floor_m' in calibration and 'kind' not in calibration
    except (ValueError, TypeError, KeyError):
        return False  # what is wrong with it is for others to say
    if is_old:
        metadata[METADATA_KEY] = json.dumps(header | {'calibration': None})
        tensors.pop('calibration.scale', None)
    return is_old


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """Load "default", another that ships, or a file. No pickle is ever opened.

    Raises:
        CheckpointError: in one sentence, if the file is missing, truncated, foreign, or its
            header and tensors do not fit together.
    """
    path = shipped_checkpoints().get(str(name_or_path), Path(name_or_path))
    metadata, tensors = _read(path)
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f'{path} is a safetensors file of something else; official weights become a '
            'checkpoint by `train import`'
        )
    is_outdated = _leave_out_old_calibration(metadata, tensors)
    try:
        header = Header.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        problem = first_problem(error, 'the header')
        raise CheckpointError(f'{path} has a header that does not hold: {problem}') from error
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor.float()).all():
            raise CheckpointError(f'{path} holds values in {key} that are not finite numbers')
        if key.endswith('scale') and not (tensor > 0).all():
            raise CheckpointError(f'{path} holds values in {key} that are not positive')
        if key.endswith('terms') and not (tensor >= 0).all():
            raise CheckpointError(f'{path} holds values in {key} that are negative')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint = Checkpoint(header, tensors, digest, is_outdated)
    try:
        checkpoint.require_fit()
    except CheckpointError as error:
        raise CheckpointError(f'{path}: {error}') from error
    return checkpoint
