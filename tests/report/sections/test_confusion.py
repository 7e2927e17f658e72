"""Classes as they are confused, beside what scikit-learn says."""

import numpy as np
import pytest
from sklearn import metrics

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.decisions import judge_classes, judge_places

DASH = "\N{EN DASH}"
Y = np.repeat(np.arange(5), [10, 20, 30, 5, 5])


def judged(classes=5, y=Y):
    numbers = np.random.default_rng(0)
    logits = numbers.normal(size=(len(y), classes))
    logits[np.arange(len(y)), y] += 1.5
    names = [f"class {one}" for one in range(classes)]
    return logits.argmax(axis=1), judge_classes(logits, y, weight=None, classes=names)


def test_the_matrix_and_its_largest_confusions_are_those_of_scikit_learn(tmp_path):
    said, judgement = judged()
    page = page_of(*record_run(tmp_path, task="classification", judgement=judgement))
    matrix, pairs = page.tables("confusion")
    true = metrics.confusion_matrix(Y, said)
    shares = np.round(100 * true / true.sum(axis=1, keepdims=True))
    columns = np.round(100 * true / np.maximum(true.sum(axis=0), 1))
    for row, cells in enumerate(matrix[1:]):
        for column, cell in enumerate(cells[1:]):
            numbers = (true[row, column], shares[row, column], columns[row, column])
            assert cell == ("0" if not true[row, column] else "".join(f"{one:.0f}" for one in numbers))
    wrong = true - np.diag(np.diag(true))
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    share = f"{100 * wrong[row, column] / true[row].sum():.1f}"
    assert pairs[1][:4] == [f"class {row}", f"class {column}", str(wrong.max()), share]


def test_scores_of_classes_are_those_of_scikit_learn_the_worst_first(tmp_path):
    said, judgement = judged()
    page = page_of(*record_run(tmp_path, task="classification", judgement=judgement))
    (table,) = page.tables("classes")
    precision, recall, f1, support = metrics.precision_recall_fscore_support(Y, said)
    order = np.argsort(f1, kind="stable")
    wanted = [
        [f"class {one}", *(f"{score[one]:.3f}" for score in (precision, recall, f1)), str(support[one])]
        for one in order
    ]
    assert table[1:] == wanted
    assert "class distribution" in page.sections["classes"]["titles"]


def test_a_class_that_is_never_predicted_has_a_dash_and_no_good_score(tmp_path):
    logits = np.zeros((4, 3))
    logits[:, 0] = 1.0
    judgement = judge_classes(logits, np.array([0, 0, 1, 1]), weight=None, classes=["a", "b", "c"])
    (table,) = page_of(*record_run(tmp_path, task="classification", judgement=judgement)).tables("classes")
    found = {row[0]: row[1:] for row in table[1:]}
    assert found["b"] == [DASH, "0.000", "0.000", "2"] and found["c"] == [DASH, DASH, DASH, "0"]
    assert [row[0] for row in table[1:]] == ["b", "a", "c"]


def test_too_many_classes_for_a_matrix_still_show_what_is_confused(tmp_path):
    _, judgement = judged(45, np.arange(450) % 45)
    page = page_of(*record_run(tmp_path, task="classification", judgement=judgement))
    assert "45 classes is not drawn" in page.text("confusion") and len(page.tables("confusion")) == 1
    first, rest = page.tables("classes")
    assert len(first) == 21 and len(rest) == 26
    assert page.sections["classes"]["titles"] == []


def test_a_segmentation_counts_places_and_has_the_overlap(tmp_path):
    y = np.zeros((3, 4, 4), dtype=np.int64)
    y[:, :2] = 1
    logits = np.stack([y == 0, y == 1], axis=1).astype(float)
    logits[:, :, 0] = logits[:, ::-1, 0]  # the first row of each record is wrong
    judgement = judge_places(logits, y, weight=None, classes=["no", "yes"])
    page = page_of(*record_run(tmp_path, task="segmentation", judgement=judgement))
    (table,) = page.tables("classes")
    overlap = metrics.jaccard_score(y.reshape(-1), logits.argmax(axis=1).reshape(-1), average=None)
    assert {row[0]: row[4] for row in table[1:]} == {"no": f"{overlap[0]:.3f}", "yes": f"{overlap[1]:.3f}"}
    assert "places of the test split" in page.text("confusion")


@pytest.mark.parametrize("task", ["regression", "embedding"])
def test_other_tasks_have_no_classes_to_confuse(tmp_path, task):
    page = page_of(*record_run(tmp_path, task=task))
    assert not {"confusion", "classes", "probabilities"} & set(page.sections)
