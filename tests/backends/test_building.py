"""Models as plain modules of their framework."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from trainwright.base.errors import BackendError
from trainwright.building import build_model, count_parameters
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec

SPEC = ModelSpec(
    architecture="mlp", input_dim=3, output_dim=2, hidden_dims=[8], normalization="batch", dropout=0.5
)
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def test_a_torch_module_has_the_neutral_names_and_the_initial_values_of_its_seed():
    state = build_model(SPEC, seed=4).state_dict()
    initial = build_blueprint(SPEC).initial(4)

    assert sorted(state) == sorted(initial)
    for name, array in initial.items():
        np.testing.assert_array_equal(state[name], array)


def test_what_is_trained_is_a_parameter_and_what_is_counted():
    for spec in (SPEC, ModelSpec(architecture="transformer", input_dim=5, output_dim=1)):
        module = build_model(spec)
        counted = sum(parameter.numel() for parameter in module.parameters())
        assert count_parameters(spec) == count_parameters(module) == counted


def test_a_torch_module_trains_like_any_other():
    module = build_model(SPEC)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    x, y = torch.from_numpy(X), torch.from_numpy(X[:, :2])
    losses = []
    for _ in range(60):
        loss = (module(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    module.eval()
    assert (module(x) - y).square().mean() < 0.3 * losses[0]
    assert module.get_buffer("norm_0.running_mean").abs().max() > 0


def test_dropout_follows_the_mode_and_moves_with_each_step():
    x = torch.from_numpy(X)
    module = build_model(SPEC)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    assert torch.equal(build_model(SPEC)(x), first) and not torch.equal(build_model(SPEC, seed=1)(x), first)
    module.eval()
    assert torch.equal(module(x), module(x))


def test_a_copy_is_a_module_of_its_own():
    x = torch.from_numpy(X)
    module = build_model(SPEC).eval()
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.get_parameter("output.bias").add_(1.0)
    torch.testing.assert_close(other(x), module(x) + 1.0)
    assert other.double()(x.double()).dtype == torch.float64


def test_both_backends_build_the_same_function():
    pytest.importorskip("equinox")
    import jax.numpy as jnp

    module = build_model(SPEC, seed=2).eval()
    other = build_model(SPEC, backend="equinox", seed=2)
    outputs, _ = other(jnp.asarray(X))
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach(), outputs, rtol=1e-5, atol=1e-6)
    assert count_parameters(other) == count_parameters(SPEC)


def test_a_backend_that_is_not_there_is_named_with_the_known_ones():
    known = (
        "'equinox' or 'keras' or 'keras-jax' or 'keras-tensorflow' or 'keras-torch' or 'lightning' or 'torch'"
    )
    with pytest.raises(BackendError, match=f"'jaxx'; write {known}"):
        build_model(SPEC, backend="jaxx")
