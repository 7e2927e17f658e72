import time

import numpy as np
import pytest
from scipy.stats import kstest

from trainwright.base.errors import DataError
from trainwright.base.random import stream
from trainwright.ops.sequences import GaussianNoise, RandomResample, RandomScale, RandomShift, TimeMask

S = stream(0, "augment", "0")
N = 3000
RECORDS = np.arange(N)
X = np.random.default_rng(0).normal(size=(N, 2, 20)).astype(np.float32)


def ragged(lengths, length=20):
    x = np.random.default_rng(1).normal(2.0, 1.0, size=(len(lengths), 3, length)).astype(np.float32)
    x[:, -1] = np.arange(length) < np.array(lengths)[:, None]
    return x * x[:, -1:]


RAGGED = ragged(np.arange(N) % 21)
VALUES, MASK = RAGGED[:, :-1], RAGGED[:, -1]


def run(op, x=X):
    return op(x, stream=S, records=RECORDS[: len(x)])


def moved(x, by, mode):
    """Moves along the last axis, the slow and plain way."""
    if mode == "wrap":
        return np.roll(x, by, axis=-1)
    padded = np.pad(x, ((0, 0), (0, 0), (20, 20)), mode="constant" if mode == "zeros" else "edge")
    return padded[..., 20 - by : 40 - by]


@pytest.mark.parametrize("mode", ["zeros", "wrap", "edge"])
@pytest.mark.parametrize("max_shift", [1, 4])
@pytest.mark.parametrize("x", [X, RAGGED], ids=["full", "ragged"])
def test_a_sequence_moves_by_each_distance_as_often_and_its_mask_with_it(mode, max_shift, x):
    found = run(RandomShift(max_shift, mode=mode), x)
    distances = range(-max_shift, max_shift + 1)
    fits = np.stack([(found == moved(x, by, mode)).all(axis=(1, 2)) for by in distances])
    assert fits.any(axis=0).all()
    if x is X:
        expected = N / len(distances)
        assert np.abs(fits.sum(axis=1) - expected).max() < 5 * np.sqrt(expected)


def test_a_sequence_without_channels_moves_too():
    assert np.array_equal(run(RandomShift(3), X[:, 0]), run(RandomShift(3), X[:, :1])[:, 0])


def test_a_factor_multiplies_a_record_but_not_its_mask():
    found = run(RandomScale(0.5, 3.0))
    factor = (found / X)[:, 0, 0]
    np.testing.assert_allclose(found, X * factor[:, None, None], rtol=1e-5)
    assert kstest((factor - 0.5) / 2.5, "uniform").pvalue > 1e-3

    masked = run(RandomScale(0.5, 3.0, mask=True), RAGGED)
    np.testing.assert_allclose(masked[:, :-1], VALUES * factor[:, None, None], rtol=1e-5)
    assert np.array_equal(masked[:, -1], MASK)


def test_noise_is_normal_and_independent_for_each_value():
    noise = (run(GaussianNoise(0.25)) - X).astype(np.float64)
    assert noise.std() == pytest.approx(0.25, rel=0.01)
    assert kstest(noise.ravel() / 0.25, "norm").pvalue > 1e-3
    flat = noise.reshape(N, -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(40)).max() < 0.1


def test_noise_leaves_mask_and_padding_as_they_are():
    found = run(GaussianNoise(0.25, mask=True), RAGGED)
    assert np.array_equal(found[:, -1], MASK)
    there = np.broadcast_to(MASK[:, None] > 0, VALUES.shape)
    assert (found[:, :-1][~there] == 0).all()
    assert (found[:, :-1] - VALUES)[there].std() == pytest.approx(0.25, rel=0.02)
    assert (run(GaussianNoise(0.25), RAGGED)[:, -1] != MASK).all()


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("width", [1, 7])
def test_a_span_is_erased_in_a_part_p_of_the_sequences(p, width):
    found = run(TimeMask(width, p=p))
    gone = found[:, 0] == 0
    assert np.array_equal(gone, found[:, 1] == 0) and np.array_equal(found[found != 0], X[found != 0])
    hit = gone.any(axis=1)
    assert hit.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / N))
    assert (gone.sum(axis=1) == width * hit).all()
    begin = gone[hit].argmax(axis=1)
    assert (gone[hit].cumsum(axis=1).argmax(axis=1) - begin == width - 1).all()  # in one piece
    if p == 1.0:
        assert np.abs(np.bincount(begin, minlength=21 - width) - N / (21 - width)).max() < 5 * np.sqrt(
            N / (21 - width)
        )


def test_a_span_of_a_ragged_sequence_lies_where_values_are():
    found = run(TimeMask(4, p=1.0, mask=True), RAGGED)
    assert np.array_equal(found[:, -1], MASK)
    lost = ((found[:, 0] == 0) & (VALUES[:, 0] != 0)).sum(axis=1)
    assert np.array_equal(lost, np.minimum(MASK.sum(axis=1), 4))
    later = np.roll(RAGGED[5:6], 9, axis=2)  # five values, from place 9 on
    assert (run(TimeMask(4, p=1.0, mask=True), later)[0, 0, 9:14] == 0).sum() == 4


def test_a_stretched_sequence_agrees_with_numpys_interpolation():
    op = RandomResample(0.5, 2.0)
    # A straight line through the middle shows by its slope by how much it was stretched.
    line = np.broadcast_to(np.arange(20, dtype=np.float32) - 9.5, (N, 1, 20)).copy()
    factor = 1.0 / (run(op, line)[:, 0, 10] - run(op, line)[:, 0, 9])
    assert kstest((factor - 0.5) / 1.5, "uniform").pvalue > 1e-3
    place = np.arange(20)
    for record in range(50):
        for channel in range(2):
            expected = np.interp(9.5 + (place - 9.5) / factor[record], place, X[record, channel])
            np.testing.assert_allclose(run(op)[record, channel], expected, atol=1e-4)


def test_a_stretch_by_one_changes_nothing():
    assert np.array_equal(run(RandomResample(1.0, 1.0)), X)
    assert np.array_equal(run(RandomResample(1.0, 1.0, mask=True), RAGGED), RAGGED)


@pytest.mark.parametrize(
    ("factor", "values", "mask"),
    [
        (2.0, [2, 3, 4, 5, 6, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]),
        (0.5, [2, 6, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]),
        (4.0, [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5], [1] * 8),
    ],
)
def test_a_ragged_sequence_is_stretched_from_its_beginning_without_mixing_in_the_padding(
    factor, values, mask
):
    x = np.zeros((1, 2, 8), np.float32)
    x[0, 0, :3], x[0, 1, :3] = [2, 4, 6], 1
    found = run(RandomResample(factor, factor, mask=True), x)
    assert found[0].tolist() == [values, mask]


def test_a_sequence_that_fills_its_array_gets_padding_when_it_becomes_faster():
    x = np.stack([np.arange(1, 9), np.ones(8)])[None].astype(np.float32)
    found = run(RandomResample(0.5, 0.5, mask=True), x)
    assert found[0].tolist() == [[1, 3, 5, 7, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]]


def test_a_mask_stays_zero_or_one_and_padding_stays_zero():
    found = run(RandomResample(0.6, 1.7, mask=True), RAGGED)
    assert set(np.unique(found[:, -1])) == {0.0, 1.0}
    assert (found[:, :-1][np.broadcast_to(found[:, -1:] == 0, VALUES.shape)] == 0).all()
    assert (found[:, -1] != MASK).any()


ALL = [RandomShift(4), TimeMask(3), RandomResample(0.8, 1.2)]
MASKED = [
    RandomScale(0.5, 1.0, mask=True),
    GaussianNoise(0.1, mask=True),
    TimeMask(3, mask=True),
    RandomResample(0.8, 1.2, mask=True),
]


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_what_is_no_sequence_is_refused(op):
    with pytest.raises(DataError, match=f"{type(op).__name__} is for sequences"):
        run(op, X[:, None])


@pytest.mark.parametrize("op", MASKED, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("x", [X[:, 0], X[:, :1]], ids=["no channels", "nothing but a mask"])
def test_a_mask_needs_a_channel_of_its_own(op, x):
    with pytest.raises(DataError, match="the last channel a mask"):
        run(op, x)


@pytest.mark.parametrize("op", [RandomShift(20), TimeMask(20)])
def test_a_change_that_would_take_the_whole_sequence_is_refused(op):
    with pytest.raises(DataError, match="needs longer sequences than 20"):
        run(op)


@pytest.mark.parametrize(
    "op",
    [RandomShift(20), RandomScale(0.5, 2), GaussianNoise(0.1), TimeMask(9), RandomResample(0.8, 1.2)],
    ids=lambda op: type(op).__name__,
)
def test_a_thousand_sequences_take_no_time_to_speak_of(op):
    x = np.zeros((1000, 1, 784), np.float32)

    def once():
        begin = time.process_time()
        run(op, x)
        return time.process_time() - begin

    assert min(once() for _ in range(5)) < 0.05


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (RandomShift, {"max_shift": 0}),
        (RandomShift, {"max_shift": 1, "mode": "reflect"}),
        (RandomScale, {"low": 2.0, "high": 1.0}),
        (RandomScale, {"low": 1.0, "high": float("inf")}),
        (GaussianNoise, {"std": 0.0}),
        (GaussianNoise, {"std": float("nan")}),
        (TimeMask, {"width": 0}),
        (TimeMask, {"width": 1, "p": 2.0}),
        (RandomResample, {"low": 0.0, "high": 1.0}),
        (RandomResample, {"low": 1.2, "high": 0.8}),
    ],
)
def test_arguments_that_make_no_sense_are_refused(kind, args):
    with pytest.raises(ValueError):
        kind(**args)
