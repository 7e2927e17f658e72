import re

import numpy as np
import pytest
from sklearn import metrics

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.decisions import judge_classes, judge_labels


def judged(classes, records=400, strength=1.5, scale=1.0):
    numbers = np.random.default_rng(1)
    y = numbers.integers(0, classes, records)
    logits = numbers.normal(size=(records, classes))
    logits[np.arange(records), y] += strength
    logits *= scale
    return logits, y, judge_classes(logits, y, weight=None, classes=[f"k{one}" for one in range(classes)])


def shown(folder, judgement, task="classification"):
    return page_of(*record_run(folder, task=task, judgement=judgement))


def test_each_class_has_its_curves_and_the_area_of_scikit_learn(tmp_path):
    logits, y, judgement = judged(3)
    page = shown(tmp_path, judgement)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    areas = re.findall(r"k(\d) \((0\.\d+)\)", page.text("probabilities").split("0.5 is chance")[1])
    assert [int(name) for name, _ in areas[:3]] == [0, 1, 2]
    for name, area in areas[:3]:
        assert float(area) == pytest.approx(
            metrics.roc_auc_score(y == int(name), chances[:, int(name)]), abs=0.005
        )
    assert page.sections["probabilities"]["titles"] == ["ROC", "Precision over recall", "reliability diagram"]
    assert page.count("probabilities", "quiet") == 0


def test_of_many_classes_the_worst_are_coloured(tmp_path):
    _, _, judgement = judged(15)
    page = shown(tmp_path, judgement)
    assert page.count("probabilities", "quiet") == 2 * 9 and page.count("probabilities", "key") == 6
    areas = [float(one) for one in re.findall(r"k\d+ \((0\.\d+)\)", page.text("probabilities"))[:6]]
    every = [np.trapezoid(curve[:, 1], curve[:, 0]) for curve in judgement.arrays["roc_curves"]]
    assert areas == pytest.approx(sorted(every)[:6], abs=1e-3)


def test_a_class_without_records_has_no_curve_and_is_named(tmp_path):
    logits = np.random.default_rng(0).normal(size=(20, 3))
    judgement = judge_classes(logits, np.arange(20) % 2, weight=None, classes=["a", "b", "never"])
    assert "no curve for never" in shown(tmp_path, judgement).text("probabilities")


@pytest.mark.parametrize(("scale", "word"), [(5.0, "too sure"), (0.2, "too unsure")])
def test_the_calibration_error_is_that_of_the_scores_and_says_which_way(tmp_path, scale, word):
    _, _, judgement = judged(3, scale=scale)
    text = shown(tmp_path, judgement).text("probabilities")
    assert f"ECE {judgement.scores['ece']['value']:.4f}" in text and word in text


def test_labels_have_curves_but_no_calibration(tmp_path):
    numbers = np.random.default_rng(0)
    y = (numbers.random((50, 3)) < 0.5).astype(np.float32)
    judgement = judge_labels(numbers.normal(size=(50, 3)), y, weight=None, labels=["a", "b", "c"])
    page = shown(tmp_path, judgement, task="multi_label")
    assert page.sections["probabilities"]["titles"] == ["ROC", "Precision over recall"]
    assert "confusion" not in page.sections and "classes" in page.sections


def test_logits_that_are_nan_are_not_drawn_as_anything_good(tmp_path):
    logits, y, _ = judged(3)
    logits[0, 0] = np.nan
    judgement = judge_classes(logits, y, weight=None, classes=["a", "b", "c"])
    page = shown(tmp_path, judgement)
    assert "probabilities" not in page.sections
    assert page.tables("results")[0][1][1] == "nan"
