import numpy as np
import pytest

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.decisions import judge_classes, judge_places
from trainwright.evaluation.values import judge_embedding, judge_values


def kept_inputs(judgement, x):
    rows = judgement.tables["samples"]
    records = sorted({row["record"] for group in ("worst", "best") for row in rows[group]})
    return {"test/sample_inputs": x[records], "test/sample_records": np.array(records)}


def classified(records=30):
    numbers = np.random.default_rng(0)
    y = np.arange(records) % 2
    logits = numbers.normal(size=(records, 2))
    return logits, y, judge_classes(logits, y, weight=None, classes=["cat", "dog"])


def test_the_worst_and_the_best_records_of_a_table_are_listed_with_their_features(tmp_path):
    logits, y, judgement = classified()
    x = np.arange(60.0).reshape(30, 2)
    page = page_of(
        *record_run(
            tmp_path,
            task="classification",
            judgement=judgement,
            artifacts=kept_inputs(judgement, x),
            data={"features": ["age", "loss"]},
        )
    )
    worst, best = page.tables("samples")
    assert worst[0] == ["record", "loss", "true", "predicted", "probability", "age", "feature loss"]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(chances[np.arange(30), y])
    record = int(losses.argmax())
    names = ["cat", "dog"]
    said = int(logits[record].argmax())
    share = f"{100 * chances[record].max():.1f} %"
    assert worst[1] == [
        *(str(record), f"{losses.max():.4g}", names[y[record]], names[said], share),
        *(f"{one:g}" for one in x[record]),
    ]
    assert best[1][0] == str(int(losses.argmin()))


def test_images_are_drawn_and_right_answers_look_different_from_wrong_ones(tmp_path):
    _, _, judgement = classified()
    x = np.random.default_rng(0).random((30, 1, 4, 4))
    artifacts = kept_inputs(judgement, x)
    page = page_of(
        *record_run(
            tmp_path,
            task="classification",
            judgement=judgement,
            artifacts=artifacts,
            model={"input": "image"},
        )
    )
    samples = judgement.tables["samples"]
    both = [*samples["worst"], *samples["best"]]
    wrong = sum(row["target"] != row["prediction"] for row in both)
    assert page.source.count("data:image/png") == page.count("samples", "card") == len(both)
    assert page.count("samples", "bad") == wrong and page.count("samples", "good") == len(both) - wrong


def test_sequences_are_drawn_as_lines(tmp_path):
    y = np.arange(40) % 4
    z = np.random.default_rng(0).normal(size=(40, 3)) + np.eye(4, 3)[y]
    judgement = judge_embedding(z, y, weight=None)
    x = np.random.default_rng(1).normal(size=(40, 2, 30))
    page = page_of(
        *record_run(
            tmp_path,
            task="embedding",
            judgement=judgement,
            artifacts=kept_inputs(judgement, x),
            model={"input": "sequence"},
        )
    )
    assert page.count("samples", "spark") == page.count("samples", "card") == 16
    assert "1 minus silhouette" in page.text("samples") and "loss" not in page.text("samples")


def test_masks_lie_beside_the_image_with_the_names_of_their_classes(tmp_path):
    y = np.random.default_rng(0).integers(0, 2, size=(20, 4, 4))
    logits = np.random.default_rng(1).normal(size=(20, 2, 4, 4))
    judgement = judge_places(logits, y, weight=None, classes=["soil", "water"])
    artifacts = kept_inputs(judgement, np.zeros((20, 3, 4, 4)))
    records = artifacts["test/sample_records"]
    artifacts |= {
        "test/sample_targets": y[records],
        "test/sample_predictions": logits.argmax(axis=1)[records],
    }
    page = page_of(
        *record_run(
            tmp_path, task="segmentation", judgement=judgement, artifacts=artifacts, model={"input": "image"}
        )
    )
    assert page.source.count("data:image/png") == 3 * 16
    text = page.text("samples")
    assert "soil" in text and "water" in text and "% of places right" in text


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_without_inputs_the_records_are_still_listed(tmp_path, task):
    y = np.arange(30.0)[:, None]
    judgement = classified()[2] if task == "classification" else judge_values({"y": y + 1}, y, weight=None)
    page = page_of(*record_run(tmp_path, task=task, judgement=judgement))
    worst, best = page.tables("samples")
    assert len(worst) == len(best) == 9 and worst[0][:4] == ["record", "loss", "true", "predicted"]
    assert ("probability" in worst[0]) == (task == "classification")
