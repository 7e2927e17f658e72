import numpy as np

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.values import judge_embedding


def shown(folder, classes, records=60):
    numbers = np.random.default_rng(0)
    y = None if classes is None else np.arange(records) % classes
    judgement = judge_embedding(numbers.normal(size=(records, 4)), y, weight=None)
    return page_of(*record_run(folder, task="embedding", judgement=judgement))


def test_each_class_has_a_colour_and_its_name(tmp_path):
    page = shown(tmp_path, 3)
    assert page.count("embedding", "name") == page.count("embedding", "key") == 3
    assert page.count("embedding", "rest") == 0 and "60 embeddings" in page.text("embedding")


def test_of_many_classes_the_rare_ones_are_grey(tmp_path):
    page = shown(tmp_path, 20, records=105)  # the first five are more frequent
    assert page.count("embedding", "key") == 12 and page.count("embedding", "rest") == 1
    grey = page.source.split('class="cloud rest" d="')[1].split('"')[0].count("M")
    assert grey == 105 - (5 * 6 + 7 * 5)


def test_records_without_classes_have_one_colour(tmp_path):
    page = shown(tmp_path, None)
    assert "no classes" in page.text("embedding") and page.count("embedding", "cloud") == 1


def test_a_projection_that_is_not_finite_is_not_drawn(tmp_path):
    judgement = judge_embedding(np.full((5, 3), np.nan), None, weight=None)
    assert "embedding" not in page_of(*record_run(tmp_path, task="embedding", judgement=judgement)).sections
