"""What several models say together, against SciPy and against what each says alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special, stats

from trainwright.base.errors import DataError
from trainwright.data.inputs import InputSchema
from trainwright.ensemble_op import EnsembleOp
from trainwright.model_op import ModelOp
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.ops.operator import Sequential
from trainwright.ops.scaling import Standardize
from trainwright.validation.families import family_of

RNG = np.random.default_rng(3)
MEMBERS, RECORDS = 4, 6


class Fake(ModelOp):
    """A model whose network makes given outputs."""

    def __init__(self, outputs, *, task, targets=None, target="y", head="point", levels=None, features="x"):
        self.told = outputs
        self.version = None
        self.schema = InputSchema(features, (2,), target, task)
        self.preparation = SimpleNamespace(targets=targets or Sequential())
        self.description = {"model": {"head": head, "quantiles": levels}}

    def outputs(self, x, *, batch_size=None):
        return self.told

    def unseen(self, x):
        return self.told


def ensemble(outputs, **options):
    return EnsembleOp([Fake(one, **options) for one in outputs])


def test_classes_are_chosen_by_the_mean_probability():
    labels = Labels(values=("maybe", "no", "yes"))
    logits = RNG.normal(0, 3, size=(MEMBERS, RECORDS, 3))
    op = ensemble([{"logits": one} for one in logits], task="classification", targets=labels)
    mean = special.softmax(logits, axis=2).mean(0)
    assert op(None).tolist() == [op.classes[one] for one in mean.argmax(1)]
    columns = op.columns(None)
    assert list(columns) == ["y", "p(maybe)", "p(no)", "p(yes)", "y.disagreement"]
    np.testing.assert_allclose([columns[f"p({one})"] for one in op.classes], mean.T, rtol=1e-6)
    apart = stats.entropy(mean, axis=1) - stats.entropy(special.softmax(logits, axis=2), axis=2).mean(0)
    np.testing.assert_allclose(columns["y.disagreement"], apart, rtol=1e-9)


def test_the_variance_of_a_class_is_that_of_its_indicator_and_falls_into_two_parts():
    """The law of total variance: what is not aleatoric is the variance of the members' probabilities."""
    logits = RNG.normal(0, 2, size=(MEMBERS, RECORDS, 3, 2))  # of two places
    found = ensemble([{"logits": one} for one in logits], task="segmentation").uncertainty(None)
    chances = special.softmax(logits, axis=2)
    np.testing.assert_allclose(found["mean"], chances.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["variance"], chances.mean(0) * (1 - chances.mean(0)), rtol=1e-9)
    np.testing.assert_allclose(found["variance"] - found["aleatoric"], chances.var(0), atol=1e-12)
    assert found["disagreement"].shape == (RECORDS, 2)


def test_each_label_is_averaged_by_itself():
    logits = RNG.normal(0, 2, size=(MEMBERS, RECORDS, 2))
    options = {"task": "multi_label", "targets": MultiLabels(names=("a", "b")), "target": ["a", "b"]}
    op = ensemble([{"logits": one} for one in logits], **options)
    mean = special.expit(logits).mean(0)
    assert (op(None) == (mean > 0.5)).all()
    columns = op.columns(None)
    assert list(columns) == ["a", "b", "p(a)", "p(b)", "a.disagreement", "b.disagreement"]
    np.testing.assert_allclose(columns["p(b)"], mean[:, 1], rtol=1e-6)
    np.testing.assert_allclose(op.uncertainty(None)["mean"], mean, rtol=1e-12)


def scaled(slope, shift):
    """Gives what each fold has: a scale of its own, fitted to its own train split."""
    return Standardize(mean=np.array([shift]), std=np.array([slope]))


def values(head, **spread):
    """Gives members with scales of their own, and what they say in the unit of the data."""
    y = RNG.normal(size=(MEMBERS, RECORDS, 1))
    slopes, shifts = RNG.uniform(2, 3, MEMBERS), RNG.normal(10, 1, MEMBERS)
    members = [
        Fake(
            {"y": y[one], **{name: part[one] for name, part in spread.items()}},
            task="regression",
            targets=scaled(slopes[one], shifts[one]),
            head=head,
        )
        for one in range(MEMBERS)
    ]
    slopes = slopes[:, None, None]
    return EnsembleOp(members), slopes * y + shifts[:, None, None], slopes


SIZES = RNG.uniform(0.5, 1.5, size=(MEMBERS, RECORDS, 1))
FREEDOM = RNG.uniform(3, 9, size=(MEMBERS, RECORDS, 1))


def test_mixtures_stay_the_mixture_of_all_their_components():
    """The density of the whole is the mean of the members' densities, by SciPy."""
    mixing = RNG.dirichlet(np.ones(3), size=(MEMBERS, RECORDS))
    means, variances = RNG.normal(size=(2, MEMBERS, RECORDS, 3, 1))
    variances = np.exp(variances)
    members = [
        {"y": (p[:, :, None] * m).sum(1), "mixing": p, "means": m, "variances": v}
        for p, m, v in zip(mixing, means, variances, strict=True)
    ]
    op = ensemble(members, task="regression", head="mixture")
    told = op.outputs(None)
    assert op.spread(told).keys() == {"mixing", "means", "variances"}
    family = family_of({"y": op(None), **op.spread(told)})
    y = RNG.normal(size=(RECORDS, 1))
    each = (mixing[..., None] * stats.norm.pdf(y[:, None], means, np.sqrt(variances))).sum(2)
    np.testing.assert_allclose(family.nll_terms(y), -np.log(each.mean(0)[:, 0]), rtol=1e-10)
    np.testing.assert_allclose(np.square(family.std()), told["variance"], rtol=1e-10)


@pytest.mark.parametrize(
    ("head", "spread", "variance"),
    [
        ("mean_variance", {"variance": SIZES}, SIZES),
        ("laplace", {"scale": SIZES}, stats.laplace.var(scale=SIZES)),
        ("student_t", {"scale": SIZES, "df": FREEDOM}, stats.t.var(FREEDOM, scale=SIZES)),
    ],
)
def test_distributions_are_a_mixture_in_the_unit_of_the_data(head, spread, variance):
    op, means, slopes = values(head, **spread)
    own = slopes**2 * variance
    found = op.uncertainty(None)
    np.testing.assert_allclose(found["mean"], means.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["aleatoric"], own.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["disagreement"], means.var(0), rtol=1e-5)
    # Lakshminarayanan et al. 2017, section 2.4
    whole = (own + means**2).mean(0) - means.mean(0) ** 2
    np.testing.assert_allclose(found["variance"], whole, rtol=1e-5)
    columns = op.columns(None)
    assert list(columns) == ["y", "y.std", "y.disagreement"]
    np.testing.assert_allclose(columns["y.std"] ** 2, whole[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(op(None), found["mean"])


def test_of_points_the_variance_is_that_of_their_means_and_no_distribution_is_scored():
    op, means, _ = values("point")
    found = op.uncertainty(None)
    np.testing.assert_allclose(found["variance"], means.var(0), rtol=1e-5)
    assert set(found) == {"mean", "variance", "disagreement"}
    assert op.spread(op.outputs(None)) == {} and list(op.columns(None)) == ["y", "y.disagreement"]


def test_quantiles_are_averaged_level_by_level():
    quantiles = np.sort(RNG.normal(size=(MEMBERS, RECORDS, 2, 1)), axis=2)
    members = [
        Fake({"y": one[:, 0], "quantiles": one}, task="regression", head="quantiles", levels=[0.1, 0.9])
        for one in quantiles
    ]
    op = EnsembleOp(members)
    columns = op.columns(None)
    assert list(columns) == ["y", "y.q0.1", "y.q0.9", "y.disagreement"]
    np.testing.assert_allclose(columns["y.q0.9"], quantiles[:, :, 1, 0].mean(0))
    assert set(op.uncertainty(None)) == {"mean", "disagreement"}


def test_several_targets_have_a_disagreement_each():
    y = RNG.normal(size=(MEMBERS, RECORDS, 2))
    op = ensemble([{"y": one} for one in y], task="regression", target=["a", "b"])
    columns = op.columns(None)
    assert list(columns) == ["a", "b", "a.disagreement", "b.disagreement"]
    np.testing.assert_allclose(columns["b.disagreement"], y[:, :, 1].var(0))


def test_unseen_categories_are_those_of_any_member():
    assert ensemble([{"city": 2}, {}, {"city": 1, "job": 4}], task="regression").unseen(None) == {
        "city": 2,
        "job": 4,
    }


def test_a_column_that_would_hide_another_is_refused():
    op = ensemble([{"y": np.zeros((1, 2))}], task="regression", target=["a", "a.disagreement"])
    with pytest.raises(DataError, match=r"would be called 'a\.disagreement'"):
        op.columns(None)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"task": "classification"}, "their task are regression and classification"),
        ({"target": "z"}, r"their targets are \['y'\] and \['z'\]"),
        ({"features": "z"}, "their features are x and z"),
        ({"head": "laplace"}, "their head are point and laplace"),
    ],
)
def test_models_of_different_things_do_not_go_together(other, text):
    first, second = (Fake({}, **{"task": "regression", **more}) for more in ({}, other))
    with pytest.raises(DataError, match=text):
        EnsembleOp([first, second])


def test_other_classes_do_not_go_together():
    one, other = (
        Fake({}, task="classification", targets=Labels(values=names)) for names in (("a", "b"), ("a", "c"))
    )
    with pytest.raises(DataError, match="their classes are"):
        EnsembleOp([one, other])


def test_embeddings_and_nothing_are_no_ensemble():
    with pytest.raises(DataError, match="different spaces"):
        ensemble([{}], task="embedding")
    with pytest.raises(DataError, match="needs members"):
        EnsembleOp([])


def test_the_distribution_is_the_exact_mixture_of_normal_members():
    """Against the densities of SciPy; the targets of a record come from one member together."""
    means, variances = (
        RNG.normal(0, 3, (MEMBERS, RECORDS, 2)),
        RNG.exponential(1, (MEMBERS, RECORDS, 2)) + 0.1,
    )
    scale = Standardize(mean=np.array([5.0, 1.0]), std=np.array([2.0, 3.0]))
    told = [{"y": one, "variance": other} for one, other in zip(means, variances, strict=True)]
    op = ensemble(told, task="regression", targets=scale, head="mean_variance", target=["a", "b"])
    found, y = op.distribution(None), RNG.normal(5, 6, (RECORDS, 2))
    normals = stats.norm(means * [2, 3] + [5, 1], np.sqrt(variances) * [2, 3])
    likelihood = normals.pdf(y).prod(axis=2).mean(axis=0)
    np.testing.assert_allclose(found.nll_terms(y), -np.log(likelihood) / 2, rtol=1e-6)
    for level in (0.1, 0.5, 0.95):
        np.testing.assert_allclose(normals.cdf(found.quantile(level)).mean(axis=0), level, atol=1e-6)
    outputs = op.outputs(None)
    np.testing.assert_allclose(found.centre, outputs["y"], rtol=1e-6)
    np.testing.assert_allclose(found.std() ** 2, outputs["variance"], rtol=1e-6)


def test_the_distribution_of_mixtures_has_all_their_components():
    shape = (MEMBERS, RECORDS, 3, 1)
    shares, means = RNG.dirichlet(np.ones(3), (MEMBERS, RECORDS)), RNG.normal(0, 2, shape)
    told = [
        {
            "y": (one[..., None] * mean).sum(axis=1),
            "mixing": one,
            "means": mean,
            "variances": np.ones(shape[1:]),
        }
        for one, mean in zip(shares, means, strict=True)
    ]
    found, y = (
        ensemble(told, task="regression", head="mixture").distribution(None),
        RNG.normal(size=(RECORDS, 1)),
    )
    likelihood = (shares * stats.norm.pdf(y[None, :, :], means[..., 0])).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(found.nll_terms(y), -np.log(likelihood), rtol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"scale": np.ones((RECORDS, 1))}, r"of a Laplace distribution no mixture .* one in model\.members"),
        ({}, "predicts no distribution; train one with model.head"),
    ],
)
def test_a_distribution_that_no_class_holds_is_refused_with_what_to_use(outputs, message):
    told = [{"y": np.full((RECORDS, 1), float(number)), **outputs} for number in range(2)]
    with pytest.raises(DataError, match=message):
        ensemble(told, task="regression").distribution(None)
