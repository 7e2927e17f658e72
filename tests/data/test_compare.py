import numpy as np

from trainwright.data import compare
from trainwright.data.compare import count_seen, explain_seen, summarize_targets


def test_records_that_train_has_seen_are_counted_as_a_slow_loop_counts_them():
    x = np.random.default_rng(0).integers(0, 3, size=(300, 2, 2)).astype(np.float32)
    parts = {"train": x[:40], "val": x[40:120], "test": x[120:]}
    slow = {
        name: sum(any((one == other).all() for other in parts["train"]) for one in parts[name])
        for name in ("val", "test")
    }
    assert count_seen(parts) == slow and 0 < slow["val"] < 80


def test_what_is_not_in_memory_or_too_large_is_not_counted(monkeypatch):
    parts = {"train": np.eye(3), "val": np.eye(3)}
    assert count_seen({**parts, "test": [1, 2]}) == {}
    assert count_seen({**parts, "test": np.zeros((0, 3))}) == {"val": 3}
    monkeypatch.setattr(compare, "MOST_BYTES", 100)
    assert count_seen(parts) == {}


def test_nothing_seen_is_not_worth_a_word():
    assert explain_seen({"val": 0}, {"val": 3}) == {}


def test_targets_without_a_short_distribution_have_none():
    parts = {"train": np.arange(50), "val": np.array([3])}
    assert summarize_targets(parts, "classification") == {}
    assert summarize_targets({"train": np.zeros((4, 2))}, "regression") == {}
    assert summarize_targets({}, "classification") == {}
    assert summarize_targets({"train": np.zeros((4, 2, 2))}, "segmentation") == {}
    shares = summarize_targets({"train": np.array([1, 2]), "val": np.array([2])}, "classification")
    assert shares == {"train": {"1": 0.5, "2": 0.5}, "val": {"1": 0.0, "2": 1.0}}
