import pytest

from trainwright.base.errors import DataError
from trainwright.foreign.collector import Collector, take_tree


def nested(depth):
    tree = 1
    for _ in range(depth):
        tree = {"a": tree}
    return tree


def test_a_tree_may_be_64_deep_and_no_deeper():
    found = Collector(0)
    take_tree(found, nested(64))
    assert list(found.values.values()) == [1]
    with pytest.raises(DataError, match="nested deeper than 64"):
        take_tree(Collector(0), nested(65))


@pytest.mark.parametrize("key", [None, True, 1.0, b"a", 2**70], ids=repr)
def test_a_key_that_is_no_name_is_refused(key):
    with pytest.raises(DataError, match=r"a key is \w+, not text or a whole number"):
        take_tree(Collector(0), {key: 1})


def test_all_text_together_is_limited(monkeypatch):
    monkeypatch.setattr("trainwright.foreign.collector.MAX_TEXT_BYTES", 20)
    found = Collector(0)
    found.value(("a",), "xyz")  # 1 and 3 bytes, and 8 more for each
    with pytest.raises(DataError, match="names and values have more than 20 bytes"):
        Collector(0).value(("a",), "wxyz")
    with pytest.raises(DataError, match="names and values"):
        found.value(("b",), 1)
