import numpy as np
import pytest
from scipy.stats import kstest

from trainwright.base.random import at, stream, uniform
from trainwright.ops.augmentation import Augmentation, draw, draw_between, draw_normal
from trainwright.ops.images import (
    ColorJitter,
    HorizontalFlip,
    RandomCrop,
    RandomErasing,
    RandomRotation,
    VerticalFlip,
)
from trainwright.ops.sequences import GaussianNoise, RandomResample, RandomScale, RandomShift, TimeMask

S = stream(3, "augment", "0")
RECORDS = np.array([5, 900, 17, 2**31 - 1, 0, 18, 6])
IMAGES = np.random.default_rng(0).normal(size=(7, 3, 9, 8)).astype(np.float32)
SEQUENCES = np.random.default_rng(1).normal(size=(7, 2, 33)).astype(np.float32)
RAGGED = np.concatenate([SEQUENCES, np.ones((7, 1, 33), np.float32)], axis=1)
for number in range(7):
    RAGGED[number, :, 33 - 3 * number :] = 0.0

CASES = [
    (HorizontalFlip(), IMAGES),
    (VerticalFlip(), IMAGES),
    (RandomCrop(3), IMAGES),
    (RandomCrop(3, mode="reflect"), IMAGES),
    (RandomRotation(50), IMAGES),
    (RandomErasing(), IMAGES),
    (ColorJitter(0.5, 0.5), IMAGES),
    (RandomScale(0.5, 2.0), IMAGES),
    (GaussianNoise(0.1), IMAGES),
    (RandomShift(5), SEQUENCES),
    (RandomShift(5, mode="wrap"), SEQUENCES),
    (RandomShift(5, mode="edge"), SEQUENCES[:, 0]),
    (TimeMask(4), SEQUENCES),
    (RandomResample(0.7, 1.3), SEQUENCES),
    (GaussianNoise(0.1), SEQUENCES[:, 0]),
    (RandomShift(5), RAGGED),
    (RandomScale(0.5, 2.0, mask=True), RAGGED),
    (GaussianNoise(0.1, mask=True), RAGGED),
    (TimeMask(4, mask=True), RAGGED),
    (RandomResample(0.7, 1.3, mask=True), RAGGED),
]
ids = [f"{type(op).__name__}-{x.shape}" for op, x in CASES]


@pytest.mark.parametrize(("op", "x"), CASES, ids=ids)
def test_what_happens_to_a_record_does_not_depend_on_its_batch(op, x):
    whole = op(x, stream=S, records=RECORDS)
    for rows in ([0], [6, 2], [1, 1, 5], [3, 4, 5, 6, 0, 1, 2]):
        part = op(x[rows], stream=S, records=RECORDS[rows])
        assert np.array_equal(part, whole[rows])
    neighbours = op(np.concatenate([x[:1], x[1:] * 9]), stream=S, records=RECORDS)
    assert np.array_equal(neighbours[0], whole[0])


@pytest.mark.parametrize(("op", "x"), CASES, ids=ids)
def test_another_stream_and_another_record_give_another_change(op, x):
    whole = op(x, stream=S, records=RECORDS)
    assert not np.array_equal(op(x, stream=at(S, 1), records=RECORDS), whole)
    assert not np.array_equal(op(x, stream=S, records=RECORDS[::-1].copy()), whole)


@pytest.mark.parametrize(("op", "x"), CASES, ids=ids)
def test_the_features_keep_shape_and_kind_and_are_not_written_to(op, x):
    locked = x.copy()
    locked.flags.writeable = False
    found = op(locked, stream=S, records=RECORDS)
    assert found.shape == x.shape and found.dtype == np.float32
    assert isinstance(op, Augmentation) and np.isfinite(found).all()
    assert not np.array_equal(found, x) and not np.shares_memory(found, locked)


def test_the_numbers_of_a_record_are_those_of_its_own_stream():
    found = draw(S, RECORDS, 5)
    for row, record in zip(found, RECORDS.tolist(), strict=True):
        assert np.array_equal(row, uniform(at(S, record), 5))


def test_the_numbers_are_evenly_spread_over_records():
    u = draw(S, np.arange(20_000), 2)
    assert kstest(u[:, 0], "uniform").pvalue > 1e-3 and kstest(u[:, 1], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.03
    assert draw_between(-2.0, 6.0, of=np.array([0.0, 0.5], np.float32)).tolist() == [-2.0, 2.0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_normal_numbers_are_normal(count):
    z = draw_normal(S, np.arange(20_000), count)
    assert z.shape == (20_000, count)
    assert all(kstest(column, "norm").pvalue > 1e-3 for column in z.T)
    assert count == 1 or np.abs(np.corrcoef(z.T) - np.eye(count)).max() < 0.03


@pytest.mark.parametrize("records", [np.array([-1]), np.array([2**31])])
def test_positions_that_would_wrap_around_are_refused(records):
    with pytest.raises(ValueError, match="positions"):
        draw(S, records, 1)


def test_no_records_give_no_numbers():
    assert draw(S, RECORDS[:0], 3).shape == (0, 3)
