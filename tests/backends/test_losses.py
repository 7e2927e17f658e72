"""Losses, judged by their formulas, by scikit-learn and by SciPy, on both backends alike."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import cdist
from sklearn import metrics

torch = pytest.importorskip("torch")
pytest.importorskip("equinox")

import jax
import jax.numpy as jnp
import optax

from trainwright.backends.equinox import loss as equinox_loss
from trainwright.backends.torch import loss as torch_loss
from trainwright.base.errors import BackendError, SpecError
from trainwright.models.objective import Objective
from trainwright.models.task import ModelTask
from trainwright.spec.train import TrainSpec

LEVELS = (0.1, 0.5, 0.9)
N = 7
numbers = np.random.default_rng(0)
WEIGHT = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.25, 1.5], dtype=np.float32)
CLASS_WEIGHTS = [0.5, 2.0, 1.0]


def draw(*shape):
    return numbers.normal(size=shape).astype(np.float32)


def log_softmax(logits):
    return logits - special.logsumexp(logits, axis=1, keepdims=True)


# What each loss is, in float64, by another way than ours: (outputs, x, y, weight) -> number.


def cross_entropy(outputs, x, y, weight):
    return metrics.log_loss(y, special.softmax(outputs, 1), sample_weight=weight, labels=range(3))


def soft_cross_entropy(outputs, x, y, weight, *, smoothing, class_weights=(1.0, 1.0, 1.0)):
    # The target is the smoothed distribution; each class counts as much as it weighs.
    wanted = (1 - smoothing) * np.eye(3)[y] + smoothing / 3
    each = -(wanted * np.array(class_weights) * log_softmax(outputs)).sum(1)
    return (each * weight).sum() / (weight * np.array(class_weights)[y]).sum()


def pixel_cross_entropy(outputs, x, y, weight, *, class_weights=(1.0, 1.0, 1.0)):
    total, mass = 0.0, 0.0
    for record in range(len(y)):
        for place in np.ndindex(y.shape[1:]):
            kind = y[(record, *place)]
            importance = weight[record] * class_weights[kind]
            total -= importance * log_softmax(outputs[record][(slice(None), *place)][None])[0, kind]
            mass += importance
    return total / mass


def binary_cross_entropy(outputs, x, y, weight, *, positive=(1.0, 1.0)):
    chance = special.expit(outputs)
    by_label = [
        -(weight * np.where(y[:, k] == 1, positive[k] * np.log(chance[:, k]), np.log1p(-chance[:, k]))).sum()
        for k in range(2)
    ]
    return np.mean(by_label) / weight.sum()


def of_shares(outputs, x, y, weight, *, smoothing=0.0, class_weights=(1.0, 1.0, 1.0)):
    # A record is one of each class: each has the loss of that class, and weighs its share.
    found = mass = 0.0
    for kind in range(3):
        one = np.full(N, kind)
        shares = weight * y[:, kind] * class_weights[kind]
        wanted = (1 - smoothing) * np.eye(3)[one] + smoothing / 3
        each = -(wanted * np.array(class_weights) * log_softmax(outputs)).sum(1) / class_weights[kind]
        found, mass = found + (shares * each).sum(), mass + shares.sum()
    return found / mass


def divergence(outputs, x, y, weight, *, temperature=1.0):
    powers = y ** (1 / temperature)
    wanted, said = powers / powers.sum(1, keepdims=True), special.softmax(outputs / temperature, 1)
    return temperature**2 * np.average(stats.entropy(wanted, said, axis=1), weights=weight)


def focal(outputs, x, y, weight, *, gamma, class_weights=(1.0, 1.0, 1.0)):
    chance = np.take_along_axis(special.softmax(outputs, 1), y[:, None], 1)[:, 0]
    importance = np.array(class_weights)[y]
    each = importance * (1 - chance) ** gamma * -np.log(chance)
    by_record = lambda values: values.reshape(N, -1).mean(1)  # noqa: E731
    return (by_record(each) * weight).sum() / (by_record(importance) * weight).sum()


def binary_focal(outputs, x, y, weight, *, gamma, alpha):
    theirs = optax.losses.sigmoid_focal_loss(outputs.astype(np.float32), y, alpha=alpha, gamma=gamma)
    return np.average(np.asarray(theirs, dtype=float).mean(1), weights=weight)


def by_sklearn(score, outputs, x, y, weight):
    return score(y.reshape(N, -1), outputs.reshape(N, -1), sample_weight=weight)


def huber(outputs, x, y, weight, *, delta):
    return np.average(special.huber(delta, outputs - y).mean(1), weights=weight)


def gaussian_nll(outputs, x, y, weight):
    scale = np.sqrt(np.log1p(np.exp(outputs[:, 2:])) + 1e-6)
    return np.average(-stats.norm.logpdf(y, outputs[:, :2], scale).mean(1), weights=weight)


def soften(raw, least):
    return np.log1p(np.exp(raw)) + least


def laplace_nll(outputs, x, y, weight):
    each = -stats.laplace.logpdf(y, outputs[:, :2], soften(outputs[:, 2:], 1e-3))
    return np.average(each.mean(1), weights=weight)


def student_t_nll(outputs, x, y, weight):
    scale, df = soften(outputs[:, 2:4], 1e-3), soften(outputs[:, 4:], 2.001)
    return np.average(-stats.t.logpdf(y, df, outputs[:, :2], scale).mean(1), weights=weight)


def mixture_nll(outputs, x, y, weight):
    # Each component is one normal distribution of all targets together.
    shares = special.softmax(outputs[:, :3], 1)
    means, raw = np.split(outputs[:, 3:], 2, axis=1)
    found = np.zeros(N)
    for record in range(N):
        density = sum(
            shares[record, k]
            * stats.multivariate_normal.pdf(
                y[record],
                means[record, 2 * k : 2 * k + 2],
                np.diag(soften(raw[record, 2 * k : 2 * k + 2], 1e-6)),
            )
            for k in range(3)
        )
        found[record] = -np.log(density) / 2
    return np.average(found, weights=weight)


def mixture_nll_of_places(outputs, x, y, weight):
    places = [mixture_nll(outputs[..., one], x, y[..., one], weight) for one in range(4)]
    return np.mean(places)


def asymmetric(outputs, x, y, weight, *, steep):
    error = y - outputs
    return np.average(np.where(error > 0, steep * error, -error).mean(1), weights=weight)


def added(outputs, x, y, weight, *, parts):
    return sum(factor * part(outputs, x, y, weight) for part, factor in parts)


def pinball(outputs, x, y, weight):
    parts = np.split(outputs, 3, axis=1)
    return np.mean(
        [
            metrics.mean_pinball_loss(y, part, sample_weight=weight, alpha=level)
            for level, part in zip(LEVELS, parts, strict=True)
        ]
    )


def unit(outputs):
    return outputs / np.linalg.norm(outputs, axis=1, keepdims=True)


def supervised_contrastive(outputs, x, y, weight, *, temperature):
    z, found, mass = unit(outputs), 0.0, 0.0
    for i in range(N):
        positives = [p for p in range(N) if p != i and y[p] == y[i]]
        if positives:
            below = sum(np.exp(z[i] @ z[a] / temperature) for a in range(N) if a != i)
            inner = [np.log(np.exp(z[i] @ z[p] / temperature) / below) for p in positives]
            found, mass = found - weight[i] * np.mean(inner), mass + weight[i]
    return found / mass


def triplet(outputs, x, y, weight, *, margin):
    distance, found, mass = cdist(unit(outputs), unit(outputs)), 0.0, 0.0
    for i in range(N):
        positives = [p for p in range(N) if p != i and y[p] == y[i]]
        negatives = [n for n in range(N) if y[n] != y[i]]
        if positives and negatives:
            each = max(0.0, margin + distance[i][positives].max() - distance[i][negatives].min())
            found, mass = found + weight[i] * each, mass + weight[i]
    return found / mass


def nt_xent(outputs, x, y, weight, *, temperature):
    z, each = unit(outputs), []
    for i in range(2 * N):
        twin = i + 1 if i % 2 == 0 else i - 1
        below = sum(np.exp(z[i] @ z[k] / temperature) for k in range(2 * N) if k != i)
        each.append(-np.log(np.exp(z[i] @ z[twin] / temperature) / below))
    return np.average(np.reshape(each, (N, 2)).mean(1), weights=weight)


CLASSES = np.array([0, 2, 1, 1, 0, 2, 0])
LONELY = np.array([0, 2, 1, 1, 0, 3, 0])  # 2 and 3 are there once: as anchors they have no loss
BITS = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 0], [1, 0], [1, 0]], dtype=np.float32)
later = np.random.default_rng(1)
SHARES = later.dirichlet(np.ones(3), N).astype(np.float32)
SHARES[2] = [0.0, 1.0, 0.0]
OF_MIXTURES = later.normal(size=(N, 2, 4)).astype(np.float32)
PIXELS = numbers.integers(0, 3, size=(N, 2, 4))
ABSOLUTE = partial(by_sklearn, metrics.mean_absolute_error)
SQUARED = partial(by_sklearn, metrics.mean_squared_error)
WEIGHED = {"name": "cross_entropy", "class_weights": CLASS_WEIGHTS}
OWN = "backends.own_losses:Asymmetric"


def composite(*shares):
    return {"name": "composite", "losses": [{"loss": loss, "weight": weight} for loss, weight in shares]}


# loss, shape of the outputs, target, reference, shape of x
CASES = {
    "cross_entropy": ("cross_entropy", (N, 3), CLASSES, cross_entropy),
    "label smoothing": (
        {"name": "cross_entropy", "label_smoothing": 0.2},
        (N, 3),
        CLASSES,
        partial(soft_cross_entropy, smoothing=0.2),
    ),
    "class weights": (
        WEIGHED,
        (N, 3),
        CLASSES,
        partial(soft_cross_entropy, smoothing=0.0, class_weights=CLASS_WEIGHTS),
    ),
    "both": (
        {**WEIGHED, "label_smoothing": 0.2},
        (N, 3),
        CLASSES,
        partial(soft_cross_entropy, smoothing=0.2, class_weights=CLASS_WEIGHTS),
    ),
    "pixels": ("cross_entropy", (N, 3, 2, 4), PIXELS, pixel_cross_entropy),
    "class weights of pixels": (
        WEIGHED,
        (N, 3, 2, 4),
        PIXELS,
        partial(pixel_cross_entropy, class_weights=CLASS_WEIGHTS),
    ),
    "binary_cross_entropy": ("binary_cross_entropy", (N, 2), BITS, binary_cross_entropy),
    "positive weights": (
        {"name": "binary_cross_entropy", "class_weights": [3.0, 0.5]},
        (N, 2),
        BITS,
        partial(binary_cross_entropy, positive=(3.0, 0.5)),
    ),
    "focal": ("focal", (N, 3), CLASSES, partial(focal, gamma=2.0)),
    "focal, another gamma": (
        {"name": "focal", "gamma": 0.5},
        (N, 3),
        CLASSES,
        partial(focal, gamma=0.5),
    ),
    "focal without focus": ({"name": "focal", "gamma": 0.0}, (N, 3), CLASSES, cross_entropy),
    "focal with class weights": (
        {"name": "focal", "gamma": 1.5, "class_weights": CLASS_WEIGHTS},
        (N, 3),
        CLASSES,
        partial(focal, gamma=1.5, class_weights=CLASS_WEIGHTS),
    ),
    "focal of pixels": (
        {"name": "focal", "class_weights": CLASS_WEIGHTS},
        (N, 3, 2, 4),
        PIXELS,
        partial(focal, gamma=2.0, class_weights=CLASS_WEIGHTS),
    ),
    "binary_focal": ("binary_focal", (N, 2), BITS, partial(binary_focal, gamma=2.0, alpha=0.25)),
    "binary_focal with options": (
        {"name": "binary_focal", "gamma": 0.7, "alpha": 0.6},
        (N, 2),
        BITS,
        partial(binary_focal, gamma=0.7, alpha=0.6),
    ),
    "binary_focal without alpha": (
        {"name": "binary_focal", "gamma": 0.0, "alpha": None},
        (N, 2),
        BITS,
        binary_cross_entropy,
    ),
    "laplace_nll": ("laplace_nll", (N, 4), draw(N, 2), laplace_nll),
    "student_t_nll": ("student_t_nll", (N, 6), draw(N, 2), student_t_nll),
    "own": ({"name": "own", "use": OWN}, (N, 2), draw(N, 2), partial(asymmetric, steep=2.0)),
    "own with arguments": (
        {"name": "own", "use": OWN, "args": {"steep": 5.0}},
        (N, 2),
        draw(N, 2),
        partial(asymmetric, steep=5.0),
    ),
    "composite": (
        composite(("mse", 0.7), ({"name": "huber", "delta": 0.3}, 0.2), ({"name": "own", "use": OWN}, 3.0)),
        (N, 2),
        draw(N, 2),
        partial(
            added,
            parts=[(SQUARED, 0.7), (partial(huber, delta=0.3), 0.2), (partial(asymmetric, steep=2.0), 3.0)],
        ),
    ),
    "composite of classes": (
        composite((WEIGHED, 1.0), ({"name": "focal", "class_weights": CLASS_WEIGHTS}, 0.5)),
        (N, 3),
        CLASSES,
        partial(
            added,
            parts=[
                (partial(focal, gamma=0.0, class_weights=CLASS_WEIGHTS), 1.0),
                (partial(focal, gamma=2.0, class_weights=CLASS_WEIGHTS), 0.5),
            ],
        ),
    ),
    "mse": ("mse", (N, 2), draw(N, 2), SQUARED),
    "mse of fields": ("mse", (N, 2, 3, 4), draw(N, 2, 3, 4), SQUARED),
    "mae": ("mae", (N, 2), draw(N, 2), ABSOLUTE),
    "huber": ("huber", (N, 2), draw(N, 2), partial(huber, delta=1.0)),
    "huber with delta": ({"name": "huber", "delta": 0.3}, (N, 2), draw(N, 2), partial(huber, delta=0.3)),
    "gaussian_nll": ("gaussian_nll", (N, 4), draw(N, 2), gaussian_nll),
    "quantile": ("quantile", (N, 6), draw(N, 2), pinball),
    "supervised_contrastive": (
        "supervised_contrastive",
        (N, 3),
        LONELY,
        partial(supervised_contrastive, temperature=0.1),
    ),
    "another temperature": (
        {"name": "supervised_contrastive", "temperature": 0.7},
        (N, 3),
        LONELY,
        partial(supervised_contrastive, temperature=0.7),
    ),
    "triplet": ("triplet", (N, 3), LONELY, partial(triplet, margin=0.2)),
    "another margin": ({"name": "triplet", "margin": 1.5}, (N, 3), LONELY, partial(triplet, margin=1.5)),
    "reconstruction": ("reconstruction", (N, 12), CLASSES, lambda o, x, y, w: SQUARED(o, x, x, w)),
    "nt_xent": ("nt_xent", (2 * N, 3), CLASSES, partial(nt_xent, temperature=0.5)),
    "nt_xent, another temperature": (
        {"name": "nt_xent", "temperature": 0.2},
        (2 * N, 3),
        CLASSES,
        partial(nt_xent, temperature=0.2),
    ),
    "shares": ("cross_entropy", (N, 3), SHARES, of_shares),
    "shares with class weights": (WEIGHED, (N, 3), SHARES, partial(of_shares, class_weights=CLASS_WEIGHTS)),
    "smoothed shares": (
        {"name": "cross_entropy", "label_smoothing": 0.2},
        (N, 3),
        SHARES,
        partial(of_shares, smoothing=0.2),
    ),
    "kl": ("kl", (N, 3), SHARES, divergence),
    "kl, warm": ({"name": "kl", "temperature": 4.0}, (N, 3), SHARES, partial(divergence, temperature=4.0)),
    "kl, cold": ({"name": "kl", "temperature": 0.5}, (N, 3), SHARES, partial(divergence, temperature=0.5)),
    "composite of shares": (
        composite(("cross_entropy", 0.5), ({"name": "kl", "temperature": 2.0}, 3.0)),
        (N, 3),
        SHARES,
        partial(added, parts=[(of_shares, 0.5), (partial(divergence, temperature=2.0), 3.0)]),
    ),
    "mixture_nll": ("mixture_nll", (N, 15), OF_MIXTURES[..., 0].copy(), mixture_nll),
    "mixture_nll of places": ("mixture_nll", (N, 15, 4), OF_MIXTURES, mixture_nll_of_places),
}
X = draw(N, 2, 6)
OUTPUTS = {name: draw(*case[1]) for name, case in CASES.items()}


def task_of(loss, shape=(3,)):
    plan = SimpleNamespace(output_shape=shape)
    return ModelTask(plan, TrainSpec.model_validate({"loss": loss}), 1, quantiles=LEVELS)


def by_torch(loss, outputs, x, y, weight):
    """Gives loss, gradient of the outputs, mass."""
    objective = Objective(task_of(loss), torch_loss, library="torch")
    ours = torch.from_numpy(np.array(outputs)).requires_grad_()
    rest = [None if one is None else torch.from_numpy(np.array(one)) for one in (x, y, weight)]
    value = objective(ours, *rest)
    value.backward()
    return value.item(), ours.grad.numpy(), float(objective.mass(*rest))


def by_equinox(loss, outputs, x, y, weight):
    objective = Objective(task_of(loss), equinox_loss, library="equinox")
    rest = [None if one is None else jnp.asarray(one) for one in (x, y, weight)]
    value, gradient = jax.value_and_grad(lambda ours: objective(ours, *rest))(jnp.asarray(outputs))
    return float(value), np.asarray(gradient), float(objective.mass(*rest))


BACKENDS = {"torch": by_torch, "equinox": by_equinox}
both = pytest.mark.parametrize("measure", BACKENDS.values(), ids=BACKENDS)


@both
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_what_its_formula_says(measure, name, weight):
    loss, _, y, reference = CASES[name]
    outputs = OUTPUTS[name]
    exact = reference(
        outputs.astype(float),
        X.astype(float),
        y,
        np.ones(N) if weight is None else weight.astype(float),
    )
    assert measure(loss, outputs, X, y, weight)[0] == pytest.approx(exact, rel=2e-6)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_both_backends_give_the_same_loss_and_gradient(name, weight):
    loss, _, y, _ = CASES[name]
    (one, left, mass), (other, right, same) = (
        measure(loss, OUTPUTS[name], X, y, weight) for measure in BACKENDS.values()
    )
    assert one == pytest.approx(other, rel=2e-6) and mass == pytest.approx(same, rel=1e-6)
    assert np.abs(left).max() > 0
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-6 * max(1.0, np.abs(left).max()))


@both
@pytest.mark.parametrize("name", CASES)
def test_a_batch_whose_records_weigh_nothing_changes_nothing(measure, name):
    loss, _, y, _ = CASES[name]
    value, gradient, mass = measure(loss, OUTPUTS[name], X, y, np.zeros(N, dtype=np.float32))
    assert (value, mass) == (0.0, 0.0) and not gradient.any()


@both
@pytest.mark.parametrize("loss", ["supervised_contrastive", "triplet", "nt_xent"])
def test_a_record_that_has_no_other_to_be_compared_with_has_no_loss(measure, loss):
    rows = 2 if loss == "nt_xent" else 1
    value, gradient, mass = measure(loss, draw(rows, 3), X[:1], CLASSES[:1], None)
    assert value == pytest.approx(0.0, abs=1e-6) and not gradient.any() and mass == 1


@both
@pytest.mark.parametrize("loss", ["supervised_contrastive", "triplet", "nt_xent"])
def test_an_embedding_of_zeros_and_twins_have_finite_gradients(measure, loss):
    outputs = np.zeros((2 * N if loss == "nt_xent" else N, 3), dtype=np.float32)
    outputs[2:4] = 1.0
    value, gradient, _ = measure(loss, outputs, X, CLASSES, None)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@both
def test_triplets_need_a_second_class(measure):
    value, gradient, _ = measure("triplet", OUTPUTS["triplet"], X, np.zeros(N, dtype=int), None)
    assert value == 0.0 and not gradient.any()


@both
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("mse", np.ones(N)),
        ("positive weights", np.ones(N)),
        ("supervised_contrastive", np.ones(N)),
        ("nt_xent", np.ones(N)),
        ("class weights", np.take(CLASS_WEIGHTS, CLASSES)),
        ("shares with class weights", SHARES @ CLASS_WEIGHTS),
        ("kl, warm", np.ones(N)),
        ("focal with class weights", np.take(CLASS_WEIGHTS, CLASSES)),
        ("composite", np.ones(N)),
        ("composite of classes", np.take(CLASS_WEIGHTS, CLASSES)),
        ("class weights of pixels", np.take(CLASS_WEIGHTS, PIXELS).mean((1, 2))),
    ],
)
def test_a_batch_weighs_what_its_records_and_their_classes_weigh(measure, name, each, weight):
    loss, _, y, _ = CASES[name]
    wanted = (each * (np.ones(N) if weight is None else weight)).sum()
    assert measure(loss, OUTPUTS[name], X, y, weight)[2] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", ["torch", "equinox"])
def test_the_views_of_a_record_become_neighbouring_rows(name):
    module, array = (torch_loss, torch.from_numpy) if name == "torch" else (equinox_loss, jnp.asarray)
    objective = Objective(task_of("nt_xent"), module, library=name)
    np.testing.assert_array_equal(np.asarray(objective.enter(array(X))), X.reshape(2 * N, 6))
    with pytest.raises(BackendError, match=r"two views, not \(6, 2\)"):
        objective.enter(array(np.ascontiguousarray(X.transpose(0, 2, 1))))
    plain = Objective(task_of("mse"), module, library=name)
    assert plain.enter(array(X)).shape == X.shape


SINGLE = (
    "supervised_contrastive",
    "triplet",
    "nt_xent",
    "another",
)  # these compute in float32 whatever they are given


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(SINGLE)])
def test_gradients_are_those_of_finite_differences(name):
    loss, _, y, _ = CASES[name]
    objective = Objective(task_of(loss), torch_loss, library="torch")
    outputs = torch.from_numpy(OUTPUTS[name].astype(float)).requires_grad_()
    rest = [torch.from_numpy(one.astype(float) if one.dtype.kind == "f" else one) for one in (X, y, WEIGHT)]
    assert torch.autograd.gradcheck(lambda ours: objective(ours, *rest), outputs, eps=1e-6, atol=1e-6)


@both
@pytest.mark.parametrize("far", [30.0, 1e4])
@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if not name.startswith((*SINGLE, "reconstruction"))]
)
def test_losses_and_gradients_are_finite_far_away(measure, name, far):
    loss, shape, y, _ = CASES[name]
    signs = np.sign(np.random.default_rng(1).normal(size=shape)).astype(np.float32)
    for outputs in (far * signs, -far * np.ones(shape, np.float32), far * np.ones(shape, np.float32)):
        value, gradient, _ = measure(loss, outputs, X, y, WEIGHT)
        assert np.isfinite(value) and np.isfinite(gradient).all()


@both
def test_a_mixture_of_equal_components_is_a_normal_distribution(measure):
    _, _, y, _ = CASES["gaussian_nll"]
    mean, spread = np.split(OUTPUTS["gaussian_nll"], 2, axis=1)
    same = np.hstack([np.tile([2.0, -1.0], (N, 1)), mean, mean, spread, spread]).astype(np.float32)
    wanted = measure("gaussian_nll", OUTPUTS["gaussian_nll"], X, y, WEIGHT)[0]
    assert measure("mixture_nll", same, X, y, WEIGHT)[0] == pytest.approx(wanted, rel=1e-6)


@both
def test_a_student_with_many_degrees_of_freedom_is_normal(measure):
    y, raw = draw(N, 1), 3e4
    outputs = np.hstack([draw(N, 1), np.ones((N, 1), np.float32), np.full((N, 1), raw, np.float32)])
    exact = -stats.norm.logpdf(y[:, 0], outputs[:, 0], np.log1p(np.e) + 1e-3).mean()
    assert measure("student_t_nll", outputs, X, y, None)[0] == pytest.approx(exact, rel=2e-4)


def test_what_frameworks_have_themselves_is_the_same():
    outputs, y = torch.from_numpy(OUTPUTS["laplace_nll"]), torch.from_numpy(CASES["laplace_nll"][2])
    scale = torch.nn.functional.softplus(outputs[:, 2:]) + 1e-3
    theirs = -torch.distributions.Laplace(outputs[:, :2], scale).log_prob(y).mean()
    assert torch_loss.laplace_nll(outputs, y, None).item() == pytest.approx(theirs.item(), rel=1e-6)
    outputs, y = torch.from_numpy(OUTPUTS["student_t_nll"]), torch.from_numpy(CASES["student_t_nll"][2])
    scale, df = (torch.nn.functional.softplus(one) for one in outputs[:, 2:].chunk(2, 1))
    theirs = -torch.distributions.StudentT(df + 2.001, outputs[:, :2], scale + 1e-3).log_prob(y).mean()
    assert torch_loss.student_t_nll(outputs, y, None).item() == pytest.approx(theirs.item(), rel=1e-6)
    outputs, y = torch.from_numpy(OUTPUTS["kl"]), torch.from_numpy(SHARES)
    theirs = torch.nn.functional.kl_div(outputs.log_softmax(1), y, reduction="batchmean")
    assert torch_loss.kl(outputs, y, None, temperature=1.0).item() == pytest.approx(theirs.item(), rel=1e-5)
    theirs = optax.losses.kl_divergence(jax.nn.log_softmax(OUTPUTS["kl"]), SHARES).mean()
    found = equinox_loss.kl(jnp.asarray(OUTPUTS["kl"]), jnp.asarray(SHARES), None, temperature=1.0)
    assert float(found) == pytest.approx(float(theirs), rel=1e-5)
    outputs, y = torch.from_numpy(OUTPUTS["mixture_nll"]), torch.from_numpy(CASES["mixture_nll"][2])
    means, scales = (one.reshape(N, 3, 2) for one in outputs[:, 3:].chunk(2, 1))
    normal = torch.distributions.Normal(means, (torch.nn.functional.softplus(scales) + 1e-6).sqrt())
    theirs = -torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=outputs[:, :3]), torch.distributions.Independent(normal, 1)
    ).log_prob(y)
    assert torch_loss.mixture_nll(outputs, y, None).item() == pytest.approx(
        theirs.mean().item() / 2, rel=1e-6
    )


@both
def test_an_own_loss_gives_one_number_per_record(measure):
    loss = {"name": "own", "use": "backends.own_losses:Whole"}
    with pytest.raises(BackendError, match=r"shape \(\) for 7 records"):
        measure(loss, OUTPUTS["mse"], X, CASES["mse"][2], None)


def test_an_own_loss_without_a_gradient_is_refused_by_its_name():
    task = task_of({"name": "own", "use": "backends.own_losses:Detached"})
    objective = Objective(task, torch_loss, library="torch")
    outputs = torch.from_numpy(OUTPUTS["mse"]).requires_grad_()
    x, y = torch.from_numpy(X), torch.from_numpy(CASES["mse"][2])
    with pytest.raises(BackendError, match=r"own_losses:Detached\.torch gave numbers without a gradient"):
        objective(outputs, x, y, None)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        ("backends.own_losses:bare", "not a class with torch"),
        ("backends.own_losses:Missing", "cannot be imported"),
        ("os:system", "not a class with torch"),
    ],
)
def test_an_own_loss_is_a_class_with_a_method_of_the_backend(use, text):
    with pytest.raises(SpecError, match=rf"train\.loss\.use: .*{text}"):
        Objective(task_of({"name": "own", "use": use}), torch_loss, library="torch")


def test_a_backend_that_an_own_loss_has_not_is_refused():
    with pytest.raises(
        SpecError, match=r"train\.loss\.use: .*TorchOnly has no method `equinox`; it needs equinox\("
    ):
        Objective(
            task_of({"name": "own", "use": "backends.own_losses:TorchOnly"}), equinox_loss, library="equinox"
        )
