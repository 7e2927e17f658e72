"""Divergences of distributions, judged by torch's formulas and by integrals."""

import numpy as np
import pytest
from scipy import integrate, stats

from trainwright.base.errors import DataError
from trainwright.validation.divergence import kl_terms
from trainwright.validation.families import family_of

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
SHAPE = (6, 2)
CENTRE, SCALE = RNG.normal(size=SHAPE), RNG.uniform(0.3, 2.0, SHAPE)
OTHER, WIDER = CENTRE + RNG.normal(size=SHAPE), RNG.uniform(0.5, 3.0, SHAPE)
DF = np.full(SHAPE, 5.0)


def mixture_of(shares, means, scales):
    mixing = np.tile(shares, (len(means), 1))
    centre = (mixing[:, :, None] * means).sum(1)
    return family_of({"y": centre, "mixing": mixing, "means": means, "variances": scales**2})


@pytest.mark.parametrize(
    ("theirs", "spread", "size"),
    [(torch.distributions.Normal, "variance", 2), (torch.distributions.Laplace, "scale", 1)],
)
def test_the_formulas_are_those_of_torch(theirs, spread, size):
    known = family_of({"y": CENTRE, spread: SCALE**size})
    found = family_of({"y": OTHER, spread: WIDER**size})
    tensors = [torch.from_numpy(one) for one in (CENTRE, SCALE, OTHER, WIDER)]
    exact = torch.distributions.kl_divergence(theirs(*tensors[:2]), theirs(*tensors[2:])).mean(1)
    np.testing.assert_allclose(kl_terms(known, found), exact, rtol=1e-10)
    np.testing.assert_allclose(kl_terms(known, known), 0.0, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_draws_come_near_the_integral_of_the_definition(seed):
    """From a normal distribution to Student's t, which has no formula."""
    known, found = (
        family_of({"y": CENTRE, "variance": SCALE**2}),
        family_of({"y": OTHER, "scale": WIDER, "df": DF}),
    )
    exact = np.zeros(SHAPE)
    for place in np.ndindex(SHAPE):
        p = stats.norm(CENTRE[place], SCALE[place])
        q = stats.t(5.0, OTHER[place], WIDER[place])
        ends = CENTRE[place] - 12 * SCALE[place], CENTRE[place] + 12 * SCALE[place]
        exact[place] = integrate.quad(lambda x, p=p, q=q: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), *ends)[0]
    few, many = (kl_terms(known, found, draws=count, seed=seed) for count in (100, 20_000))
    np.testing.assert_allclose(many, exact.mean(1), atol=0.03)
    assert np.abs(many - exact.mean(1)).sum() < np.abs(few - exact.mean(1)).sum()
    np.testing.assert_array_equal(few, kl_terms(known, found, draws=100, seed=seed))


def test_a_mixture_is_compared_by_all_its_targets_together():
    """Both have the same marginals; only one knows that its targets go together."""
    together = np.array([[[-3.0, -3.0], [3.0, 3.0]]])
    every = np.array([[[-3.0, -3.0], [-3.0, 3.0], [3.0, -3.0], [3.0, 3.0]]])
    known = mixture_of([0.5, 0.5], together, np.ones((1, 2, 2)))
    found = mixture_of([0.25] * 4, every, np.ones((1, 4, 2)))
    # log p - log q is log(1/2) - log(1/4) where p has its mass, over two targets.
    assert kl_terms(known, found)[0] == pytest.approx(np.log(2) / 2, abs=0.01)
    np.testing.assert_array_equal(kl_terms(known, known), 0.0)


def test_what_is_no_distribution_has_no_divergence():
    known, found = family_of({"y": CENTRE, "variance": SCALE**2}), family_of({"y": OTHER, "variance": -SCALE})
    assert np.isnan(kl_terms(known, found)).all()
    with pytest.raises(DataError, match="have no divergence"):
        kl_terms(known, family_of({"y": OTHER[:, :1], "variance": SCALE[:, :1]}))
