"""The networks against the same ones written with torch's own modules."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from backends.making import make_blueprint, make_weights
from trainwright.backends.torch.network import Network

NUMBERS = np.random.default_rng(0)


def make(model):
    blueprint = make_blueprint(model)
    weights = make_weights(blueprint)
    return Network(blueprint, weights), {name: torch.from_numpy(array) for name, array in weights.items()}


def outputs(network, x):
    with torch.inference_mode():
        return network(torch.from_numpy(x.copy()), training=False)


def block(weights, number, width, heads):
    """torch's own pre-norm block with the weights of ours; its key bias is zero."""
    theirs = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    name = f"attention_{number}"
    parts = [weights[f"{name}.{part}.weight"] for part in ("query", "key", "value")]
    query, value = weights[f"{name}.query.bias"], weights[f"{name}.value.bias"]
    state = {
        "self_attn.in_proj_weight": torch.cat(parts),
        "self_attn.in_proj_bias": torch.cat((query, torch.zeros_like(query), value)),
        "self_attn.out_proj.weight": weights[f"{name}.out.weight"],
        "self_attn.out_proj.bias": weights[f"{name}.out.bias"],
        "linear1.weight": weights[f"dense_{number}_in.weight"],
        "linear1.bias": weights[f"dense_{number}_in.bias"],
        "linear2.weight": weights[f"dense_{number}_out.weight"],
        "linear2.bias": weights[f"dense_{number}_out.bias"],
    }
    for ours, name in (("attention", "norm1"), ("dense", "norm2")):
        for kind in ("weight", "bias"):
            state[f"{name}.{kind}"] = weights[f"norm_{number}_{ours}.{kind}"]
    theirs.load_state_dict(state)
    return theirs


def finish(weights, pooled):
    width = (pooled.shape[-1],)
    normed = nn.functional.layer_norm(
        pooled, width, weights["norm_output.weight"], weights["norm_output.bias"]
    )
    return nn.functional.linear(normed, weights["output.weight"], weights["output.bias"])


def test_a_transformer_of_tokens_is_torch_s_encoder():
    model = {"architecture": "transformer", "input_shape": [7], "vocabulary_size": 9, "heads": 4}
    network, weights = make({**model, "output_dim": 3, "hidden_dims": [16, 16]})
    ids = NUMBERS.integers(1, 9, (5, 7))
    ids[1, 4:], ids[2, 1:] = 0, 0
    padding = torch.from_numpy(ids == 0)
    x = weights["embed.table"][torch.from_numpy(ids)] + weights["position.table"]
    with torch.no_grad():
        for number in range(2):
            x = block(weights, number, 16, 4)(x, src_key_padding_mask=padding)
        keep = (~padding)[..., None].float()
        expected = finish(weights, (x * keep).sum(1) / keep.sum(1))
    torch.testing.assert_close(outputs(network, ids), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [[3, 12], [3, 8, 12]])
def test_patches_are_a_convolution_of_their_size(shape):
    network, weights = make(
        {
            "architecture": "transformer",
            "input_shape": shape,
            "patch_size": 4,
            "output_dim": 2,
            "hidden_dims": [8],
        }
    )
    x = NUMBERS.normal(size=(5, *shape)).astype(np.float32)
    axes = len(shape) - 1
    conv = nn.functional.conv1d if axes == 1 else nn.functional.conv2d
    weight = weights["stem.weight"].reshape(8, 3, *[4] * axes)
    tokens = conv(torch.from_numpy(x), weight, weights["stem.bias"], stride=4).flatten(2).transpose(1, 2)
    with torch.no_grad():
        mixed = block(weights, 0, 8, 1)(tokens + weights["position.table"])
        expected = finish(weights, mixed.mean(1))
    torch.testing.assert_close(outputs(network, x), expected, rtol=1e-4, atol=1e-5)


def test_columns_are_tokens_behind_a_class_token():
    categories = [0, 3, 0, 4]
    network, weights = make(
        {
            "architecture": "transformer",
            "input_shape": [4],
            "categories": categories,
            "output_dim": 2,
            "hidden_dims": [8],
        }
    )
    x = np.array([[0.5, 2, -1.0, 3], [2.0, 0, 0.1, 0]], dtype=np.float32)
    table = weights["columns.table"]
    assert table.shape == (7, 8)
    rows = []
    for record in torch.from_numpy(x):
        numeric = record[[0, 2], None] * weights["columns.scale"] + weights["columns.shift"]
        coded = torch.stack([table[int(record[1])], table[3 + int(record[3])]])
        rows.append(torch.cat([weights["class_token.vector"][None], numeric, coded]))
    with torch.no_grad():
        expected = finish(weights, block(weights, 0, 8, 1)(torch.stack(rows))[:, 0])
    torch.testing.assert_close(outputs(network, x), expected, rtol=1e-4, atol=1e-5)


def conv(weights, name, x, **options):
    return nn.functional.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **options)


def test_a_unet_is_the_one_of_the_paper():
    network, weights = make(
        {
            "architecture": "unet",
            "task_type": "segmentation",
            "input_shape": [2, 6, 7],
            "output_dim": 3,
            "hidden_dims": [4, 5],
            "normalization": "none",
            "upscale": 2,
        }
    )
    x = NUMBERS.normal(size=(3, 2, 6, 7)).astype(np.float32)

    def twice(name, y):
        for half in "ab":
            y = conv(weights, f"conv_{name}{half}", y, padding=1).relu()
        return y

    top = twice("down_0", nn.functional.pad(torch.from_numpy(x), (0, 1, 0, 0), mode="replicate"))
    low = twice("down_1", nn.functional.max_pool2d(top, 2))
    grown = conv(weights, "conv_grow_0", nn.Upsample(scale_factor=2)(low), padding=1).relu()
    fine = twice("up_0", torch.cat((grown, top), 1))
    large = conv(weights, "conv_upscale_0", nn.Upsample(scale_factor=2)(fine), padding=1).relu()
    expected = conv(weights, "output", large)[:, :, :12, :14]
    found = outputs(network, x)
    assert found.shape == (3, 3, 12, 14)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_residual_layer_adds_what_came_in_projected_where_widths_differ():
    network, weights = make(
        {
            "architecture": "mlp",
            "input_shape": [5],
            "output_dim": 2,
            "hidden_dims": [5, 8],
            "residual": True,
            "normalization": "layer",
            "activation": "tanh",
        }
    )
    x = torch.from_numpy(NUMBERS.normal(size=(6, 5)).astype(np.float32))
    linear, y = nn.functional.linear, x
    for number, skip in ((0, lambda one: one), (1, lambda one: linear(one, weights["project_1.weight"]))):
        inner = linear(y, weights[f"dense_{number}.weight"], weights[f"dense_{number}.bias"])
        norm = weights[f"norm_{number}.weight"], weights[f"norm_{number}.bias"]
        y = skip(y) + nn.functional.layer_norm(inner, inner.shape[1:], *norm).tanh()
    expected = linear(y, weights["output.weight"], weights["output.bias"])
    torch.testing.assert_close(outputs(network, x.numpy()), expected, rtol=1e-4, atol=1e-5)


def test_a_residual_stage_pools_and_projects_what_came_in():
    network, weights = make(
        {
            "architecture": "cnn",
            "input_shape": [2, 8, 9],
            "output_dim": 3,
            "hidden_dims": [2, 4],
            "residual": True,
        }
    )
    x = torch.from_numpy(NUMBERS.normal(size=(4, 2, 8, 9)).astype(np.float32))
    pool = nn.functional.max_pool2d
    y = pool(x, 2) + pool(conv(weights, "conv_0", x, padding=1), 2).relu()
    y = conv(weights, "project_1", pool(y, 2)) + pool(conv(weights, "conv_1", y, padding=1), 2).relu()
    expected = nn.functional.linear(y.mean((2, 3)), weights["output.weight"], weights["output.bias"])
    torch.testing.assert_close(outputs(network, x.numpy()), expected, rtol=1e-4, atol=1e-5)


def test_layer_normalisation_is_over_the_channels_of_each_position():
    network, weights = make(
        {
            "architecture": "cnn",
            "input_shape": [2, 5],
            "output_dim": 3,
            "hidden_dims": [4],
            "normalization": "layer",
            "activation": "identity",
        }
    )
    x = NUMBERS.normal(size=(4, 2, 5)).astype(np.float32)
    inner = nn.functional.conv1d(
        torch.from_numpy(x), weights["conv_0.weight"], weights["conv_0.bias"], padding=1
    ).numpy()
    mean, var = inner.mean(1, keepdims=True), inner.var(1, keepdims=True)
    scale, shift = (weights[f"norm_0.{kind}"].numpy()[:, None] for kind in ("weight", "bias"))
    normed = (inner - mean) / np.sqrt(var + 1e-5) * scale + shift
    pooled = normed[:, :, :4].reshape(4, 4, 2, 2).max(3).mean(2)
    expected = pooled @ weights["output.weight"].numpy().T + weights["output.bias"].numpy()
    np.testing.assert_allclose(outputs(network, x), expected, rtol=1e-4, atol=1e-5)


def test_a_ragged_record_is_the_record_without_its_padding():
    ragged = {"architecture": "cnn", "hidden_dims": [4], "output_dim": 3, "activation": "sigmoid"}
    masked, weights = make({**ragged, "input_shape": [3, 10], "ragged": True})
    x = np.zeros((1, 3, 10), dtype=np.float32)
    x[0, :2, :6] = NUMBERS.normal(size=(2, 6))
    x[0, 2, :6] = 1.0
    plain = Network(
        make_blueprint({**ragged, "input_shape": [2, 6]}), {k: v.numpy() for k, v in weights.items()}
    )
    torch.testing.assert_close(outputs(masked, x), outputs(plain, x[:, :2, :6]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", [None, "triplet", "reconstruction"])
def test_an_embedding_has_unit_length_unless_it_is_rebuilt(loss):
    from trainwright.models.assemble import build_blueprint
    from trainwright.spec.model import ModelSpec

    spec = ModelSpec(architecture="mlp", input_shape=[5], task_type="embedding", hidden_dims=[8])
    blueprint = build_blueprint(spec, loss=loss)
    x = NUMBERS.normal(size=(6, 5)).astype(np.float32)
    lengths = outputs(Network(blueprint, blueprint.initial(0)), x).norm(dim=1)
    assert blueprint.output_shape == (16,)
    assert torch.allclose(lengths, torch.ones(6), atol=1e-6) == (loss != "reconstruction")


def test_nothing_in_an_embedding_is_divided_by_zero():
    from trainwright.backends.torch.layers import make_step
    from trainwright.models.blueprint import Layer

    x = torch.zeros(2, 3, requires_grad=True)
    unit = make_step(Layer("unit", "unit"), {})(x, True, {})
    (gradient,) = torch.autograd.grad(unit.sum(), x)
    assert not unit.any() and torch.isfinite(gradient).all()
