from dataclasses import replace

import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.data.prepare import Preparation
from trainwright.models.assemble import build_blueprint
from trainwright.models.blueprint import Parameter
from trainwright.models.fine_tuning import Parent, take_weights
from trainwright.ops.labels import Labels
from trainwright.ops.operator import Sequential
from trainwright.ops.softlabels import SoftLabels
from trainwright.spec.model import ModelSpec


def prepare(classes=(0, 1, 2)):
    return Preparation(Sequential(), Labels(values=classes), "classification")


def model_of(**changes):
    fields = {"architecture": "mlp", "task_type": "classification", "input_shape": [4], "output_dim": 3}
    return ModelSpec(**{**fields, "hidden_dims": [6], **changes})


def parent_of(model, *, more=None, classes=(0, 1, 2)):
    weights = build_blueprint(model).initial(1) | (more or {})
    description = {
        "model": model.tree(),
        "task_type": "classification",
        "preparation": prepare(classes).spec,
        "features": "x",
        "shape": [4],
    }

    class Version:
        model, number = "old", 7

    return Parent(Version, weights, description, {"operators": [], "target_operators": []})


def take(parent, model, *, new_head=False, classes=(0, 1, 2)):
    return take_weights(
        parent, build_blueprint(model), model, preparation=prepare(classes), new_head=new_head
    )


def test_everything_is_taken_by_name():
    parent = parent_of(model_of())
    taken = take(parent, model_of())
    assert taken.keys() == parent.weights.keys()
    assert all(taken[name] is parent.weights[name] for name in taken)


@pytest.mark.parametrize("outputs", [3, 5])
def test_a_new_head_leaves_the_output_layer_out(outputs):
    taken = take(parent_of(model_of()), model_of(output_dim=outputs), new_head=True)
    assert set(taken) == {"dense_0.weight", "dense_0.bias"}


def test_what_an_embedding_has_in_training_only_is_part_of_the_head():
    more = {"projection_0.weight": np.zeros((3, 3)), "decoder_output.bias": np.zeros(4)}
    parent = parent_of(model_of(), more=more)
    assert set(take(parent, model_of(), new_head=True)) == {"dense_0.weight", "dense_0.bias"}
    with pytest.raises(
        SpecError, match=r"projection_0.weight has the shape \(3, 3\) there, none here.*new_head"
    ):
        take(parent, model_of())


def test_an_activation_may_differ():
    assert take(parent_of(model_of()), model_of(activation="tanh"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"output_dim": 4},
            r"old@7 .* output.weight has the shape \(3, 6\) there, \(4, 6\) here; .*; write train.new_head: true",
        ),
        (
            {"hidden_dims": [5]},
            r"dense_0.weight .*\(6, 4\) there, \(5, 4\) here.*make the models alike: model.hidden",
        ),
        ({"hidden_dims": [6, 6]}, r"dense_1.weight has the shape none there, \(6, 6\) here"),
    ],
)
def test_another_shape_is_named_with_its_cure(changes, told):
    with pytest.raises(SpecError, match=told):
        take(parent_of(model_of()), model_of(**changes))


def test_a_network_without_a_layer_called_output_has_no_head_to_draw_anew():
    parent = parent_of(model_of())
    plan = replace(build_blueprint(model_of()), parameters={"dense.kernel": Parameter((3, 2))})
    with pytest.raises(SpecError, match=r"train\.new_head: the network has no layer called 'output'"):
        take_weights(parent, plan, model_of(), preparation=prepare((0, 1, 2)), new_head=True)


def test_a_new_head_does_not_excuse_another_body():
    with pytest.raises(SpecError, match=r"dense_0\.weight"):
        take(parent_of(model_of()), model_of(hidden_dims=[5]), new_head=True)


def test_an_output_for_other_classes_of_the_same_number_is_refused():
    with pytest.raises(SpecError, match="tells the classes 0, 1, 2, these data have 0, 1, 9"):
        take(parent_of(model_of()), model_of(), classes=(0, 1, 9))
    assert take(parent_of(model_of()), model_of(), classes=(0, 1, 9), new_head=True)


def test_probabilities_of_the_same_classes_go_on_where_the_classes_ended():
    soft = Preparation(Sequential(), SoftLabels((0, 1, 2)), "classification")
    parent, model = parent_of(model_of()), model_of()
    assert take_weights(parent, build_blueprint(model), model, preparation=soft, new_head=False)
