"""The networks and the mathematics of one-step motion diffusion."""

from motion_predictor.model.shared_trunk import SharedTrunk
from motion_predictor.model.swiftdiff import SwiftDiff
from motion_predictor.model.transfusion import TransFusion

__all__ = ['SharedTrunk', 'SwiftDiff', 'TransFusion']
