import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec


def make(**options):
    return build_blueprint(ModelSpec(**{"input_shape": [6], "output_dim": 2, **options}))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"architecture": "mlp", "hidden_dims": [4]}, 6 * 4 + 4 + 4 * 2 + 2),
        ({"architecture": "mlp", "hidden_dims": []}, 6 * 2 + 2),
        # No bias before a batch normalisation, whose running statistics are not trained.
        ({"architecture": "mlp", "hidden_dims": [4], "normalization": "batch"}, 6 * 4 + 4 + 4 + 4 * 2 + 2),
        ({"architecture": "cnn", "hidden_dims": [3]}, 3 * 1 * 3 + 3 + 3 * 2 + 2),
        (
            {"architecture": "cnn", "hidden_dims": [3], "kernel_size": 5, "input_shape": [2, 8]},
            3 * 2 * 5 + 3 + 8,
        ),
        ({"architecture": "cnn", "hidden_dims": [3], "input_shape": [2, 8, 8]}, 3 * 2 * 9 + 3 + 8),
        ({"architecture": "cnn", "hidden_dims": [3], "input_shape": [28, 28]}, 3 * 1 * 9 + 3 + 8),
    ],
)
def test_the_parameters_are_those_of_the_formula(options, count):
    assert make(**options).count_parameters() == count


@pytest.mark.parametrize(
    ("shape", "stages", "pools"),
    [([8], [2, 2, 2, 2], 3), ([3], [2, 2], 1), ([1], [2], 0), ([1, 4, 2], [2, 2], 1)],
)
def test_pooling_ends_where_nothing_is_left_to_halve(shape, stages, pools):
    plan = make(architecture="cnn", input_shape=shape, hidden_dims=stages)
    assert sum(layer.kind == "max_pool" for layer in plan.layers) == pools


def test_too_many_axes_are_refused():
    with pytest.raises(SpecError, match=r"model\.input_shape"):
        make(architecture="cnn", input_shape=[2, 3, 4, 5])


def test_initial_values_are_uniform_within_their_bound_and_depend_on_name_and_seed():
    plan = make(architecture="mlp", input_shape=[400], hidden_dims=[400, 400])
    one, same, other = plan.initial(1), plan.initial(1), plan.initial(2)
    weight = one["dense_0.weight"]
    assert weight.dtype == np.float32 and np.abs(weight).max() <= 1 / 20
    assert weight.std() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.01)
    np.testing.assert_array_equal(weight, same["dense_0.weight"])
    for left, right in ((weight, other["dense_0.weight"]), (weight, one["dense_1.weight"])):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.01
