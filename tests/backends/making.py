"""Both backends' networks of one model, from the same values."""

import numpy as np

from models.graphs import make_constants
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec


def make_blueprint(model, *, loss=None):
    constants = (
        make_constants(model["convolution"]) if model.get("input") in ("node", "pair", "arrow") else None
    )
    return build_blueprint(ModelSpec(**model), loss=loss, constants=constants)


def make_weights(blueprint, seed=7):
    """Initial values, with what starts at a constant moved away from it, so that nothing is hidden."""
    numbers = np.random.default_rng(seed)
    weights = blueprint.initial(seed)
    for name, one in blueprint.parameters.items():
        if one.bound is None:
            moved = weights[name] + numbers.uniform(0.0, 0.3, one.shape)
            weights[name] = moved.astype(np.float32)
    return weights
