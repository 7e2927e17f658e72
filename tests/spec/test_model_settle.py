"""What is decided of a model, and what is refused, with the reason."""

import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.faults import find_faults
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import settle_model
from trainwright.spec.presets import PRESETS, list_presets

MLP, CNN = {"architecture": "mlp"}, {"architecture": "cnn"}
TRANSFORMER, UNET = {"architecture": "transformer"}, {"architecture": "unet"}
OWN = {"architecture": "own", "use": "nets:Net", "args": {"a": 1}}


def settle(model, **facts):
    facts = {"input_shape": (3, 40), "output_shape": (2,), "task_type": "regression", **facts}
    return settle_model(ModelSpec(**model), **facts)


@pytest.mark.parametrize(
    ("model", "facts", "decided"),
    [
        (MLP, {}, {"hidden_dims": [128, 128], "activation": "relu", "normalization": "none", "dropout": 0.0}),
        (MLP, {}, {"residual": False, "input": "vector", "kernel_size": None, "heads": None, "stem": None}),
        (
            CNN,
            {},
            {"hidden_dims": [128, 128], "normalization": "none", "kernel_size": 3, "input": "sequence"},
        ),
        (CNN, {"input_shape": (28, 28)}, {"input": "image"}),
        (CNN, {"input_shape": (16, 28)}, {"input": "sequence"}),
        (CNN, {"input_shape": (17, 28)}, {"input": "image"}),
        (CNN, {"input_shape": (50,)}, {"input": "sequence"}),
        (CNN | {"input": "image"}, {"input_shape": (8, 28)}, {"input": "image"}),
        (CNN | {"preset": "large"}, {}, {"residual": True, "dropout": 0.1, "normalization": "batch"}),
        (CNN | {"preset": "large", "dropout": 0.0}, {}, {"residual": True, "dropout": 0.0}),
        (CNN | {"preset": "medium"}, {"ragged": True}, {"ragged": True, "normalization": "layer"}),
        (CNN, {"ragged": True, "input_shape": (30, 9)}, {"ragged": True, "input": "sequence"}),
        (CNN | {"ragged": False}, {"ragged": True}, {"ragged": False}),
        (
            TRANSFORMER,
            {},
            {"activation": "gelu", "normalization": "layer", "residual": True, "stem": "patch"},
        ),
        (TRANSFORMER, {}, {"patch_size": 1, "heads": 2, "feedforward_factor": 4, "kernel_size": None}),
        (TRANSFORMER, {"input_shape": (1, 1000)}, {"patch_size": 16}),
        (TRANSFORMER, {"input_shape": (28, 28)}, {"patch_size": 4, "input": "image"}),
        (TRANSFORMER, {"input_shape": (3, 224, 224)}, {"patch_size": 32}),
        (TRANSFORMER | {"stride": 3}, {}, {"stem": "convolution", "stride": 3, "kernel_size": 5}),
        (TRANSFORMER | {"stem": "convolution"}, {}, {"stride": 2, "kernel_size": 5, "patch_size": None}),
        (TRANSFORMER | {"hidden_dims": [96, 64]}, {}, {"heads": 2}),
        (TRANSFORMER | {"hidden_dims": [50, 50]}, {}, {"heads": 1}),
        (TRANSFORMER | {"hidden_dims": [8]}, {}, {"heads": 1}),
        (TRANSFORMER, {"input_shape": (5,)}, {"input": "columns", "categories": [0] * 5, "stem": None}),
        (TRANSFORMER, {"input_shape": (2,), "categories": (0, 4)}, {"categories": [0, 4]}),
        (
            TRANSFORMER,
            {"input_shape": (9,), "integers": True, "vocabulary_size": 30},
            {"input": "tokens", "vocabulary_size": 30, "categories": None},
        ),
        (TRANSFORMER | {"patch_size": 2}, {"input_shape": (9,)}, {"input": "sequence"}),
        (
            UNET,
            {"output_shape": (1, 40)},
            {"upscale": 1, "output_dim": 1, "kernel_size": 3, "residual": False},
        ),
        (UNET, {"output_shape": (1, 160)}, {"upscale": 4}),
        (MLP | {"head": "quantiles"}, {}, {"quantiles": [0.05, 0.5, 0.95]}),
        (MLP | {"head": "quantiles", "quantiles": [0.2, 0.5]}, {}, {"quantiles": [0.2, 0.5]}),
        (MLP, {}, {"quantiles": None, "components": None}),
        (MLP | {"head": "mixture"}, {}, {"components": 3}),
        (MLP | {"head": "mixture", "components": 7}, {}, {"components": 7}),
        (MLP, {"task_type": "embedding", "output_shape": (7,)}, {"output_dim": 16}),
        (MLP | {"output_dim": 4}, {"task_type": "embedding", "output_shape": (7,)}, {"output_dim": 4}),
        (MLP, {"task_type": "embedding", "output_shape": None}, {"output_dim": 16}),
        (OWN, {"input_shape": (3, 8, 8)}, {"hidden_dims": [], "activation": "identity", "input": "vector"}),
        (OWN, {"input_shape": (2, 9), "ragged": True}, {"input": "sequence", "args": {"a": 1}}),
    ],
    ids=str,
)
def test_what_is_open_is_decided(model, facts, decided):
    tree = settle(model, **facts).tree()

    assert {name: tree[name] for name in decided} == decided
    assert "auto" not in tree.values()


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("architecture", PRESETS)
def test_a_preset_fills_what_is_open_and_nothing_else(architecture, size):
    facts = {"output_shape": (1, 40) if architecture == "unet" else (1,)}
    if architecture == "gnn":
        facts |= {"input_shape": (1,), "graph": "node", "node_features": 5}
    settled = settle({"architecture": architecture, "preset": size}, **facts).tree()
    own = settle({"architecture": architecture, "preset": size, "hidden_dims": [4]}, **facts)

    listed = list_presets(architecture)[size]
    assert {name: settled[name] for name in listed} == listed
    assert own.hidden_dims == [4]


def test_a_decided_spec_comes_back_as_it_is():
    for model, facts in ((MLP, {}), (TRANSFORMER, {"input_shape": (4,), "categories": (0, 2, 0, 0)})):
        once = settle(model, **facts)
        assert settle_model(once) == once


@pytest.mark.parametrize(
    ("model", "facts", "text"),
    [
        (MLP | {"input_shape": [4]}, {}, r"model\.input_shape: \[4\] contradicts the data, .* \[3, 40\]"),
        (MLP | {"input_dim": 4}, {}, r"model\.input_dim: 4 contradicts .* 120 features"),
        (MLP | {"output_dim": 4}, {}, r"model\.output_dim: 4 contradicts .* 2 targets"),
        (CNN, {"input_shape": (2, 3, 4, 5)}, r"model\.input_shape: architecture 'cnn' takes 1 to 3 axes"),
        (CNN | {"input": "image"}, {"input_shape": (30,)}, r"model\.input: 'image' has 2 or 3 axes"),
        (TRANSFORMER | {"patch_size": 41}, {}, r"model\.patch_size: 41 is larger .* at most 40"),
        (TRANSFORMER | {"heads": 3}, {}, r"model\.heads: 3 does not divide hidden_dims\.0: 64"),
        (
            TRANSFORMER | {"input": "tokens"},
            {"input_shape": (9,)},
            r"model\.vocabulary_size: it is not known",
        ),
        (
            TRANSFORMER | {"vocabulary_size": 10},
            {"input_shape": (9,), "vocabulary_size": 11},
            r"model\.vocabulary_size: 10 contradicts .* token id is 10",
        ),
        (TRANSFORMER, {"input_shape": (3,), "categories": (0, 2)}, r"model\.categories: it has 2 entries"),
        (
            TRANSFORMER | {"categories": [0, 3]},
            {"input_shape": (2,), "categories": (0, 2)},
            r"model\.categories: \[0, 3\] contradicts",
        ),
        (MLP, {"input_shape": (2,), "categories": (0, 2)}, r"model\.input: .* category codes"),
        (MLP, {"ragged": True}, r"model\.ragged: architecture 'mlp' has no masks"),
        (CNN | {"normalization": "batch"}, {"ragged": True}, r"model\.normalization: .* padding"),
        (CNN | {"ragged": True}, {"input_shape": (40,)}, r"model\.ragged: .* \[channels \+ 1, length\]"),
        (CNN, {"output_shape": (2, 40)}, r"model\.architecture: 'cnn' gives one answer .* unet"),
        (UNET, {"output_shape": (2,)}, r"model\.architecture: the targets have \[\] positions"),
        (UNET, {"output_shape": (2, 41)}, r"model\.architecture: the targets have \[41\] positions"),
        (UNET | {"upscale": 2}, {"output_shape": (2, 40)}, r"model\.upscale: 2 contradicts"),
        (
            UNET,
            {"task_type": "classification", "output_shape": (2, 40)},
            r"model\.architecture: 'unet' gives",
        ),
        (
            CNN,
            {"task_type": "segmentation"},
            r"model\.architecture: 'cnn' gives one answer per record",
        ),
        (MLP | {"head": "mean_variance"}, {"task_type": "classification"}, r"model\.head: 'mean_variance'"),
        (MLP, {"output_shape": None}, r"model\.output_dim: it is not known"),
        (MLP, {"input_shape": None}, r"model\.input_shape: it is not known"),
    ],
    ids=str,
)
def test_what_contradicts_the_data_is_refused_with_the_reason(model, facts, text):
    with pytest.raises(SpecError, match=text):
        settle(model, **facts)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (MLP | {"input": "tokens"}, "input: 'tokens' needs embeddings, which architecture"),
        (CNN | {"input": "columns"}, "input: 'columns' needs embeddings"),
        (
            UNET | {"input": "vector"},
            "input: architecture 'unet' reads no bare vectors; write input: sequence",
        ),
        (MLP | {"heads": 2}, "heads: it has no meaning for architecture 'mlp'"),
        (MLP | {"use": "a:B"}, "use: it has no meaning for architecture 'mlp'"),
        ({"architecture": "own"}, "use: architecture 'own' needs it; write the class that builds it"),
        (OWN | {"use": "Net"}, "use: 'Net' is no code of your own; write module:Name"),
        (
            OWN | {"dropout": 0.1},
            "dropout: it has no meaning for architecture 'own'; leave it out, or make it",
        ),
        (OWN | {"preset": "large"}, "preset: it has no meaning for architecture 'own'"),
        (CNN | {"upscale": 2}, "upscale: it has no meaning for architecture 'cnn'; leave it out, or write"),
        (UNET | {"patch_size": 2}, "patch_size: it has no meaning for architecture 'unet'"),
        (UNET | {"residual": True}, "residual: a unet has skips of its own"),
        (TRANSFORMER | {"residual": False}, "residual: a transformer's blocks are residual"),
        (TRANSFORMER | {"normalization": "batch"}, "normalization: 'batch' does not go with a transformer"),
        (TRANSFORMER | {"hidden_dims": []}, "hidden_dims: it has no layers"),
        (MLP | {"hidden_dims": [], "residual": True}, "hidden_dims: it has no layers"),
        (
            CNN | {"hidden_dims": [4, 1], "normalization": "layer"},
            "hidden_dims.1: layer normalisation leaves",
        ),
        (TRANSFORMER | {"hidden_dims": [8, 9], "heads": 4}, "heads: 4 does not divide hidden_dims.1: 9"),
        (TRANSFORMER | {"stem": "convolution", "patch_size": 2}, "patch_size: it has no meaning for stem"),
        (TRANSFORMER | {"stem": "patch", "stride": 2}, "stride: it has no meaning for stem 'patch'"),
        (TRANSFORMER | {"patch_size": 2, "stride": 2}, "stride: a stem is one of two kinds"),
        (
            TRANSFORMER | {"input": "tokens", "patch_size": 2},
            "patch_size: it has no meaning for input 'tokens'",
        ),
        (TRANSFORMER | {"input": "columns", "vocabulary_size": 9}, "vocabulary_size: it has no meaning for"),
        (MLP | {"components": 2}, "components: it has no meaning for head 'point'; write head: mixture"),
        (MLP | {"head": "mixture", "components": 1}, "components: 1 is not a whole number >= 2"),
        (MLP | {"quantiles": [0.5]}, "quantiles: it has no meaning for head 'point'"),
        (MLP | {"head": "quantiles", "quantiles": [0.5, 0.1]}, "quantiles: [0.5, 0.1] is not rising"),
        (MLP | {"head": "quantiles", "quantiles": [0.1, 0.9]}, "quantiles: 0.5 is missing"),
        (
            MLP | {"head": "quantiles", "task_type": "multi_label"},
            "head: 'quantiles' does not go with task_type",
        ),
        (MLP | {"task_type": "segmentation"}, "architecture: 'mlp' gives one answer per record"),
        (UNET | {"task_type": "embedding"}, "architecture: 'unet' gives one answer per position"),
        (UNET | {"ragged": True}, "ragged: architecture 'unet' has no masks"),
        (CNN | {"ragged": True, "input": "image"}, "ragged: only sequences carry a mask"),
        (CNN | {"ragged": True, "normalization": "batch"}, "normalization: the batch's mean would count"),
        (UNET | {"upscale": 3}, "upscale: 3 is not 1, 2, 4"),
    ],
    ids=str,
)
def test_what_cannot_work_is_a_fault_of_the_spec(model, line):
    (found,) = [str(fault) for fault in find_faults(model, ModelSpec)]

    assert found.startswith(line)
