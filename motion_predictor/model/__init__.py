"""The networks and the mathematics of one-step motion diffusion."""

from motion_predictor.model.graph import GraphDenoiser
from motion_predictor.model.gru import GruDenoiser
from motion_predictor.model.shared_trunk import SharedTrunk
from motion_predictor.model.swiftdiff import SwiftDiff
from motion_predictor.model.transfusion import TransFusion

__all__ = ['GraphDenoiser', 'GruDenoiser', 'SharedTrunk', 'SwiftDiff', 'TransFusion']
