"""The rule by which torch trains members together, judged by what torch counts."""

import numpy as np
import pytest

from trainwright.backends.likeness import FEWEST, LARGEST, mean_product, why_slower
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec

MODELS = {
    "mlp": {"architecture": "mlp", "input_shape": [32], "output_dim": 1, "hidden_dims": [64, 48]},
    "patches": {
        "architecture": "transformer",
        "input": "sequence",
        "input_shape": [30],
        "output_dim": 3,
        "hidden_dims": [16, 24],
        "stem": "patch",
        "patch_size": 4,
    },
    "columns": {
        "architecture": "transformer",
        "input": "columns",
        "input_shape": [5],
        "categories": [0, 3, 0, 0, 2],
        "output_dim": 2,
        "hidden_dims": [16],
    },
}


def task_of(model, *, batch, backend="torch"):
    return ModelTask(build_blueprint(ModelSpec(**model)), TrainSpec(backend=backend, batch_size=batch), 1)


@pytest.mark.parametrize("name", MODELS)
def test_the_size_of_products_is_what_torch_counts(name):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from trainwright.backends.torch.network import Network

    task = task_of(MODELS[name], batch=12)
    network = Network(task.blueprint, task.blueprint.initial(0))
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(
            torch.from_numpy(np.zeros((12, *task.blueprint.input_shape), dtype=np.float32)), training=False
        )
    products = {
        torch.ops.aten.mm,
        torch.ops.aten.addmm,
    }  # those of attention among tokens are no dense layers
    flops = sum(n for op, n in counter.get_flop_counts()["Global"].items() if op in products)
    layers = sum(
        len(one.shape) == 2 and name.endswith("weight") for name, one in task.blueprint.parameters.items()
    )
    # The last layer sees each record once; the rule takes it for one of the tokens.
    assert mean_product(task) == pytest.approx(flops / 2 / layers, rel=0.05)


def test_members_are_trained_together_where_they_are_many_and_their_layers_small():
    model = MODELS["mlp"]
    batch = int(LARGEST / mean_product(task_of(model, batch=1)))
    assert why_slower(task_of(model, batch=batch), FEWEST) is None
    assert "one program has fewer than 4" in str(why_slower(task_of(model, batch=batch), FEWEST - 1))
    assert "gains nothing" in str(why_slower(task_of(model, batch=batch + 1), FEWEST))
    assert why_slower(task_of(model, batch=batch + 1, backend="equinox"), 2) is None
