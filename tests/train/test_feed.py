import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.base.random import at, bits, stream
from trainwright.data.lazy import EncodedRows
from trainwright.train.feed import ArrayFeed, AugmentedFeed, StreamFeed, make_feed


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


# ------------------------------------------------------------------ streams


def streamed(records=10, batch=3, seed=0, read=None, **how):
    x = np.arange(records, dtype=np.float32)[:, None]
    read = read or (lambda rows: (x[rows], x[rows, 0], x[rows, 0]))
    return StreamFeed(read, records, batch_size=batch, seed=seed, **how)


def assert_equal_batches(one, other):
    for left, right in zip(
        (one.x, one.y, one.weight, one.ids), (other.x, other.y, other.weight, other.ids), strict=True
    ):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("steps", [range(12), [5, 5, 0, 11, 3, 4, 7]])
def test_a_stream_gives_the_batches_of_the_arrays_in_whichever_order_they_are_asked_for(steps, prefetch):
    feed, arrays = streamed(prefetch=prefetch), make()
    assert feed.arrays is None and (feed.records, feed.seed, feed.steps_per_epoch) == (10, 0, 4)
    for step in steps:
        assert_equal_batches(feed.batch(step), arrays.batch(step))
        np.testing.assert_array_equal(feed.indices(step), arrays.indices(step))
        np.testing.assert_array_equal(feed.span(4, 7), arrays.span(4, 7))


def test_the_next_batch_is_read_in_a_thread_while_a_step_is_made():
    begun, threads = threading.Event(), []

    def read(rows):
        threads.append(threading.current_thread().name)
        if len(threads) == 2:
            begun.set()
        return rows, rows, None

    feed = streamed(read=read)
    feed.batch(0)
    assert begun.wait(10), "nobody reads ahead"
    feed.batch(1)
    assert threads[0] == threading.current_thread().name and threads[1].startswith("trainwright-feed")


@pytest.mark.parametrize(("prefetch", "reads"), [(True, 4), (False, 3)])
def test_no_more_than_one_batch_is_read_ahead(prefetch, reads):
    asked = []
    feed = streamed(
        records=100, read=lambda rows: (asked.append(len(rows)) or rows, rows, None), prefetch=prefetch
    )
    for step in range(3):
        feed.batch(step)
    time.sleep(0.05)
    assert len(asked) == reads


def test_an_error_of_reading_ahead_is_that_of_the_step_it_belongs_to():
    def read(rows):
        if set(rows.tolist()) == bad:
            raise DataError("it has become shorter")
        return rows, rows, None

    feed = streamed(read=read)
    bad = set(feed.indices(2).tolist())
    feed.batch(0)
    feed.batch(1)
    with pytest.raises(DataError, match="shorter"):
        feed.batch(2)
    assert len(feed.batch(3).x) == 1


def test_the_feed_follows_where_the_features_are():
    x = np.arange(10.0)[:, None]
    lazy = EncodedRows(x, lambda rows: rows)
    kinds = {ArrayFeed: x, StreamFeed: lazy}
    feeds = [make_feed({"x": one, "y": x[:, 0]}, batch_size=4, seed=1) for one in kinds.values()]
    assert [type(feed) for feed in feeds] == list(kinds)
    for step in range(6):
        one, other = (feed.batch(step) for feed in feeds)
        np.testing.assert_array_equal(one.x, other.x)
        assert one.weight is None and other.weight is None


# ------------------------------------------------------------- augmentations


def noise(x, *, stream, records):
    """Adds a number that goes by the stream and the record alone."""
    drawn = bits(stream, records.astype(np.int32)).astype(np.float32) / 2**31
    return x + drawn[:, None]


def shift(x, *, stream, records):
    return 10 * x


def test_an_augmented_feed_changes_inputs_and_nothing_else():
    plain = make()
    feed = AugmentedFeed(plain, [shift], seed=0)
    assert feed.arrays is None and (feed.records, feed.seed, feed.steps_per_epoch) == (10, 0, 4)
    for step in range(8):
        one, other = feed.batch(step), plain.batch(step)
        np.testing.assert_array_equal(one.x, 10 * other.x)
        assert_equal_batches(replace(one, x=other.x), other)
        np.testing.assert_array_equal(feed.indices(step), plain.indices(step))
    np.testing.assert_array_equal(feed.span(0, 3), plain.span(0, 3))
    assert feed.batch(0).x.flags.c_contiguous


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("first", [0, 4, 6])  # of the span: an epoch's begin, its ragged end, the next epoch
def test_processes_take_the_batches_of_a_step_in_turn(augmented, first):
    whole = make(records=40, batch=9)  # 5 steps, the last one of 4 records
    if augmented:
        whole = AugmentedFeed(whole, [shift], seed=0)
    shares = [whole.share(number, of=3, batch_size=2) for number in range(3)]
    for step in range(first, 5 if first < 5 else 8):
        expected = [[], [], []]
        for place, record in enumerate(whole.indices(step)):
            expected[place // 2 % 3].append(record)
        for one, records in zip(shares, expected, strict=True):
            assert one.indices(step).tolist() == records
            batch, all_of_it = one.batch(step), whole.batch(step)
            chosen = np.isin(all_of_it.ids, records)
            np.testing.assert_array_equal(batch.x, all_of_it.x[chosen])
            np.testing.assert_array_equal(batch.ids, all_of_it.ids[chosen])
    last = 5 if first < 5 else 8
    for one in shares:
        expected = np.concatenate([one.indices(step) for step in range(first, last)])
        np.testing.assert_array_equal(one.span(first, last), expected)
    assert all(one.steps_per_epoch == whole.steps_per_epoch for one in shares)


def test_each_augmentation_has_a_stream_of_its_own_per_place_and_epoch():
    heard = []

    def listen(x, *, stream, records):
        heard.append((stream, records.tolist()))
        return x

    feed = AugmentedFeed(make(), [listen, listen], seed=7)
    for step in (0, 1, 4):
        feed.batch(step)
    expected = [at(stream(7, "augment", str(place)), epoch) for epoch in (0, 0, 1) for place in (0, 1)]
    assert [keys for keys, _ in heard] == expected
    assert heard[2][1] == heard[3][1] == feed.indices(1).tolist()


def test_what_happens_to_a_record_does_not_depend_on_its_batch():
    def of_records(batch):
        feed = AugmentedFeed(make(batch=batch), [noise], seed=0)
        found = {}
        for step in range(feed.steps_per_epoch):
            one = feed.batch(step)
            found |= dict(zip(one.ids.tolist(), one.x[:, 0].tolist(), strict=True))
        return found

    assert of_records(3) == of_records(10) != of_records(3) | {0: 0.0}


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)])
def test_another_epoch_or_seed_changes_records_otherwise(seed, epoch):
    def first(seed, epoch):
        feed = AugmentedFeed(make(batch=10), [noise], seed=seed)
        batch = feed.batch(epoch)
        return batch.x[np.argsort(batch.ids), 0]

    assert not np.isclose(first(0, 0), first(seed, epoch)).any()


def test_two_views_of_a_record_differ_and_the_order_of_steps_holds():
    feed, plain = AugmentedFeed(make(), [noise, shift], seed=0, views=2), make()
    batch = feed.batch(1)
    assert batch.x.shape == (3, 2, 1) and len(batch.y) == 3
    base = at(stream(0, "augment", "0"), 0)
    for view in (0, 1):
        expected = 10 * noise(plain.batch(1).x, stream=at(base, view), records=batch.ids)
        np.testing.assert_array_equal(batch.x[:, view], expected)
    assert not np.isclose(batch.x[:, 0], batch.x[:, 1]).any()
