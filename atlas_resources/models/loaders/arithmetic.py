"""Instruments that compute from sealed results without weights: only their declared parameters are loaded."""

from atlas_resources.files.contract import Contract
from atlas_resources.instruments.loader_table import LOADERS, read_parameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.masks.pruning import PruningRules
from atlas_resources.models.weights import LocatedWeights


def load(spec: Spec, weights: LocatedWeights, device: str) -> Contract | PruningRules:
    """Returns the declared parameters, validated by the loader's schema."""
    return read_parameters(spec, LOADERS[spec.loader or ""])
