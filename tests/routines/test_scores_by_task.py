"""Routines of every task and option, against scikit-learn, SciPy and the losses models are trained on."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import special, stats
from scipy.special import expit, softmax
from sklearn import metrics
from sklearn.neighbors import KNeighborsClassifier

from trainwright.base.errors import DataError, SpecError
from trainwright.routines.classification import ClassificationScores
from trainwright.routines.embedding import EmbeddingScores
from trainwright.routines.multilabel import MultiLabelScores
from trainwright.routines.regression import RegressionScores
from trainwright.routines.segmentation import SegmentationScores
from trainwright.train.routine import Examples, View
from trainwright.validation.contrastive import supervised_contrastive, triplet

numbers = np.random.default_rng(3)
N = 60
WEIGHT = numbers.uniform(0.1, 3, N).astype(np.float32)
LEVELS = [0.1, 0.5, 0.9]


def task_of(loss, outputs=(), **more):
    shapes = dict.fromkeys(outputs, (1,))
    return SimpleNamespace(train=SimpleNamespace(loss=loss), outputs=shapes, **more)


def part(name, **options):
    return SimpleNamespace(name=name, tree=lambda: {"name": name, **options})


def look(outputs, y, task=None, invert=lambda values: values, train=None):
    """A view whose val inputs are 1 and whose train inputs are 0."""
    learner = SimpleNamespace(predict=lambda x: outputs if x[0, 0] else train[0], task=task)
    splits = {"val": Examples(np.ones((N, 1)), y, WEIGHT)}
    if train is not None:
        splits["train"] = Examples(np.zeros((len(train[1]), 1)), train[1], None)
    return View(learner, splits, invert=invert)


LOGITS, CLASSES = numbers.normal(size=(N, 6)), numbers.integers(0, 6, N)
SAID, CHANCES = LOGITS.argmax(1), softmax(LOGITS, axis=1)
EXTRA = {
    "macro_precision": lambda: metrics.precision_score(
        CLASSES, SAID, average="macro", sample_weight=WEIGHT, zero_division=0
    ),
    "macro_recall": lambda: metrics.recall_score(CLASSES, SAID, average="macro", sample_weight=WEIGHT),
    "weighted_precision": lambda: metrics.precision_score(
        CLASSES, SAID, average="weighted", sample_weight=WEIGHT, zero_division=0
    ),
    "weighted_recall": lambda: metrics.recall_score(CLASSES, SAID, average="weighted", sample_weight=WEIGHT),
    "weighted_f1": lambda: metrics.f1_score(CLASSES, SAID, average="weighted", sample_weight=WEIGHT),
    "mcc": lambda: metrics.matthews_corrcoef(CLASSES, SAID, sample_weight=WEIGHT),
    "roc_auc": lambda: metrics.roc_auc_score(CLASSES, CHANCES, multi_class="ovr", sample_weight=WEIGHT),
    "weighted_roc_auc": lambda: metrics.roc_auc_score(
        CLASSES, CHANCES, multi_class="ovr", average="weighted", sample_weight=WEIGHT
    ),
    "average_precision": lambda: metrics.average_precision_score(CLASSES, CHANCES, sample_weight=WEIGHT),
    "brier": lambda: metrics.brier_score_loss(CLASSES, CHANCES, sample_weight=WEIGHT),
    "top_3_accuracy": lambda: metrics.top_k_accuracy_score(CLASSES, LOGITS, k=3, sample_weight=WEIGHT),
    "top_5_accuracy": lambda: metrics.top_k_accuracy_score(CLASSES, LOGITS, k=5, sample_weight=WEIGHT),
}


@pytest.mark.parametrize("name", EXTRA)
def test_a_classifier_is_measured_by_what_is_asked_for(name):
    routine = ClassificationScores(extra=[name])
    found = routine(look({"logits": LOGITS}, CLASSES)).scores
    assert found[f"val/{name}"] == pytest.approx(EXTRA[name](), rel=1e-6)
    assert set(found) == set(routine.names(None))
    assert f"val/{name}" not in ClassificationScores()(look({"logits": LOGITS}, CLASSES)).scores


def test_a_record_with_probabilities_counts_as_one_of_each_class():
    shares = numbers.dirichlet(np.ones(CHANCES.shape[1]), N)
    routine = ClassificationScores(extra=["kl", "brier", "mcc", "agreement"])
    found = routine(look({"logits": LOGITS}, shares)).scores
    rows, kinds = np.divmod(np.arange(shares.size), shares.shape[1])
    weight = (WEIGHT[:, None] * shares).ravel()
    expected = {
        "val/loss": metrics.log_loss(kinds, CHANCES[rows], sample_weight=weight),
        "val/accuracy": metrics.accuracy_score(kinds, SAID[rows], sample_weight=weight),
        "val/balanced_accuracy": metrics.balanced_accuracy_score(kinds, SAID[rows], sample_weight=weight),
        "val/macro_f1": metrics.f1_score(kinds, SAID[rows], average="macro", sample_weight=weight),
        "val/brier": metrics.brier_score_loss(kinds, CHANCES[rows], sample_weight=weight),
        "val/mcc": metrics.matthews_corrcoef(kinds, SAID[rows], sample_weight=weight),
        "val/kl": np.average(stats.entropy(shares, CHANCES, axis=1), weights=WEIGHT),
        "val/agreement": np.average(shares.argmax(1) == SAID, weights=WEIGHT),
    }
    assert found == pytest.approx(expected, rel=1e-6)
    assert set(found) == set(routine.names(None))


def test_the_calibration_error_is_that_of_fifteen_bins():
    confidence, right = CHANCES.max(1), CLASSES == SAID
    place = np.ceil(confidence * 15).astype(int)
    gaps = [abs((WEIGHT * (right - confidence))[place == one].sum()) for one in range(1, 16)]
    found = ClassificationScores(extra=["ece"])(look({"logits": LOGITS}, CLASSES)).scores["val/ece"]
    assert found == pytest.approx(sum(gaps) / WEIGHT.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("routine", "name", "near"),
    [
        (ClassificationScores, "roc_acu", "roc_auc"),
        (MultiLabelScores, "average_precison", "average_precision"),
        (RegressionScores, "spearmen", "spearman"),
    ],
)
def test_an_unknown_score_names_the_nearest(routine, name, near):
    with pytest.raises(ValueError, match=f"unknown score '{name}', nearest: '{near}'"):
        routine(extra=[name])
    with pytest.raises(ValueError, match="twice"):
        routine(extra=[near, near])
    with pytest.raises(ValueError, match="known: "):
        routine(extra=["§"])


def test_labels_are_measured_one_by_one_and_together():
    logits, y = numbers.normal(size=(N, 3)), (numbers.random((N, 3)) < 0.4).astype(np.float32)
    said = (logits > 0).astype(int)
    extra = ["weighted_f1", "macro_precision", "macro_recall", "roc_auc", "average_precision"]
    routine = MultiLabelScores(extra=extra)
    found = routine(look({"logits": logits}, y)).scores
    weighted = {"sample_weight": WEIGHT}
    losses = [metrics.log_loss(y[:, one], expit(logits[:, one]), **weighted) for one in range(3)]
    expected = {
        "loss": np.mean(losses),
        "macro_f1": metrics.f1_score(y, said, average="macro", **weighted),
        "micro_f1": metrics.f1_score(y, said, average="micro", **weighted),
        "subset_accuracy": metrics.accuracy_score(y, said, **weighted),
        "hamming_loss": metrics.hamming_loss(y, said, **weighted),
        "weighted_f1": metrics.f1_score(y, said, average="weighted", **weighted),
        "macro_precision": metrics.precision_score(y, said, average="macro", **weighted),
        "macro_recall": metrics.recall_score(y, said, average="macro", **weighted),
        "roc_auc": metrics.roc_auc_score(y, logits, **weighted),
        "average_precision": metrics.average_precision_score(y, logits, **weighted),
    }
    assert found == pytest.approx({f"val/{name}": value for name, value in expected.items()}, rel=1e-6)
    assert list(found) == list(routine.names(None))
    assert set(MultiLabelScores().names(None)) == {f"val/{name}" for name in list(expected)[:5]}


def test_a_segmentation_is_measured_by_its_pixels():
    logits, y = numbers.normal(size=(N, 3, 4, 5)), numbers.integers(0, 3, (N, 4, 5))
    found = SegmentationScores()(look({"logits": logits}, y)).scores
    weight = np.repeat(WEIGHT, 20)
    true, said = y.ravel(), logits.argmax(1).ravel()
    losses = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(y), reduction="none"
    )
    expected = {
        "val/loss": np.average(losses.mean((1, 2)).numpy(), weights=WEIGHT),
        "val/pixel_accuracy": metrics.accuracy_score(true, said, sample_weight=weight),
        "val/mean_iou": metrics.jaccard_score(true, said, average="macro", sample_weight=weight),
        "val/mean_dice": metrics.f1_score(true, said, average="macro", sample_weight=weight),
    }
    assert found == pytest.approx(expected, rel=1e-6)
    assert set(found) == set(SegmentationScores().names(task_of("cross_entropy", ["logits"])))


Y = numbers.normal(size=(N, 2))
GUESS = Y + numbers.normal(size=(N, 2))
VARIANCE = numbers.exponential(size=(N, 2)) + 0.1
SCALE, DF = np.sqrt(VARIANCE), numbers.uniform(2.1, 30.0, VARIANCE.shape)
QUANTILES = GUESS[:, None] + np.array([-1.0, 0.0, 1.5])[:, None]
TENSORS = [torch.from_numpy(one) for one in (GUESS, Y)]


MIXTURE = {
    "mixing": numbers.dirichlet(np.ones(3), N),
    "means": numbers.normal(size=(N, 3, 2)),
    "variances": numbers.exponential(size=(N, 3, 2)) + 0.1,
}


def mixed_nll(y, means, variances):
    by_component = stats.norm.pdf(y[:, None], means, np.sqrt(variances)).prod(2)
    return -np.log((MIXTURE["mixing"] * by_component).sum(1)) / 2


def mean(losses):
    return np.average(losses.reshape(N, -1).mean(1), weights=WEIGHT)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", lambda: mean((GUESS - Y) ** 2)),
        ("mae", lambda: mean(np.abs(GUESS - Y))),
        ("huber", lambda: mean(torch.nn.functional.huber_loss(*TENSORS, reduction="none").numpy())),
        (
            part("huber", delta=0.3),
            lambda: mean(torch.nn.functional.huber_loss(*TENSORS, reduction="none", delta=0.3).numpy()),
        ),
        (part("mae"), lambda: mean(np.abs(GUESS - Y))),
        ("gaussian_nll", lambda: mean(-stats.norm.logpdf(Y, GUESS, np.sqrt(VARIANCE)))),
        ("laplace_nll", lambda: mean(-stats.laplace.logpdf(Y, GUESS, SCALE))),
        ("student_t_nll", lambda: mean(-stats.t.logpdf(Y, DF, GUESS, SCALE))),
        (
            "mixture_nll",
            lambda: np.average(mixed_nll(Y, MIXTURE["means"], MIXTURE["variances"]), weights=WEIGHT),
        ),
        (
            part("own", use="backends.own_losses:Asymmetric", args={"steep": 3.0}),
            lambda: mean(np.where(Y > GUESS, 3 * (Y - GUESS), GUESS - Y)),
        ),
        (
            part(
                "composite",
                losses=[
                    {"loss": "mae", "weight": 0.5},
                    {"loss": {"name": "huber", "delta": 0.3}, "weight": 2.0},
                ],
            ),
            lambda: 0.5 * mean(np.abs(Y - GUESS)) + 2 * mean(special.huber(0.3, Y - GUESS)),
        ),
        (
            "quantile",
            lambda: np.mean(
                [
                    metrics.mean_pinball_loss(Y, QUANTILES[:, one], alpha=level, sample_weight=WEIGHT)
                    for one, level in enumerate(LEVELS)
                ]
            ),
        ),
    ],
)
def test_the_loss_is_the_one_the_model_is_trained_on(loss, expected):
    """As the model sees the target; the unit of the target must not matter."""
    spread = {
        "laplace_nll": {"scale": SCALE},
        "student_t_nll": {"scale": SCALE, "df": DF},
        "mixture_nll": MIXTURE,
    }
    distribution = spread.get(loss) if isinstance(loss, str) else None
    outputs = {"y": GUESS, "quantiles": QUANTILES, **(distribution or {"variance": VARIANCE})}
    task = task_of(loss, outputs, quantiles=LEVELS)
    found = RegressionScores()(look(outputs, Y, task, invert=lambda values: 10 * values + 3)).scores
    assert found["val/loss"] == pytest.approx(expected(), rel=1e-6)
    assert set(found) == set(RegressionScores().names(task))


def test_a_spread_is_measured_in_the_unit_of_the_target():
    outputs = {"y": GUESS, "variance": VARIANCE, "quantiles": QUANTILES}
    task = task_of("gaussian_nll", outputs, quantiles=LEVELS)
    found = RegressionScores()(look(outputs, Y, task, invert=lambda values: 10 * values + 3)).scores
    true, centre, spread = 10 * Y + 3, 10 * GUESS + 3, 10 * np.sqrt(VARIANCE)
    assert found["val/nll"] == pytest.approx(mean(-stats.norm.logpdf(true, centre, spread)), rel=1e-6)
    low, high = stats.norm.interval(0.9, centre, spread)
    assert found["val/coverage_90"] == pytest.approx(mean(((low <= true) & (true <= high)) * 1.0), rel=1e-6)
    z = (true - centre) / spread
    crps = spread * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert found["val/crps"] == pytest.approx(mean(crps), rel=1e-6)
    pinball = [
        metrics.mean_pinball_loss(true, 10 * QUANTILES[:, one] + 3, alpha=level, sample_weight=WEIGHT)
        for one, level in enumerate(LEVELS)
    ]
    assert found["val/pinball"] == pytest.approx(np.mean(pinball), rel=1e-6)
    inside = (QUANTILES[:, 0] <= Y) & (QUANTILES[:, 2] >= Y)
    assert found["val/coverage_80"] == pytest.approx(mean(inside * 1.0), rel=1e-6)


@pytest.mark.parametrize("slope", [10.0, -10.0])
@pytest.mark.parametrize(
    ("spread", "theirs"),
    [
        ({"scale": SCALE}, lambda centre, size: stats.laplace(centre, size * SCALE)),
        ({"scale": SCALE, "df": DF}, lambda centre, size: stats.t(DF, centre, size * SCALE)),
    ],
)
def test_a_distribution_is_measured_in_the_unit_of_the_target(spread, theirs, slope):
    outputs = {"y": GUESS, **spread}
    loss = "student_t_nll" if "df" in spread else "laplace_nll"
    found = RegressionScores()(
        look(outputs, Y, task_of(loss, outputs), invert=lambda v: slope * v + 3)
    ).scores
    true, said = slope * Y + 3, theirs(slope * GUESS + 3, abs(slope))
    assert found["val/nll"] == pytest.approx(mean(-said.logpdf(true)), rel=1e-6)
    low, high = said.interval(0.9)
    assert found["val/coverage_90"] == pytest.approx(mean(((low <= true) & (true <= high)) * 1.0), rel=1e-6)
    assert 0 < found["val/crps"] < found["val/mae"]


@pytest.mark.parametrize("slope", [10.0, -10.0])
def test_a_mixture_is_measured_in_the_unit_of_the_target(slope):
    middle = (MIXTURE["mixing"][:, :, None] * MIXTURE["means"]).sum(1)
    outputs = {"y": middle, **MIXTURE}
    task = task_of("mixture_nll", outputs)
    found = RegressionScores()(look(outputs, Y, task, invert=lambda v: slope * v + 3)).scores
    theirs = mixed_nll(slope * Y + 3, slope * MIXTURE["means"] + 3, slope**2 * MIXTURE["variances"])
    assert found["val/nll"] == pytest.approx(np.average(theirs, weights=WEIGHT), rel=1e-6)
    assert 0 < found["val/crps"] < found["val/mae"] and 0 < found["val/coverage_90"] < 1
    assert set(found) == set(RegressionScores().names(task))


def test_an_own_loss_that_is_no_number_per_record_is_refused():
    task = task_of(part("own", use="backends.own_losses:Whole", args={}), {"y": GUESS})
    with pytest.raises(DataError, match=r"shape \(\) for 60 records"):
        RegressionScores()(look({"y": GUESS}, Y, task))


def test_a_regression_is_measured_by_what_is_asked_for():
    found = RegressionScores(extra=["mse", "mape", "pearson", "spearman"])(look({"y": GUESS}, Y)).scores
    assert found["val/mse"] == pytest.approx(mean((GUESS - Y) ** 2))
    expected = metrics.mean_absolute_percentage_error(Y, GUESS, sample_weight=WEIGHT)
    assert found["val/mape"] == pytest.approx(expected, rel=1e-6)
    cov = [np.cov(GUESS[:, one], Y[:, one], aweights=WEIGHT, ddof=0) for one in range(2)]
    expected = np.mean([one[0, 1] / np.sqrt(one[0, 0] * one[1, 1]) for one in cov])
    assert found["val/pearson"] == pytest.approx(expected, rel=1e-6)
    assert -1 < found["val/spearman"] < 1
    assert found["val/spearman"] != found["val/pearson"]


def test_a_field_is_measured_place_by_place_and_channel_by_channel():
    y, guess = numbers.normal(size=(2, N, 2, 3, 4))
    found = RegressionScores(extra=["mse"])(look({"y": guess}, y, invert=lambda values: 2 * values)).scores
    flat = [2 * np.moveaxis(one, 1, -1).reshape(-1, 2) for one in (y, guess)]
    weight = np.repeat(WEIGHT, 12)
    assert found["val/r2"] == pytest.approx(metrics.r2_score(*flat, sample_weight=weight), rel=1e-6)
    expected = metrics.root_mean_squared_error(*flat, sample_weight=weight)
    assert found["val/rmse"] == pytest.approx(expected, rel=1e-6)
    assert found["val/loss"] == pytest.approx(found["val/mse"] / 4)


def test_a_loss_that_is_none_of_a_regression_is_refused():
    with pytest.raises(SpecError, match="knows no loss 'triplet'"):
        RegressionScores().names(task_of("triplet", ["y"]))
    with pytest.raises(SpecError, match="names no levels"):
        RegressionScores().names(task_of("quantile", ["y", "quantiles"]))


CENTRES = numbers.normal(size=(3, 4))
GROUPS, TRAIN_GROUPS = numbers.integers(0, 3, N), numbers.integers(0, 3, 80)
Z = CENTRES[GROUPS] + numbers.normal(size=(N, 4))
TRAIN_Z = CENTRES[TRAIN_GROUPS] + numbers.normal(size=(80, 4))


def look_at_embedding(loss):
    train = ({"embedding": TRAIN_Z}, TRAIN_GROUPS)
    return look({"embedding": Z}, GROUPS, task_of(loss, ["embedding"]), train=train)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("neighbours", [1, 7])
def test_neighbours_of_the_train_split_vote(metric, neighbours):
    routine = EmbeddingScores(metric=metric, neighbours=neighbours)
    found = routine(look_at_embedding("triplet")).scores
    votes, first = (
        KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(TRAIN_Z, TRAIN_GROUPS)
        for k in (neighbours, 1)
    )
    expected = votes.score(Z, GROUPS, sample_weight=WEIGHT)
    assert found["val/knn_accuracy"] == pytest.approx(expected, rel=1e-6)
    assert found["val/recall_at_1"] == pytest.approx(first.score(Z, GROUPS, sample_weight=WEIGHT), rel=1e-6)
    assert set(found) == set(routine.names(task_of("triplet", ["embedding"])))


def test_on_train_no_record_is_its_own_neighbour():
    view = look_at_embedding("triplet")
    found = EmbeddingScores(split="train", neighbours=1)(view).scores
    model = KNeighborsClassifier(2, metric="cosine", algorithm="brute").fit(TRAIN_Z, TRAIN_GROUPS)
    other = TRAIN_GROUPS[model.kneighbors(TRAIN_Z, return_distance=False)[:, 1]]
    assert found == pytest.approx(
        dict.fromkeys(("train/knn_accuracy", "train/recall_at_1"), (other == TRAIN_GROUPS).mean())
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("triplet", lambda: triplet(Z, GROUPS, weight=WEIGHT)),
        (part("triplet", margin=1.0), lambda: triplet(Z, GROUPS, margin=1.0, weight=WEIGHT)),
        ("supervised_contrastive", lambda: supervised_contrastive(Z, GROUPS, weight=WEIGHT)),
        (
            part("supervised_contrastive", temperature=0.5),
            lambda: supervised_contrastive(Z, GROUPS, temperature=0.5, weight=WEIGHT),
        ),
    ],
)
def test_the_loss_of_an_embedding_is_the_one_it_is_trained_on(loss, expected):
    """The losses themselves are compared with the papers in tests/validation/test_contrastive.py."""
    assert EmbeddingScores()(look_at_embedding(loss)).scores["val/loss"] == pytest.approx(expected())


def test_an_embedding_without_classes_has_neighbours_only_if_somebody_says_it_has_classes():
    task = task_of("nt_xent", ["embedding"])
    assert EmbeddingScores().names(task) == ()
    assert EmbeddingScores()(look_at_embedding("nt_xent")).scores == {}
    routine = EmbeddingScores(labelled=True)
    assert routine.names(task) == ("val/knn_accuracy", "val/recall_at_1")
    assert set(routine(look_at_embedding("nt_xent")).scores) == set(routine.names(task))
    assert EmbeddingScores(labelled=False).names(task_of("triplet", ["embedding"])) == ("val/loss",)
    with pytest.raises(DataError, match="labelled"):
        routine(look({"embedding": Z}, np.zeros((N, 1)), task, train=({"embedding": Z}, GROUPS)))


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"neighbours": 2.0}, {"metric": "manhattan"}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EmbeddingScores(**wrong)


@pytest.mark.parametrize(
    ("routine", "output"),
    [
        (ClassificationScores, "logits"),
        (MultiLabelScores, "logits"),
        (SegmentationScores, "logits"),
        (RegressionScores, "y"),
        (EmbeddingScores, "embedding"),
    ],
)
def test_a_routine_reads_its_output_and_leaves_the_loss_of_train_to_the_loop(routine, output):
    with pytest.raises(SpecError, match=f"reads '{output}'"):
        routine().names(task_of("mse", ["something"]))
    on_train = routine(split="train").names(None)
    assert "train/loss" not in on_train
    assert set(on_train) == {name.replace("val/", "train/") for name in routine().names(None)} - {
        "train/loss"
    }


@pytest.mark.parametrize(
    ("routine", "outputs", "y"),
    [
        (ClassificationScores(), {"logits": LOGITS * np.nan}, CLASSES),
        (MultiLabelScores(), {"logits": LOGITS * np.nan}, LOGITS > 0),
        (SegmentationScores(), {"logits": np.full((N, 2, 3), np.nan)}, np.zeros((N, 3), int)),
        (RegressionScores(), {"y": Y * np.nan, "variance": VARIANCE}, Y),
        (EmbeddingScores(), {"embedding": Z * np.nan}, GROUPS),
    ],
)
def test_a_model_that_gives_nan_has_no_scores(routine, outputs, y):
    found = routine(look(outputs, y, train=({"embedding": TRAIN_Z}, TRAIN_GROUPS))).scores
    assert len(found) >= 3
    assert all(np.isnan(value) for value in found.values()), found
