import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.optimizer import LBFGS, SGD, Group
from trainwright.train.groups import ParameterOptions, frozen_layers, settle_groups

NAMES = ["conv_0.weight", "norm_0.weight", "norm_0.bias", "output.weight", "output.bias"]
DECAY = SGD(name="sgd", weight_decay=0.1)


def test_without_groups_the_optimizer_s_weight_decay_holds_everywhere():
    assert settle_groups([], NAMES, optimizer=DECAY) == dict.fromkeys(NAMES, ParameterOptions(0.1))
    none = settle_groups([], NAMES, optimizer=LBFGS(name="lbfgs"))
    assert none == dict.fromkeys(NAMES, ParameterOptions(0.0))


def test_the_first_group_that_matches_holds():
    groups = [
        Group(match="norm_*|*.bias", weight_decay=0.0),
        Group(match="output.*", lr_scale=0.5),
        Group(match="conv_?.weight", frozen=True),
    ]
    assert settle_groups(groups, NAMES, optimizer=DECAY) == {
        "conv_0.weight": ParameterOptions(0.1, frozen=True),
        "norm_0.weight": ParameterOptions(0.0),
        "norm_0.bias": ParameterOptions(0.0),
        "output.weight": ParameterOptions(0.1, lr_scale=0.5),
        "output.bias": ParameterOptions(0.0),  # not 0.5: the first group named it
    }


@pytest.mark.parametrize(
    ("matches", "said"),
    [
        (
            ["head.*"],
            r"train\.groups\.0\.match: 'head\.\*' matches no parameter; there are conv_0\.weight, norm_0",
        ),
        (["*.bias|scale"], r"train\.groups\.0\.match: 'scale' matches no parameter"),
        (["Output.*"], "matches no parameter"),  # names are told apart by case
        (["output.*|", "*"], r"train\.groups\.0\.match: '' matches no parameter"),
        (
            ["output.*", "output.bias"],
            r"train\.groups\.1\.match: all that 'output\.bias' matches belongs to earlier",
        ),
    ],
)
def test_a_group_that_would_do_nothing_is_an_error(matches, said):
    groups = [Group(match=match, lr_scale=0.5) for match in matches]
    with pytest.raises(SpecError, match=said):
        settle_groups(groups, NAMES, optimizer=DECAY)


def test_a_long_list_of_names_is_cut():
    with pytest.raises(SpecError, match=r"layer_11\.weight, \.\.\.$"):
        settle_groups([Group(match="x")], [f"layer_{n}.weight" for n in range(50)], optimizer=DECAY)


def test_something_must_be_left_to_train():
    with pytest.raises(SpecError, match="every parameter is frozen"):
        settle_groups([Group(match="*", frozen=True)], NAMES, optimizer=DECAY)


def test_a_layer_is_frozen_when_all_its_parameters_are():
    options = settle_groups([Group(match="norm_0.*|output.bias", frozen=True)], NAMES, optimizer=DECAY)
    assert frozen_layers(options) == {"norm_0"}
