import numpy as np
import pytest
from scipy.special import log1p, softmax

from trainwright.models.heads import count_outputs, decode

RAW = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def test_a_point_is_the_raw_output():
    found = decode("point", RAW)
    assert list(found) == ["y"] and found["y"] is RAW


@pytest.mark.parametrize("space", [(), (4,), (2, 3)])
def test_means_come_first_and_the_spread_is_a_softplus(space):
    raw = np.random.default_rng(1).normal(size=(5, 6, *space))
    found = decode("mean_variance", raw)
    np.testing.assert_array_equal(found["y"], raw[:, :3])
    np.testing.assert_allclose(found["variance"], log1p(np.exp(raw[:, 3:])) + 1e-6, rtol=1e-12)


def test_a_variance_is_finite_and_above_its_least_value_for_any_spread():
    raw = np.array([[0.0, -1e4], [0.0, 1e4]], dtype=np.float32)
    variance = decode("mean_variance", raw)["variance"]
    assert variance.dtype == np.float32
    np.testing.assert_allclose(variance[:, 0], [1e-6, 1e4], rtol=1e-6)


@pytest.mark.parametrize("space", [(), (4,)])
def test_quantiles_never_cross_and_the_median_is_the_prediction(space):
    raw = np.random.default_rng(2).normal(size=(50, 6, *space))
    found = decode("quantiles", raw, quantiles=[0.1, 0.5, 0.9])
    assert found["quantiles"].shape == (50, 3, 2, *space)
    assert (np.diff(found["quantiles"], axis=1) >= 0).all()
    np.testing.assert_array_equal(found["y"], np.median(raw.reshape(50, 3, 2, *space), axis=1))


def test_outputs_are_level_major():
    found = decode("quantiles", np.array([[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]), quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_array_equal(found["quantiles"][0, :, 1], [10.0, 20.0, 30.0])


def test_nan_stays_nan():
    raw = np.full((1, 6), np.nan, dtype=np.float32)
    for head in ("point", "mean_variance", "laplace", "student_t", "quantiles", "mixture"):
        found = decode(head, raw, quantiles=[0.1, 0.5, 0.9], components=2)
        assert all(np.isnan(array).all() for array in found.values())


@pytest.mark.parametrize("space", [(), (4,)])
def test_a_distribution_has_its_parts_one_after_another(space):
    raw = np.random.default_rng(1).normal(size=(5, 6, *space))
    found = decode("laplace", raw)
    assert list(found) == ["y", "scale"]
    np.testing.assert_array_equal(found["y"], raw[:, :3])
    np.testing.assert_allclose(found["scale"], log1p(np.exp(raw[:, 3:])) + 1e-3, rtol=1e-12)
    found = decode("student_t", raw)
    assert list(found) == ["y", "scale", "df"]
    np.testing.assert_array_equal(found["y"], raw[:, :2])
    np.testing.assert_allclose(found["scale"], log1p(np.exp(raw[:, 2:4])) + 1e-3, rtol=1e-12)
    np.testing.assert_allclose(found["df"], log1p(np.exp(raw[:, 4:])) + 2.001, rtol=1e-12)


@pytest.mark.parametrize("space", [(), (4,), (2, 3)])
def test_a_mixture_has_shares_and_the_parts_of_its_components(space):
    raw = np.random.default_rng(1).normal(size=(5, 15, *space))
    found = decode("mixture", raw, components=3)
    np.testing.assert_allclose(found["mixing"], softmax(raw[:, :3], axis=1), rtol=1e-12)
    np.testing.assert_array_equal(found["means"][:, 1], raw[:, 5:7])
    np.testing.assert_allclose(found["variances"][:, 2], log1p(np.exp(raw[:, 13:])) + 1e-6, rtol=1e-12)
    mean = sum(found["mixing"][:, k, None] * found["means"][:, k] for k in range(3))
    np.testing.assert_allclose(found["y"], mean, rtol=1e-12)


def test_the_shares_of_a_mixture_are_finite_for_any_logits():
    raw = np.array([[1e4, -1e4, 0.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    found = decode("mixture", raw, components=2)
    assert found["mixing"].tolist() == [[1.0, 0.0]] and found["mixing"].dtype == np.float32


@pytest.mark.parametrize(
    ("head", "count"),
    [("point", 2), ("mean_variance", 4), ("laplace", 4), ("student_t", 6), ("quantiles", 6), ("mixture", 10)],
)
def test_a_head_has_as_many_outputs_as_it_decodes(head, count):
    said = {"quantiles": [0.1, 0.5, 0.9], "components": 2}
    assert count_outputs(head, 2, **said) == count
    assert decode(head, np.tile(RAW, 2)[:, :count], **said)["y"].shape == (5, 2)


@pytest.mark.parametrize(
    ("head", "raw", "levels"),
    [
        ("median", RAW, None),
        ("quantiles", RAW, None),
        ("quantiles", RAW[:, :5], [0.1, 0.5, 0.9]),
        ("mean_variance", RAW[:, :5], None),
        ("laplace", RAW[:, :5], None),
        ("student_t", RAW[:, :5], None),
    ],
)
def test_what_is_no_head_or_does_not_divide_is_an_error(head, raw, levels):
    with pytest.raises(ValueError, match=r"head|divide|pairs|triples"):
        decode(head, raw, quantiles=levels)


@pytest.mark.parametrize(("count", "components"), [(7, 3), (8, 2), (2, 2), (6, None), (6, 0)])
def test_outputs_that_are_no_components_are_an_error(count, components):
    with pytest.raises(ValueError, match=r"head|divide"):
        decode("mixture", np.tile(RAW, 2)[:, :count], components=components)


def test_a_lost_quantile_loses_the_median():
    found = decode("quantiles", np.array([[np.nan, 1.0, 2.0]]), quantiles=[0.1, 0.5, 0.9])
    assert np.isnan(found["y"]).all() and np.isnan(found["quantiles"]).all()
