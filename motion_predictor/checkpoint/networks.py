"""The kinds of networks that a checkpoint can hold, and their sizes."""

import warnings
from functools import reduce
from importlib.metadata import entry_points
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from motion_predictor.common.problems import one_line
from motion_predictor.model import GraphDenoiser, GruDenoiser, SharedTrunk, SwiftDiff, TransFusion

ENTRY_POINTS = 'motion_predictor.networks'
"""Group of entry points with which other packages add networks. See examples/denoiser."""


class Strict(BaseModel):
    """A pydantic model that accepts no unknown fields."""

    model_config = ConfigDict(extra='forbid', frozen=True)


Count = Annotated[int, Field(ge=1, le=10_000)]


class TransFusionSpec(Strict):
    """Sizes of a TransFusion network."""

    kind: Literal['transfusion'] = 'transfusion'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    heads: Annotated[int, Field(ge=1, le=64)]
    ff_width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> TransFusion:
        """Return a network of these sizes with untrained weights."""
        return TransFusion(
            features,
            coefficients,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            ff_width=self.ff_width,
            dropout=self.dropout,
        )


class SwiftDiffSpec(Strict):
    """Sizes of a SwiftDiff network."""

    kind: Literal['swiftdiff'] = 'swiftdiff'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> SwiftDiff:
        """Return a network of these sizes with untrained weights."""
        return SwiftDiff(features, coefficients, self.layers, self.width, self.dropout)


class SharedTrunkSpec(Strict):
    """Sizes of a SharedTrunk network."""

    kind: Literal['shared_trunk'] = 'shared_trunk'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    branch_layers: Annotated[int, Field(ge=1, le=64)]
    branch_width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> SharedTrunk:
        """Return a network of these sizes with untrained weights."""
        return SharedTrunk(
            features,
            coefficients,
            self.layers,
            self.width,
            self.branch_layers,
            self.branch_width,
            self.dropout,
        )


class GruSpec(Strict):
    """Sizes of a recurrent network (`GruDenoiser`)."""

    kind: Literal['gru'] = 'gru'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> GruDenoiser:
        """Return a network of these sizes with untrained weights."""
        return GruDenoiser(features, coefficients, self.layers, self.width, self.dropout)


class GraphSpec(Strict):
    """Sizes of a network on the graph of joints (`GraphDenoiser`)."""

    kind: Literal['graph'] = 'graph'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> GraphDenoiser:
        """Return a network of these sizes with untrained weights."""
        return GraphDenoiser(features, coefficients, self.layers, self.width, self.dropout)


def _brought() -> list[type[BaseModel]]:
    """Return the specifications of networks that other packages add by entry points.

    If a specification cannot be loaded, this function warns and leaves it out. The other networks
    can still be used.
    """
    found = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            spec = entry.load()
            known = isinstance(spec.model_fields['kind'].default, str) and callable(spec.build)
            if not known:
                raise TypeError('it must have a default for kind, and a method build')
            found.append(spec)
        except Exception as error:  # another package may raise errors of any kind
            warnings.warn(
                f'the network {entry.value} cannot be used: {one_line(error)}', stacklevel=2
            )
    return found


if TYPE_CHECKING:
    NetworkSpec = Annotated[
        TransFusionSpec | SwiftDiffSpec | SharedTrunkSpec | GruSpec | GraphSpec,
        Field(discriminator='kind'),
    ]
else:
    KINDS = (TransFusionSpec, SwiftDiffSpec, SharedTrunkSpec, GruSpec, GraphSpec)
    KINDS += tuple(_brought())
    NetworkSpec = Annotated[reduce(or_, KINDS), Field(discriminator='kind')]
