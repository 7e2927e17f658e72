import pytest

from trainwright.base.errors import StoreError
from trainwright.store import opening
from trainwright.store.live import is_live


@pytest.mark.parametrize("name", ["insert_run", "find_run"])
def test_a_beginning_that_fails_leaves_no_row_and_no_living_run(store, registry, begin, monkeypatch, name):
    def broken(*_, **__):
        raise StoreError("no")

    monkeypatch.setattr(opening, name, broken)
    with pytest.raises(StoreError, match="no"):
        begin()
    assert registry.runs() == [] and registry.models() == []
    assert not any(is_live(store.live, path.stem) for path in store.live.iterdir())


def test_a_branch_begins_at_the_step_of_its_parent(registry, begin, snapshot):
    parent = begin().save(snapshot(30)).wait()
    child = begin(parent=parent)
    assert registry.attempts(child.id)[0].from_step == 30
    assert registry.run(child.id).parent == parent.id


def test_a_branch_that_is_reopened_before_its_first_version_comes_from_its_parent(begin, reopen, snapshot):
    parent = begin().save(snapshot(30)).wait()
    child = begin(parent=parent)
    child.close()
    again = reopen(child.id, from_step=30)
    assert again.save(snapshot(31)).wait().parents == [parent.id]
