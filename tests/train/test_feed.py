import numpy as np
import pytest

from trainwright.train.feed import ArrayFeed


def make(records=10, batch=3, seed=0):
    x = np.arange(records, dtype=np.float32)[:, None]
    return ArrayFeed({"x": x, "y": x[:, 0], "weight": x[:, 0]}, batch_size=batch, seed=seed)


@pytest.mark.parametrize(
    ("records", "batch", "sizes"), [(10, 3, [3, 3, 3, 1]), (9, 3, [3, 3, 3]), (2, 5, [2])]
)
def test_every_record_comes_once_per_epoch_and_the_last_step_may_be_smaller(records, batch, sizes):
    feed = make(records, batch)
    for epoch in range(3):
        steps = range(epoch * feed.steps_per_epoch, (epoch + 1) * feed.steps_per_epoch)
        drawn = [feed.indices(step) for step in steps]
        assert [len(one) for one in drawn] == sizes
        assert sorted(np.concatenate(drawn)) == list(range(records))


def test_a_step_is_the_same_whichever_steps_were_asked_for_before():
    forward, backward = make(), make()
    one = [forward.indices(step).tolist() for step in range(12)]
    other = [backward.indices(step).tolist() for step in reversed(range(12))]
    assert one == other[::-1]


def test_epochs_and_seeds_have_orders_of_their_own():
    feed, other = make(50, 50), make(50, 50, seed=1)
    assert feed.indices(0).tolist() != feed.indices(1).tolist() != other.indices(1).tolist()


def test_a_batch_holds_the_records_of_its_step():
    feed = make()
    batch = feed.batch(5)
    np.testing.assert_array_equal(batch.x[:, 0], batch.ids)
    np.testing.assert_array_equal(batch.weight, batch.y)
