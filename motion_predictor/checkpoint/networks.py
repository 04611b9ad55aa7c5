"""The kinds of networks that a checkpoint can hold, and their sizes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from motion_predictor.model import SharedTrunk, SwiftDiff, TransFusion


class Strict(BaseModel):
    """Knows all its fields; others are errors."""

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


class SwiftDiffSpec(Strict):
    """Sizes of a SwiftDiff network."""

    kind: Literal['swiftdiff'] = 'swiftdiff'
    layers: Annotated[int, Field(ge=1, le=64)]
    width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, features: int, coefficients: int) -> SwiftDiff:
        """Return the network with fresh weights."""
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
