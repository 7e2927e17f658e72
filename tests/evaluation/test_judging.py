"""Judging of every task: values against scikit-learn, intervals against repeated records."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, softmax
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.data.dataset import Records
from trainwright.data.frame import Frame
from trainwright.evaluation.decisions import judge_classes, judge_labels, judge_places
from trainwright.evaluation.judgement import add_intervals, measure
from trainwright.evaluation.samples import columns_to_cut
from trainwright.evaluation.values import judge_embedding, judge_values
from trainwright.evaluation.version import judge
from trainwright.model_op import ModelOp
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.store.artifacts import read_artifact, spell_artifact
from trainwright.validation.bootstrap import bootstrap_interval, mean_score

RNG = np.random.default_rng(21)
N = 80
WEIGHT = RNG.exponential(size=N)
LOGITS = RNG.normal(size=(N, 6)) + 2 * np.eye(6)[RNG.integers(0, 6, N)]
Y = np.where(RNG.random(N) < 0.6, LOGITS.argmax(1), RNG.integers(0, 6, N))
NAMES = list("abcdef")
COLUMN = RNG.choice(["x", "z"], size=N)


def values_of(found):
    return {name: one["value"] for name, one in found.scores.items()}


def check_intervals(found):
    """A score lies within its interval, or close by where its bootstrap is skewed; both ends differ."""
    for name, one in found.scores.items():
        assert one["low"] < one["high"], name
        width = one["high"] - one["low"]
        assert one["low"] - width < one["value"] < one["high"] + width, name


def check_kept(found):
    """Everything a judgement holds can be kept as an artifact and read again."""
    for name, value in (
        found.arrays | found.tables | {"scores": {k: dict(v) for k, v in found.scores.items()}}
    ).items():
        kind, chunks = spell_artifact(f"test/{name}", value)
        again = read_artifact(kind, b"".join(bytes(one) for one in chunks), what=name)
        if kind == "array":
            np.testing.assert_array_equal(again, value)


@pytest.fixture(scope="module")
def classified():
    return judge_classes(LOGITS, Y, weight=WEIGHT, classes=NAMES, columns={"column": COLUMN})


def test_a_classifier_is_judged_as_by_scikit_learn(classified):
    said, chances, weighted = LOGITS.argmax(1), softmax(LOGITS, axis=1), {"sample_weight": WEIGHT}
    expected = {
        "accuracy": metrics.accuracy_score(Y, said, **weighted),
        "balanced_accuracy": metrics.balanced_accuracy_score(Y, said, **weighted),
        "macro_f1": metrics.f1_score(Y, said, average="macro", **weighted),
        "macro_precision": metrics.precision_score(Y, said, average="macro", **weighted),
        "macro_recall": metrics.recall_score(Y, said, average="macro", **weighted),
        "weighted_f1": metrics.f1_score(Y, said, average="weighted", **weighted),
        "mcc": metrics.matthews_corrcoef(Y, said, **weighted),
        "loss": metrics.log_loss(Y, chances, **weighted),
        "brier": metrics.brier_score_loss(Y, chances, **weighted),
        "top_5_accuracy": metrics.top_k_accuracy_score(Y, LOGITS, k=5, **weighted),
        "roc_auc": metrics.roc_auc_score(Y, chances, multi_class="ovr", **weighted),
        "average_precision": metrics.average_precision_score(Y, chances, **weighted),
    }
    found = values_of(classified)
    assert 0 < found.pop("ece") < 1
    assert found == pytest.approx(expected, rel=1e-9)
    check_intervals(classified)
    check_kept(classified)
    assert classified.classes == NAMES
    assert classified.records == N


def test_an_interval_is_that_of_the_score_of_repeated_records(classified):
    """The first draws of the stream, taken literally: each record as often as it was drawn."""
    drawn = []
    bootstrap_interval(lambda counts: drawn.extend(counts) or counts[:, 0], N)
    again = [np.repeat(np.arange(N), one.astype(int)) for one in drawn]

    def interval(score):
        return np.quantile([score(rows) for rows in again], [0.025, 0.975])

    said = LOGITS.argmax(1)
    expected = interval(
        lambda rows: metrics.matthews_corrcoef(Y[rows], said[rows], sample_weight=WEIGHT[rows])
    )
    one = classified.scores["mcc"]
    np.testing.assert_allclose([one["low"], one["high"]], expected, rtol=1e-9)


SHARES = RNG.dirichlet(np.full(6, 0.3), N)


def test_probabilities_of_classes_are_judged_as_one_record_of_each_class():
    found = judge_classes(LOGITS, SHARES, weight=WEIGHT, classes=NAMES, columns={"column": COLUMN})
    rows, kinds = np.divmod(np.arange(SHARES.size), 6)
    weight = (WEIGHT[:, None] * SHARES).ravel()
    whole = judge_classes(LOGITS[rows], kinds, weight=weight, classes=NAMES)
    values = values_of(found)
    assert values.pop("kl") == pytest.approx(
        np.average(stats.entropy(SHARES, softmax(LOGITS, axis=1), axis=1), weights=WEIGHT)
    )
    assert values.pop("agreement") == pytest.approx(
        np.average(SHARES.argmax(1) == LOGITS.argmax(1), weights=WEIGHT)
    )
    assert values == pytest.approx(values_of(whole), rel=1e-9)
    check_intervals(found)
    check_kept(found)
    assert found.arrays["logits"] is LOGITS and found.records == N
    np.testing.assert_allclose(found.arrays["confusion_matrix"], whole.arrays["confusion_matrix"])
    worst = found.tables["samples"]["worst"][0]
    assert worst["target"] == NAMES[SHARES[worst["record"]].argmax()]
    # The interval is that of whole records: each as often as it was drawn, with all its classes.
    drawn = []
    bootstrap_interval(lambda counts: drawn.extend(counts) or counts[:, 0], N)
    again = [
        metrics.accuracy_score(kinds, LOGITS[rows].argmax(1), sample_weight=weight * np.repeat(counts, 6))
        for counts in drawn
    ]
    one = found.scores["accuracy"]
    np.testing.assert_allclose([one["low"], one["high"]], np.quantile(again, [0.025, 0.975]), rtol=1e-9)


def test_the_arrays_of_a_classifier_are_what_a_report_draws(classified):
    arrays, said = classified.arrays, LOGITS.argmax(1)
    expected = metrics.confusion_matrix(Y, said, sample_weight=WEIGHT)
    np.testing.assert_allclose(arrays["confusion_matrix"], expected)
    assert arrays["roc_curves"].shape == arrays["precision_recall_curves"].shape == (6, 200, 2)
    for one in range(6):
        chances = softmax(LOGITS, axis=1)[:, one]
        curve = arrays["roc_curves"][one]
        area = metrics.auc(curve[:, 0], curve[:, 1])
        assert area == pytest.approx(metrics.roc_auc_score(one == Y, chances, sample_weight=WEIGHT))
    assert arrays["reliability"][:, 0].sum() == pytest.approx(WEIGHT.sum())
    np.testing.assert_allclose(arrays["class_distribution"].sum(axis=1), 1.0)
    assert arrays["class_scores"].shape == (6, 4)


def test_the_best_and_the_worst_records_are_named(classified):
    losses = -np.log(softmax(LOGITS, axis=1)[np.arange(N), Y])
    samples = classified.tables["samples"]
    assert [one["record"] for one in samples["best"]] == np.argsort(losses)[:8].tolist()
    assert [one["record"] for one in samples["worst"]] == np.argsort(-losses)[:8].tolist()
    worst = samples["worst"][0]
    assert worst["loss"] == pytest.approx(losses.max())
    assert worst["target"] == NAMES[Y[worst["record"]]]
    assert worst["prediction"] == NAMES[LOGITS[worst["record"]].argmax()]


def test_scores_are_taken_slice_by_slice(classified):
    rows = {one["value"]: one for one in classified.tables["slices"]["rows"]}
    assert set(rows) == {"x", "z"}
    for value, row in rows.items():
        inside = value == COLUMN
        part = judge_classes(LOGITS[inside], Y[inside], weight=WEIGHT[inside], classes=NAMES)
        assert row["records"] == inside.sum()
        for name, score in values_of(part).items():
            assert row[name] == pytest.approx(score, rel=1e-9), name
    assert "slices" not in judge_classes(LOGITS, Y, weight=None, classes=NAMES).tables
    with pytest.raises(DataError, match="column 'k'"):
        judge_classes(LOGITS, Y, weight=None, classes=NAMES, columns={"k": np.ones(3)})


def test_a_nan_logit_leaves_no_score_and_no_interval():
    broken = LOGITS.copy()
    broken[3] = np.nan
    found = judge_classes(broken, Y, weight=None, classes=NAMES)
    assert all(np.isnan(list(one.values())).all() for one in found.scores.values()), found.scores
    assert found.tables["samples"]["worst"][0]["record"] == 3
    weight = (np.arange(N) != 3).astype(float)
    for name, one in judge_classes(broken, Y, weight=weight, classes=NAMES).scores.items():
        assert np.isfinite(list(one.values())).all(), name


def test_labels_are_judged_as_by_scikit_learn():
    logits, y = LOGITS[:, :3], (RNG.random((N, 3)) < expit(LOGITS[:, :3])).astype(np.float32)
    found = judge_labels(logits, y, weight=WEIGHT, labels=NAMES[:3], columns={"column": COLUMN})
    said, weighted = logits > 0, {"sample_weight": WEIGHT}
    expected = {
        "macro_f1": metrics.f1_score(y, said, average="macro", **weighted),
        "micro_f1": metrics.f1_score(y, said, average="micro", **weighted),
        "weighted_f1": metrics.f1_score(y, said, average="weighted", **weighted),
        "macro_precision": metrics.precision_score(y, said, average="macro", **weighted),
        "macro_recall": metrics.recall_score(y, said, average="macro", **weighted),
        "subset_accuracy": metrics.accuracy_score(y, said, **weighted),
        "hamming_loss": metrics.hamming_loss(y, said, **weighted),
        "loss": np.mean([metrics.log_loss(y[:, one], expit(logits[:, one]), **weighted) for one in range(3)]),
        "roc_auc": metrics.roc_auc_score(y, logits, **weighted),
        "average_precision": metrics.average_precision_score(y, logits, **weighted),
    }
    assert values_of(found) == pytest.approx(expected, rel=1e-9)
    check_intervals(found)
    check_kept(found)
    best = found.tables["samples"]["best"][0]
    assert best["target"] == [NAMES[n] for n in np.flatnonzero(y[best["record"]])]
    assert found.arrays["roc_curves"].shape == (3, 200, 2)


def test_a_segmentation_is_judged_as_by_scikit_learn_and_drawn_by_image():
    logits, y = RNG.normal(size=(N, 3, 4, 2)), RNG.integers(0, 3, (N, 4, 2))
    found = judge_places(logits, y, weight=WEIGHT, classes=NAMES[:3])
    true, said, weight = y.ravel(), logits.argmax(1).ravel(), np.repeat(WEIGHT, 8)
    iou = metrics.jaccard_score(true, said, average=None, sample_weight=weight)
    values = values_of(found)
    assert values["mean_iou"] == pytest.approx(iou.mean())
    np.testing.assert_allclose(found.arrays["class_iou"], iou)
    assert values["mean_dice"] == pytest.approx(
        metrics.f1_score(true, said, average="macro", sample_weight=weight)
    )
    assert values["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(true, said, sample_weight=weight))
    expected = metrics.confusion_matrix(true, said, sample_weight=weight)
    np.testing.assert_allclose(found.arrays["confusion_matrix"], expected)
    right = (logits.argmax(1) == y).reshape(N, -1).mean(1)
    low, high = bootstrap_interval(mean_score(right, WEIGHT), N)
    one = found.scores["pixel_accuracy"]
    np.testing.assert_allclose([one["low"], one["high"]], [low, high], rtol=1e-9)
    check_intervals(found)
    check_kept(found)


TRUE = RNG.normal(size=(N, 2)) * [1, 20]
GUESS = TRUE + RNG.normal(size=(N, 2)) * [0.5, 9]
VARIANCE = np.array([0.25, 81.0]) * RNG.uniform(0.5, 2, size=(N, 2))
LEVELS = [0.1, 0.5, 0.9]
QUANTILES = GUESS[:, None] + np.array([-1.3, 0, 1.3])[:, None] * np.sqrt(VARIANCE)[:, None]


def test_a_regression_is_judged_as_by_scikit_learn_and_scipy():
    outputs = {"y": GUESS, "variance": VARIANCE, "quantiles": QUANTILES}
    found = judge_values(outputs, TRUE, weight=WEIGHT, levels=LEVELS, columns={"column": COLUMN})
    weighted = {"sample_weight": WEIGHT}

    def mean(terms):
        return np.average(terms.mean(1), weights=WEIGHT)

    deviation = np.sqrt(VARIANCE)
    expected = {
        "rmse": metrics.root_mean_squared_error(TRUE, GUESS, **weighted),
        "mae": metrics.mean_absolute_error(TRUE, GUESS, **weighted),
        "r2": metrics.r2_score(TRUE, GUESS, **weighted),
        "mse": metrics.mean_squared_error(TRUE, GUESS, **weighted),
        "mape": metrics.mean_absolute_percentage_error(TRUE, GUESS, **weighted),
        "nll": mean(-stats.norm.logpdf(TRUE, GUESS, deviation)),
        "coverage_50": mean(np.abs(TRUE - GUESS) <= stats.norm.ppf(0.75) * deviation),
        "coverage_90": mean(np.abs(TRUE - GUESS) <= stats.norm.ppf(0.95) * deviation),
        "coverage_95": mean(np.abs(TRUE - GUESS) <= stats.norm.ppf(0.975) * deviation),
        "coverage_80": mean((QUANTILES[:, 0] <= TRUE) & (QUANTILES[:, 2] >= TRUE)),
        "pinball": np.mean(
            [
                metrics.mean_pinball_loss(TRUE, QUANTILES[:, one], alpha=level, **weighted)
                for one, level in enumerate(LEVELS)
            ]
        ),
    }
    values = values_of(found)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert set(values) == {*expected, "crps", "pearson", "spearman"}
    check_intervals(found)
    check_kept(found)
    arrays = found.arrays
    np.testing.assert_array_equal(arrays["residuals"], GUESS - TRUE)
    np.testing.assert_array_equal(arrays["variance"], VARIANCE)
    assert arrays["quantile_confusion"].sum(axis=(1, 2)) == pytest.approx([WEIGHT.sum()] * 2)
    np.testing.assert_allclose(arrays["quantile_coverage"][:, 0], LEVELS)
    rows = found.tables["slices"]["rows"]
    inside = rows[0]["value"] == COLUMN
    r2 = metrics.r2_score(TRUE[inside], GUESS[inside], sample_weight=WEIGHT[inside])
    assert rows[0]["r2"] == pytest.approx(r2)


def test_the_interval_of_a_correlation_is_that_of_repeated_records():
    found = judge_values({"y": GUESS[:, :1]}, TRUE[:, :1], weight=None).scores["spearman"]
    drawn = []
    bootstrap_interval(lambda counts: drawn.extend(counts) or counts[:, 0], N)
    again = [np.repeat(np.arange(N), one.astype(int)) for one in drawn]
    each = [stats.spearmanr(GUESS[rows, 0], TRUE[rows, 0]).statistic for rows in again]
    np.testing.assert_allclose([found["low"], found["high"]], np.quantile(each, [0.025, 0.975]), rtol=1e-9)


def test_fields_are_judged_place_by_place_and_drawn_by_record():
    true = RNG.normal(size=(N, 2, 3, 4))
    guess = true + RNG.normal(size=true.shape)
    found = judge_values({"y": guess, "variance": np.ones_like(true)}, true, weight=WEIGHT)
    flat = [np.moveaxis(one, 1, -1).reshape(-1, 2) for one in (true, guess)]
    weight = np.repeat(WEIGHT, 12)
    values = values_of(found)
    assert values["r2"] == pytest.approx(metrics.r2_score(*flat, sample_weight=weight))
    assert values["rmse"] == pytest.approx(metrics.root_mean_squared_error(*flat, sample_weight=weight))
    assert values["mape"] == pytest.approx(
        metrics.mean_absolute_percentage_error(*flat, sample_weight=weight)
    )
    nll = np.average(-stats.norm.logpdf(true, guess).reshape(N, -1).mean(1), weights=WEIGHT)
    assert values["nll"] == pytest.approx(nll)
    one = found.scores["mse"]
    expected = bootstrap_interval(mean_score(np.square(guess - true).reshape(N, -1).mean(1), WEIGHT), N)
    np.testing.assert_allclose([one["low"], one["high"]], expected)
    check_intervals(found)


def test_an_embedding_is_judged_by_its_neighbours():
    z = np.eye(6)[Y % 3] + RNG.normal(size=(N, 6)) * 0.4
    found = judge_embedding(z, Y % 3, weight=WEIGHT, columns={"column": COLUMN})
    cosine = z @ z.T / np.outer(np.linalg.norm(z, axis=1), np.linalg.norm(z, axis=1)) - 9 * np.eye(N)
    nearest = np.argsort(-cosine, axis=1)
    hits = (Y % 3)[nearest] == (Y % 3)[:, None]
    values = values_of(found)
    assert values["recall_at_1"] == pytest.approx(np.average(hits[:, 0], weights=WEIGHT))
    assert values["recall_at_5"] == pytest.approx(np.average(hits[:, :5].any(1), weights=WEIGHT))
    votes = [np.bincount(row, minlength=3).argmax() for row in (Y % 3)[nearest[:, :5]]]
    assert values["knn_accuracy"] == pytest.approx(np.average(votes == Y % 3, weights=WEIGHT))
    assert values["silhouette"] == pytest.approx(metrics.silhouette_score(z, Y % 3))
    assert found.arrays["projection"].shape == (N, 2)
    assert len(found.tables["slices"]["rows"]) == 2
    check_kept(found)


def test_an_embedding_without_classes_is_only_drawn():
    found = judge_embedding(RNG.normal(size=(N, 3)), None, weight=None)
    assert found.scores == {}
    assert found.arrays["projection"].shape == (N, 2)


def test_slow_scores_have_fewer_draws_and_say_how_many():
    asked = []

    def score(counts):
        asked.append(len(counts))
        return counts @ np.arange(5.0) / 5

    quick, slow = {"q": measure(score, 5)}, {"s": measure(score, 5)}
    for work, draws in ((1, 1000), (2**26 // 300, 300), (2**40, 100)):
        asked.clear()
        found = add_intervals(quick, slow, count=5, work=work)
        assert sum(asked) == 1000 + draws
        assert set(found) == {"q", "s"}


def model_of(task, outputs, *, invert=lambda values: values, encode=None, **description):
    model = ModelOp.__new__(ModelOp)
    targets = {"classification": Labels(sorted(NAMES)), "segmentation": Labels(sorted(NAMES))}
    labels = MultiLabels(tuple(map(str, range(6)))) if task == "multi_label" else None
    model.preparation = SimpleNamespace(
        targets=targets.get(task) or labels or SimpleNamespace(invert=invert),
        encode=encode or (lambda records: records),
    )
    model.schema = SimpleNamespace(task_type=task, target="t")
    model.outputs = lambda x: outputs
    model.description = {"model": description}
    return model


def records_of(y, weight=WEIGHT):
    return Records(x=np.zeros((N, 1)), y=y, weight=weight, ids=np.arange(N))


def test_a_model_is_judged_by_its_task():
    found = judge(model_of("classification", {"logits": LOGITS}), records_of(Y))
    assert found.classes == sorted(NAMES)
    assert found.scores["accuracy"]["value"] == pytest.approx(
        np.average(LOGITS.argmax(1) == Y, weights=WEIGHT)
    )
    assert judge(model_of("multi_label", {"logits": LOGITS}), records_of(LOGITS > 1)).classes == list(
        "012345"
    )
    place = model_of("segmentation", {"logits": LOGITS[:, :, None]})
    assert judge(place, records_of(Y[:, None])).classes == sorted(NAMES)
    assert "silhouette" in judge(model_of("embedding", {"embedding": LOGITS}), records_of(Y)).scores


def test_a_spread_is_judged_in_the_unit_of_the_target():
    """The model sees a target of slope 1/4; the records hold the target itself."""

    def invert(values):
        return 4 * values - 1

    outputs = {"y": (GUESS + 1) / 4, "variance": VARIANCE / 16, "quantiles": (QUANTILES + 1) / 4}
    model = model_of("regression", outputs, invert=invert, quantiles=LEVELS)
    found = judge(model, records_of(TRUE))
    expected = judge_values(
        {"y": GUESS, "variance": VARIANCE, "quantiles": QUANTILES}, TRUE, weight=WEIGHT, levels=LEVELS
    )
    assert values_of(found) == pytest.approx(values_of(expected), rel=1e-9)


def test_a_bare_output_of_one_target_fits_a_column_of_records():
    found = judge(model_of("regression", {"y": GUESS[:, :1]}), records_of(TRUE[:, 0]))
    rmse = metrics.root_mean_squared_error(TRUE[:, 0], GUESS[:, 0], sample_weight=WEIGHT)
    assert found.scores["rmse"]["value"] == pytest.approx(rmse)
    assert found.arrays["predictions"].shape == found.arrays["targets"].shape == (N, 1)


def test_only_the_first_hundred_columns_are_looked_at_part_by_part():
    frame = Frame({f"c{number}": np.arange(3.0) for number in range(103)})
    found = columns_to_cut(Records(x=frame, y=None, weight=None, ids=np.arange(3)))
    assert list(found) == [f"c{number}" for number in range(100)]
