import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from trainwright.base.errors import DataError
from trainwright.validation import contrastive as ours

RNG = np.random.default_rng(16)
Z = RNG.normal(size=(50, 5))
Z = (Z / np.linalg.norm(Z, axis=1, keepdims=True)).astype(np.float32)
Y = RNG.integers(0, 6, size=50)
Y[7] = 99  # alone in its class
WEIGHT = RNG.exponential(size=50)


def khosla(z, y, temperature):
    """Equation 2 of the paper, one anchor after another; None for an anchor without a partner."""
    for i in range(len(y)):
        others = [a for a in range(len(y)) if a != i]
        whole = logsumexp([z[i] @ z[a] / temperature for a in others])
        partners = [a for a in others if y[a] == y[i]]
        yield np.mean([whole - z[i] @ z[p] / temperature for p in partners]) if partners else None


def hermans(z, y, margin):
    far = torch.cdist(torch.from_numpy(z), torch.from_numpy(z)).numpy()
    for i in range(len(y)):
        same = [far[i, j] for j in range(len(y)) if j != i and y[j] == y[i]]
        other = [far[i, j] for j in range(len(y)) if y[j] != y[i]]
        yield max(0.0, margin + max(same) - min(other)) if same and other else None


def mean_of(terms, weight):
    pairs = [(one, w) for one, w in zip(terms, weight, strict=True) if one is not None]
    return np.average([one for one, _ in pairs], weights=[w for _, w in pairs])


CASES = [
    (ours.supervised_contrastive, khosla, "temperature", 0.1),
    (ours.supervised_contrastive, khosla, "temperature", 0.7),
    (ours.triplet, hermans, "margin", 0.2),
    (ours.triplet, hermans, "margin", 1.5),
]


@pytest.mark.parametrize(("score", "terms", "option", "value"), CASES)
@pytest.mark.parametrize("batch", [256, 16])
def test_losses_agree_with_one_anchor_after_another(score, terms, option, value, batch):
    z = Z.astype(np.float64)
    expected = [
        one
        for begin in range(0, 50, batch)
        for one in terms(z[begin : begin + batch], Y[begin : begin + batch], value)
    ]
    found = score(Z, Y, batch=batch, weight=WEIGHT, **{option: value})
    assert found == pytest.approx(mean_of(expected, WEIGHT), rel=1e-5)


def test_the_defaults_are_those_of_the_training():
    assert ours.supervised_contrastive(Z, Y) == ours.supervised_contrastive(Z, Y, temperature=0.1, batch=256)
    assert ours.triplet(Z, Y) == ours.triplet(Z, Y, margin=0.2, batch=256)


@pytest.mark.parametrize("score", [ours.supervised_contrastive, ours.triplet])
def test_without_partners_there_is_no_loss(score):
    assert np.isnan(score(Z, np.arange(50)))
    assert np.isnan(score(Z[:1], Y[:1]))


@pytest.mark.parametrize("score", [ours.supervised_contrastive, ours.triplet])
def test_nan_comes_out_of_nan(score):
    broken = Z.copy()
    broken[3, 0] = np.nan
    assert np.isnan(score(broken, Y))


@pytest.mark.parametrize("score", [ours.supervised_contrastive, ours.triplet])
def test_what_does_not_belong_together_is_refused(score):
    with pytest.raises(DataError, match="do not belong"):
        score(Z, Y[1:])
    with pytest.raises(ValueError, match="batch"):
        score(Z, Y, batch=1)
