import numpy as np
import pytest

from trainwright.base.errors import StoreError
from trainwright.store.records import Plot


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0.5, "score"),
        (float("nan"), "score"),
        (np.float32(0.5), "score"),
        (np.arange(6.0).reshape(2, 3), "array"),
        (Plot("<svg/>"), "plot"),
        ({"rows": [1, 2], "worst": float("-inf")}, "table"),
        ("hello ä", "text"),
    ],
)
def test_an_artifact_comes_back_as_it_was(registry, begin, value, kind):
    run = begin()
    run.artifact("val/thing", value, step=3)
    (row,) = registry.artifacts(run.id)
    assert (row.kind, row.name, row.step) == (kind, "val/thing", 3)
    np.testing.assert_equal(registry.artifact_value(row), value)


@pytest.mark.parametrize("value", [object(), [1], None, {"a": object()}, np.array(["text"])])
def test_an_artifact_of_an_unknown_kind_is_refused(registry, begin, value):
    run = begin()
    with pytest.raises(StoreError):
        run.artifact("a", value)
    assert registry.artifacts(run.id) == []
