"""Instruments that are arithmetic on sealed results: nothing is loaded but what their spec declares.

What they compute is in atlas_assets/roles.
"""

from atlas_resources.files.contract import Contract
from atlas_resources.instruments.loader_table import LOADERS, read_parameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.masks.pruning import PruningRules
from atlas_resources.models.weights import LocatedWeights


def load(spec: Spec, weights: LocatedWeights, device: str) -> Contract | PruningRules:
    """The declared parameters, by the family's own schema."""
    return read_parameters(spec, LOADERS[spec.loader or ""])
