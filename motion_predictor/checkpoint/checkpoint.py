"""The content of a checkpoint file: weights, and everything that is needed to use them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from motion_predictor.checkpoint.header import Header, fresh_parametrisation
from motion_predictor.common.files import written_whole
from motion_predictor.common.problems import one_line
from motion_predictor.model.one_step import Network, OneStep
from motion_predictor.model.parametrisation import Parametrisation
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
    """A checkpoint is missing, damaged, of another kind, or contradicts itself."""


@dataclass
class Checkpoint:
    """The content of a checkpoint file: a header, and tensors by name.

    The names of the network's tensors begin with `network.`, and the names of the
    parametrisation's tensors begin with `parametrisation.`. A calibrated checkpoint also holds the
    tensors of `Calibration` and `Familiarity`.
    """

    header: Header
    tensors: dict[str, Tensor]
    sha256: str = ''

    @classmethod
    def of(
        cls, header: Header, network: nn.Module, parametrisation: Parametrisation
    ) -> 'Checkpoint':
        """Make a checkpoint from a header, a trained network and a fitted parametrisation."""
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
        """Name and hash of the checkpoint, as published in every message."""
        damped = ', root damped' if self.header.root == 'damped' else ''
        return f'{self.header.name}@{self.sha256[:8]}{damped}'

    def sets(self, coverage: float | None = None) -> Sets | None:
        """Return the prediction sets with a coverage; None if the checkpoint is not calibrated.

        Args:
            coverage: one of the calibrated coverages. If `coverage` is None, the default of
                `Calibration.choose` is used.

        Raises:
            ValueError: if the checkpoint is not calibrated for this coverage.
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
        """Return a copy of this checkpoint with another calibration."""
        header = self.header.model_copy(update={'calibration': calibration})
        return Checkpoint(header, self._without('calibration.') | tensors)

    def familiarity(self) -> FamiliarityTest | None:
        """Return the test of how familiar a history is; None if the checkpoint holds no test."""
        header, window = self.header, self.header.window
        if header.familiarity is None:
            return None
        names = header.familiarity.shapes(len(header.layout.joints))
        tensors = [self.tensors[name].float().cpu().numpy() for name in names]
        poses = Poses(header.layout, window.history_frames, window.rate_hz)
        return FamiliarityTest(header.familiarity, tensors, poses)

    def familiar(self, familiarity: Familiarity, tensors: Sequence[FloatArray]) -> 'Checkpoint':
        """Return a copy of this checkpoint with another familiarity test.

        Args:
            familiarity: description of the data to which the tensors were fitted.
            tensors: the tensors of the test, in the order of `Familiarity.shapes`.
        """
        names = familiarity.shapes(len(self.header.layout.joints))
        fitted = {n: torch.from_numpy(values) for n, values in zip(names, tensors, strict=True)}
        header = self.header.model_copy(update={'familiarity': familiarity})
        return Checkpoint(header, self._without('familiarity.') | fitted)

    def uncalibrated(self) -> 'Checkpoint':
        """Return a copy of this checkpoint without calibration, familiarity test and metrics."""
        header = self.header.model_copy(
            update={'calibration': None, 'familiarity': None, 'metrics': {}}
        )
        kept = {
            name: tensor
            for name, tensor in self.tensors.items()
            if not name.startswith(('calibration.', 'familiarity.'))
        }
        return Checkpoint(header, kept, self.sha256)

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
        """Check that the tensors have the names and shapes that the header describes.

        Raises:
            CheckpointError: if a tensor is missing, unknown or of another shape. The error message
                names the first wrong tensor.
        """
        header = self.header
        with torch.device('meta'):
            network = self._fresh_network()
        # The parametrisation is made on the CPU, not on the meta device. On the meta device, torch
        # would import its compiler to compute the basis, which takes 1.5 s at every start.
        expected = self.of(header, network, fresh_parametrisation(header)).tensors
        if header.calibration is not None:
            for name, shape in header.calibration.shapes().items():
                expected[name] = torch.empty(shape, device='meta')
        if header.familiarity is not None:
            for name, shape in header.familiarity.shapes(len(header.layout.joints)).items():
                expected[name] = torch.empty(shape, device='meta')
        if missing := sorted(expected.keys() - self.tensors.keys()):
            raise CheckpointError(
                f'tensors that the header describes are missing: {missing[0]} (of {len(missing)})'
            )
        for name, tensor in self.tensors.items():
            if name not in expected:
                raise CheckpointError(
                    f'the tensor {name} does not belong to the network that the header describes'
                )
            if tensor.shape != expected[name].shape or not tensor.is_floating_point():
                raise CheckpointError(
                    f'the tensor {name} is {tensor.dtype} of shape {tuple(tensor.shape)}, the '
                    f'header asks for real numbers of shape {tuple(expected[name].shape)}'
                )

    def build_parametrisation(self) -> Parametrisation:
        """Return the parametrisation with the scales that the checkpoint stores."""
        parametrisation = fresh_parametrisation(self.header)
        parametrisation.load_state_dict(self._section('parametrisation.'))
        return parametrisation

    def build_network(self) -> Network:
        """Return the network with the weights that the checkpoint stores."""
        network = self._fresh_network()
        network.load_state_dict(self._section('network.'))
        return network

    def build(self, module: Callable[..., OneStep] = OneStep) -> OneStep:
        """Return the torch module that turns histories into futures, in evaluation mode.

        Args:
            module: OneStep, or a function that builds another sampler from OneStep's arguments.

        Raises:
            CheckpointError: if the tensors do not fit the header.
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
                facing=header.layout.facing if header.frame == 'heading' else None,
                predicts_root=header.root == 'predicted',
                noise_schedule=header.noise_schedule,
                spread=header.spread,
                quiet_m_per_s=header.quiet_m_per_s,
                mirrored=header.layout.mirrored if header.symmetric else None,
            ).eval()
        except RuntimeError as error:
            detail = one_line(error)
            raise CheckpointError(f'the weights do not fit their header: {detail}') from error

    def save(self, path: Path) -> None:
        """Write the checkpoint file. A reader sees the old or the new file, never half a file."""
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()
        }
        metadata = {METADATA_KEY: self.header.model_dump_json()}
        with written_whole(path) as draft:
            save_file(tensors, draft, metadata)
            draft.chmod(0o644)  # a file from safetensors can be read only by its owner
