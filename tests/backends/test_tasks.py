"""Every task, trained: both backends alike, and what comes out is what the loss asks for."""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.neighbors import KNeighborsClassifier

torch = pytest.importorskip("torch")
pytest.importorskip("equinox")

from contracts.learner import EverySteps, go_on
from trainwright.backends.equinox import network as equinox_network
from trainwright.backends.equinox.backend import EquinoxBackend
from trainwright.backends.torch import network as torch_network
from trainwright.backends.torch.backend import TorchBackend
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.fitting import names_of
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import SGD, Adam, TrainSpec
from trainwright.train.feed import ArrayFeed, Batch
from trainwright.train.learner import Resolved
from trainwright.validation.families import family_of

BACKENDS = {"torch": TorchBackend, "equinox": EquinoxBackend}
LEVELS = [0.1, 0.5, 0.9]


class TwoViews:
    """A feed that shows every record twice, the second time a little shifted, and keeps no arrays."""

    def __init__(self, feed):
        self.feed, self.arrays = feed, None
        self.steps_per_epoch, self.records, self.seed = feed.steps_per_epoch, feed.records, feed.seed
        self.indices, self.span = feed.indices, feed.span

    def batch(self, step):
        batch = self.feed.batch(step)
        x = np.stack([batch.x, batch.x + np.float32(0.1)], axis=1)
        return Batch(x=x, y=batch.y, weight=batch.weight, ids=batch.ids)


def prepare(x, y, *, loss, outputs, backend="torch", epochs=1, weight=None, views=False, **options):
    model = {"hidden_dims": [], **options.pop("model", {})}
    plan = build_blueprint(
        ModelSpec(architecture="mlp", input_shape=[x.shape[1]], output_dim=outputs, **model)
    )
    options = {"optimizer": SGD(name="sgd", lr=0.1), "batch_size": len(x), **options}
    train = TrainSpec.model_validate({"loss": loss, "backend": backend, "epochs": epochs, **options})
    arrays = {"x": x.astype(np.float32), "y": y} | ({} if weight is None else {"weight": weight})
    feed = ArrayFeed(arrays, batch_size=train.batch_size * train.accumulate, seed=1)
    feed = TwoViews(feed) if views else feed
    kind = "regression" if "own" in names_of(train.loss) else None
    task = ModelTask(
        plan,
        train,
        epochs,
        quantiles=tuple(model.get("quantiles", ())),
        kind=kind,
        components=model.get("components"),
    )
    return BACKENDS[backend]().prepare(task, feed, seed=2, run_on=Resolved()), feed


def fit(*arguments, **options):
    learner, feed = prepare(*arguments, **options)
    end = feed.steps_per_epoch * options["epochs"]
    learner.train(feed, EverySteps(end, end=end), go_on)
    return learner


numbers = np.random.default_rng(0)
X = numbers.normal(size=(22, 4)).astype(np.float32)
CLASSES = numbers.integers(0, 3, 22)
SHARES = np.random.default_rng(7).dirichlet(np.ones(3), 22).astype(np.float32)
LABELS = (numbers.uniform(size=(22, 3)) < 0.4).astype(np.float32)
TARGETS = numbers.normal(size=(22, 2)).astype(np.float32)
WEIGHT = numbers.uniform(0.5, 2.0, 22).astype(np.float32)
WEIGHED = {"name": "cross_entropy", "class_weights": [0.5, 2.0, 1.0], "label_smoothing": 0.1}
OWN = {"name": "own", "use": "backends.own_losses:Asymmetric", "args": {"steep": 3.0}}
QUANTILES = {"head": "quantiles", "quantiles": LEVELS}
TASKS = {
    "classification": {"y": CLASSES, "loss": WEIGHED, "outputs": 3},
    "multi_label": {"y": LABELS, "loss": "binary_cross_entropy", "outputs": 3},
    "mae": {"y": TARGETS, "loss": "mae", "outputs": 2},
    "huber": {"y": TARGETS, "loss": {"name": "huber", "delta": 0.5}, "outputs": 2},
    "gaussian_nll": {"y": TARGETS, "loss": "gaussian_nll", "outputs": 2, "model": {"head": "mean_variance"}},
    "laplace_nll": {"y": TARGETS, "loss": "laplace_nll", "outputs": 2, "model": {"head": "laplace"}},
    "student_t_nll": {"y": TARGETS, "loss": "student_t_nll", "outputs": 2, "model": {"head": "student_t"}},
    "mixture_nll": {
        "y": TARGETS,
        "loss": "mixture_nll",
        "outputs": 2,
        "model": {"head": "mixture", "components": 2},
    },
    "quantile": {"y": TARGETS, "loss": "quantile", "outputs": 2, "model": QUANTILES},
    "focal": {"y": CLASSES, "loss": {"name": "focal", "class_weights": [0.5, 2.0, 1.0]}, "outputs": 3},
    "shares": {"y": SHARES, "loss": WEIGHED, "outputs": 3},
    "kl": {"y": SHARES, "loss": {"name": "kl", "temperature": 3.0}, "outputs": 3},
    "binary_focal": {"y": LABELS, "loss": "binary_focal", "outputs": 3},
    "own": {"y": TARGETS, "loss": OWN, "outputs": 2},
    "composite": {
        "y": TARGETS,
        "loss": {"name": "composite", "losses": [{"loss": "mse", "weight": 0.7}, {"loss": OWN}]},
        "outputs": 2,
    },
    "supervised_contrastive": {"y": CLASSES, "loss": "supervised_contrastive", "outputs": 5},
    "triplet": {"y": CLASSES, "loss": {"name": "triplet", "margin": 0.5}, "outputs": 5},
    "reconstruction": {"y": CLASSES, "loss": "reconstruction", "outputs": 4},
    "nt_xent": {"y": CLASSES, "loss": "nt_xent", "outputs": 5, "views": True},
}


# The others compile for long and are trained in `make test-all`; a step of each is compared in test_parity.
QUICK = ("classification", "multi_label", "gaussian_nll", "own", "composite", "triplet", "nt_xent")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TASKS]
)
def test_both_backends_train_every_task_alike(name):
    options = {**TASKS[name], "weight": WEIGHT, "batch_size": 4, "accumulate": 2}
    found = []
    for backend in BACKENDS:
        learner, feed = prepare(X, backend=backend, **options)
        before = learner.predict(X)
        learner.train(feed, EverySteps(3, end=3), go_on)  # the third step is ragged
        found.append((learner, before, learner.predict(X), learner.sums["loss"]))
    (torch_one, before, left, (total, mass)), (_, _, right, (other_total, other_mass)) = found
    assert left.keys() == right.keys() == dict(torch_one.task.outputs).keys()
    for output, array in left.items():
        assert array.shape == (22, *torch_one.task.outputs[output])
        assert np.abs(array - before[output]).max() > 1e-4
        np.testing.assert_allclose(array, right[output], rtol=0, atol=1e-5 * np.abs(array).max())
    assert mass == pytest.approx(other_mass, rel=1e-6) and total == pytest.approx(other_total, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name",
    [
        "classification",
        "gaussian_nll",
        "mixture_nll",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("shares", "multi_label", "focal", "student_t_nll", "composite")
        ),
    ],
)
def test_accumulated_batches_make_the_step_of_all_their_records(name, backend):
    options = {**TASKS[name], "weight": WEIGHT, "backend": backend, "epochs": 3}
    whole = fit(X, **options, batch_size=8)
    parts = fit(X, **options, batch_size=2, accumulate=4)
    for key, array in whole.weights().items():
        np.testing.assert_allclose(parts.weights()[key], array, atol=2e-6)
    assert whole.sums["loss"] == pytest.approx(parts.sums["loss"], rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["classification", "nt_xent"])
def test_told_every_step_equals_told_once(name, backend):
    (often, feed), (once, _) = (
        prepare(X, **TASKS[name], weight=WEIGHT, backend=backend, batch_size=4) for _ in range(2)
    )
    often.train(feed, EverySteps(1, end=9), go_on)
    once.train(feed, EverySteps(9, end=9), go_on)
    assert often.sums == once.sums
    for key, array in once.weights().items():
        np.testing.assert_array_equal(often.weights()[key], array)


@pytest.mark.parametrize(("name", "rows"), [("nt_xent", 4), ("triplet", 2)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_of_one_step_lie_one_after_another(monkeypatch, backend, name, rows):
    """Dropout draws by the place of a row within its step: two rows with one place would share their draws."""
    network = {"torch": torch_network, "equinox": equinox_network}[backend].Network
    call, places = network.__call__, []

    def spy(self, x, *, training=None, position=None):
        places.append((self.position if position is None else position)[1])
        assert len(x) == rows
        return call(self, x, **({"training": training} if position is None else {"position": position}))

    learner, feed = prepare(X, **TASKS[name], backend=backend, batch_size=2, accumulate=3, clip_norm=7.0)
    monkeypatch.setattr(network, "__call__", spy)
    learner.train(feed, EverySteps(1, end=1), go_on)
    assert places == [0, rows, 2 * rows]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_epoch_weighs_records_by_their_classes(backend):
    learner = fit(
        X,
        **TASKS["classification"],
        backend=backend,
        epochs=1,
        weight=WEIGHT,
        batch_size=4,
        optimizer=SGD(name="sgd", lr=1e-30),
    )
    total, mass = learner.sums["loss"]
    logits = learner.predict(X)["logits"].astype(float)
    theirs = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits),
        torch.from_numpy(CLASSES),
        torch.tensor(WEIGHED["class_weights"], dtype=torch.float64),
        reduction="none",
        label_smoothing=0.1,
    ).numpy()
    products = WEIGHT * np.take(WEIGHED["class_weights"], CLASSES)
    assert mass == pytest.approx(products.sum(), rel=1e-6)
    assert total / mass == pytest.approx((theirs * WEIGHT).sum() / products.sum(), rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loss", ["supervised_contrastive", "triplet", "nt_xent", "reconstruction"])
def test_a_contrastive_step_weighs_its_records(loss, backend):
    learner = fit(X, **TASKS[loss], backend=backend, epochs=1, batch_size=4)
    assert learner.sums["loss"][1] == 22


# What a model learns that sees nothing of the records: the one value that makes the loss smallest.

COUNTS = np.array([60, 30, 10])
RARE = np.repeat([0, 1, 2], COUNTS)
SHARES = COUNTS / 100
SAMPLE = np.random.default_rng(4).gamma(2.0, size=101)  # so many that every level has one quantile
BALANCED = 100 / (3 * COUNTS)


HEAVY = np.random.default_rng(5).standard_t(4.0, size=400) / 2


def added_centre(squared, absolute):
    def cost(m):
        return (squared * np.square(SAMPLE - m) + absolute * np.abs(SAMPLE - m)).sum()

    return optimize.minimize_scalar(cost, bounds=(0, 5)).x


def by_mean(found):
    """Reads a mixture of two, the lower one first."""
    order = np.argsort(found["means"][:, 0])
    means, variances = (found[name][order, 0] for name in ("means", "variances"))
    return np.concatenate([found["mixing"][order[:1]], means, variances])


def focal_shares(gamma):
    def cost(logits):
        chance = special.softmax(logits)
        return (SHARES * (1 - chance) ** gamma * -np.log(chance)).sum()

    return special.softmax(optimize.minimize(cost, np.zeros(3), tol=1e-10).x)


def huber_centre(delta):
    return optimize.minimize_scalar(lambda m: special.huber(delta, SAMPLE - m).sum(), bounds=(0, 5)).x


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "model", "read", "wanted"),
    [
        ("cross_entropy", RARE, 3, {}, lambda f: special.softmax(f["logits"]), SHARES),
        (
            {"name": "cross_entropy", "label_smoothing": 0.3},
            RARE, 3, {}, lambda f: special.softmax(f["logits"]), 0.7 * SHARES + 0.1,
        ),
        (
            {"name": "cross_entropy", "class_weights": BALANCED.tolist()},
            RARE, 3, {}, lambda f: special.softmax(f["logits"]), [1 / 3] * 3,
        ),
        (
            "binary_cross_entropy",
            np.eye(3, dtype=np.float32)[RARE], 3, {}, lambda f: special.expit(f["logits"]), SHARES,
        ),
        (
            {"name": "binary_cross_entropy", "class_weights": [40 / 60, 70 / 30, 1.0]},
            np.eye(3, dtype=np.float32)[RARE], 3, {}, lambda f: special.expit(f["logits"]), [0.5, 0.5, 0.1],
        ),
        ("mse", SAMPLE, 1, {}, lambda f: f["y"], [SAMPLE.mean()]),
        ("mae", SAMPLE, 1, {}, lambda f: f["y"], [np.median(SAMPLE)]),
        ({"name": "huber", "delta": 0.3}, SAMPLE, 1, {}, lambda f: f["y"], [huber_centre(0.3)]),
        ("huber", SAMPLE, 1, {}, lambda f: f["y"], [huber_centre(1.0)]),
        (
            "gaussian_nll",
            SAMPLE, 1, {"head": "mean_variance"}, lambda f: np.append(f["y"], f["variance"]),
            [SAMPLE.mean(), SAMPLE.var()],
        ),
        (
            "laplace_nll",
            SAMPLE, 1, {"head": "laplace"}, lambda f: np.append(f["y"], f["scale"]),
            [np.median(SAMPLE), np.abs(SAMPLE - np.median(SAMPLE)).mean()],
        ),
        (
            "student_t_nll",
            HEAVY, 1, {"head": "student_t"}, lambda f: np.concatenate([f["y"], f["scale"], f["df"] / 30]),
            [stats.t.fit(HEAVY)[place] / divisor for place, divisor in ((1, 1), (2, 1), (0, 30))],
        ),
        (
            "mixture_nll",
            np.concatenate([SAMPLE / 4 - 2, SAMPLE[:20] / 4 + 2]), 1, {"head": "mixture", "components": 2}, by_mean,
            [len(SAMPLE) / (len(SAMPLE) + 20), SAMPLE.mean() / 4 - 2, SAMPLE[:20].mean() / 4 + 2,
             SAMPLE.var() / 16, SAMPLE[:20].var() / 16],
        ),
        (
            {"name": "own", "use": "backends.own_losses:Asymmetric", "args": {"steep": 3.0}},
            SAMPLE, 1, {}, lambda f: f["y"], [np.quantile(SAMPLE, 0.75, method="inverted_cdf")],
        ),
        (
            {"name": "composite", "losses": [{"loss": "mse", "weight": 2.0}, {"loss": "mae", "weight": 0.5}]},
            SAMPLE, 1, {}, lambda f: f["y"], [added_centre(2.0, 0.5)],
        ),
        (
            {"name": "binary_focal", "gamma": 0.0, "alpha": 0.8},
            np.eye(3, dtype=np.float32)[RARE], 3, {}, lambda f: special.expit(f["logits"]),
            [0.8 * p / (0.8 * p + 0.2 * (1 - p)) for p in SHARES],
        ),
        (
            {"name": "focal", "gamma": 0.0, "class_weights": BALANCED.tolist()},
            RARE, 3, {}, lambda f: special.softmax(f["logits"]), [1 / 3] * 3,
        ),
        (
            {"name": "focal", "gamma": 2.0},
            RARE, 3, {}, lambda f: special.softmax(f["logits"]), focal_shares(2.0),
        ),
        (
            "quantile",
            SAMPLE, 1, QUANTILES, lambda f: f["quantiles"].ravel(),
            np.quantile(SAMPLE, LEVELS, method="inverted_cdf"),
        ),
    ],
)  # fmt: skip
def test_a_model_that_sees_nothing_learns_what_the_loss_asks_for(loss, y, outputs, model, read, wanted):
    x = np.zeros((len(y), 1), dtype=np.float32)
    target = y.astype(np.float32)[:, None] if y.dtype == float else y
    cosine = {"name": "cosine"}
    options = {"optimizer": Adam(name="adam", lr=0.05), "schedule": cosine, "epochs": 1500}
    learner = fit(x, target, loss=loss, outputs=outputs, model=model, **options)
    found = {name: array[0].astype(float) for name, array in learner.predict(x[:1]).items()}
    np.testing.assert_allclose(read(found).ravel(), wanted, atol=5e-3)


def noisy(count, seed):
    numbers = np.random.default_rng(seed)
    x = numbers.uniform(-1, 1, size=(count, 1))
    scale = 0.1 + 0.4 * np.abs(x)
    y = np.sin(3 * x) + scale * numbers.normal(size=x.shape)
    return x.astype(np.float32), y.astype(np.float32), scale


DEEP = {"hidden_dims": [32, 32], "activation": "tanh"}
LONG = {
    "optimizer": Adam(name="adam", lr=5e-3),
    "schedule": {"name": "cosine"},
    "batch_size": 100,
    "epochs": 60,
}


def test_a_variance_head_recovers_noise_that_depends_on_the_record():
    x, y, _ = noisy(3000, 0)
    learner = fit(x, y, loss="gaussian_nll", outputs=1, model={**DEEP, "head": "mean_variance"}, **LONG)
    x, _, scale = noisy(1000, 1)
    found = learner.predict(x)
    assert np.abs(found["y"] - np.sin(3 * x)).mean() < 0.05
    assert np.abs(np.sqrt(found["variance"]) / scale - 1).mean() < 0.12
    assert np.corrcoef(np.sqrt(found["variance"]).ravel(), scale.ravel())[0, 1] > 0.9


def inverted_sinusoid(count, seed):
    """Bishop's: x is a function of y with noise, and has up to three y."""
    numbers = np.random.default_rng(seed)
    y = numbers.uniform(size=(count, 1))
    x = y + 0.3 * np.sin(2 * np.pi * y) + numbers.uniform(-0.1, 0.1, y.shape)
    return (x - 0.5).astype(np.float32), y.astype(np.float32)


def test_a_mixture_finds_the_branches_of_an_inverted_sinusoid():
    x, y = inverted_sinusoid(1000, 0)
    asked, truth = inverted_sinusoid(1000, 1)
    scores = {}
    for loss, model in (
        ("gaussian_nll", {"head": "mean_variance"}),
        ("mixture_nll", {"head": "mixture", "components": 3}),
    ):
        learner = fit(x, y, loss=loss, outputs=1, model={**DEEP, **model}, **LONG | {"epochs": 150})
        scores[loss] = family_of(learner.predict(asked)).scores(truth)
    normal, mixed = scores["gaussian_nll"], scores["mixture_nll"]
    assert mixed["nll"] < normal["nll"] - 0.5 and mixed["crps"] < normal["crps"]
    assert mixed["coverage_90"] == pytest.approx(0.9, abs=0.04)
    # In the middle, x = y + 0.3 sin(2 pi y) has three solutions, and hardly anything lies between them.
    middle = family_of(learner.predict(np.zeros((1, 1), dtype=np.float32)))
    density = lambda at: np.exp(-middle.nll_terms(np.full((1, 1), at)))[0]  # noqa: E731
    bend = lambda at: at + 0.3 * np.sin(2 * np.pi * at) - 0.5  # noqa: E731
    for ends in ((0.0, 0.4), (0.6, 1.0)):
        root = optimize.brentq(bend, *ends)
        assert min(density(root), density(0.5)) > 2 * density((root + 0.5) / 2)


def test_a_quantile_head_covers_what_it_promises():
    x, y, _ = noisy(3000, 0)
    learner = fit(x, y, loss="quantile", outputs=1, model={**DEEP, **QUANTILES}, **LONG)
    x, y, scale = noisy(2000, 1)
    low, middle, high = np.moveaxis(learner.predict(x)["quantiles"], 1, 0)
    assert 0.77 < np.mean((y > low) & (y < high)) < 0.83
    assert 0.46 < np.mean(y < middle) < 0.54
    assert np.abs((high - np.sin(3 * x)) / (1.2816 * scale) - 1).mean() < 0.2


def hidden_classes(count, seed):
    numbers = np.random.default_rng(seed)
    y = numbers.integers(0, 4, count)
    centres = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    x = np.hstack([centres[y] + 0.4 * numbers.normal(size=(count, 2)), 3 * numbers.normal(size=(count, 20))])
    return x.astype(np.float32), y


@pytest.mark.parametrize("loss", ["supervised_contrastive", "triplet"])
def test_neighbours_in_an_embedding_tell_more_than_raw_ones(loss):
    (x, y), (new, true) = hidden_classes(1500, 0), hidden_classes(500, 1)
    # The hardest of many records are too hard for a network that knows nothing yet: triplets want small batches.
    options = {**LONG, "epochs": 10, "batch_size": 12}
    learner = fit(x, y, loss=loss, outputs=4, model={"hidden_dims": [64]}, **options)

    def score(one, other):
        return KNeighborsClassifier(5).fit(one, y).score(other, true)

    raw = score(x, new)
    unit = [
        e / np.linalg.norm(e, axis=1, keepdims=True)
        for e in (learner.predict(z)["embedding"] for z in (x, new))
    ]
    assert raw < 0.5 and score(*unit) > 0.8


def test_two_views_are_told_from_others():
    x, y = hidden_classes(200, 0)
    options = {**LONG, "batch_size": 50, "epochs": 30}
    learner = fit(x, y, loss="nt_xent", outputs=8, views=True, **options)
    one, other = (learner.predict(x + shift)["embedding"] for shift in (np.float32(0), np.float32(0.1)))
    one, other = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in (one, other))
    assert np.mean((one @ other.T).argmax(1) == np.arange(200)) > 0.95


def test_an_autoencoder_learns_the_plane_that_principal_components_span():
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(400, 2)) @ numbers.normal(size=(2, 6)) + 0.1 * numbers.normal(size=(400, 6))
    x = (x - x.mean(0)).astype(np.float32)
    model = {"hidden_dims": [2], "activation": "identity"}
    options = {**LONG, "optimizer": Adam(name="adam", lr=0.02), "epochs": 150}
    learner = fit(x, np.zeros(400, int), loss="reconstruction", outputs=6, model=model, **options)
    best = (np.linalg.svd(x, compute_uv=False)[2:] ** 2).sum() / x.size  # Eckart & Young 1936
    found = np.mean(np.square(learner.predict(x)["embedding"] - x))
    assert best <= found * 1.0001 and found < 1.05 * best


def test_class_weights_find_more_of_a_rare_class():
    numbers = np.random.default_rng(0)
    y = (numbers.uniform(size=2000) < 0.05).astype(int)
    x = (numbers.normal(size=(2000, 2)) + 1.2 * y[:, None]).astype(np.float32)
    recall = {}
    for weights in (None, [1 / 1.9, 10.0]):
        loss = {"name": "cross_entropy", "class_weights": weights}
        learner = fit(x, y, loss=loss, outputs=2, **{**LONG, "epochs": 20})
        recall[weights is None] = np.mean(learner.predict(x[y == 1])["logits"].argmax(1) == 1)
    assert recall[True] < 0.35 and recall[False] > 0.7


def test_label_smoothing_lowers_confidence():
    (x, y), confidence = hidden_classes(500, 0), []
    for smoothing in (0.0, 0.2):
        loss = {"name": "cross_entropy", "label_smoothing": smoothing}
        learner = fit(
            x[:, :2], y, loss=loss, outputs=4, model=DEEP, **{**LONG, "batch_size": 50, "epochs": 40}
        )
        confidence.append(special.softmax(learner.predict(x[:, :2])["logits"], axis=1).max(1).mean())
    assert confidence[0] > 0.95
    # Where classes are told apart with certainty, the best answer is 1 - 0.2 + 0.2 / 4.
    assert confidence[1] == pytest.approx(0.85, abs=0.03)
