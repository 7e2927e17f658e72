import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainwright.base.errors import DataError
from trainwright.data import ragged
from trainwright.data.ragged import pad_sequences, pad_tokens, ragged_of, read_ragged_npz
from trainwright.data.tables import read_parquet

RNG = np.random.default_rng(8)
LENGTHS = [3, 1, 7, 2, 7]
SERIES = [RNG.normal(size=(length, 2)) for length in LENGTHS]
WORDS = [RNG.integers(1, 50, size=length) for length in LENGTHS]


def padded_by_hand(series, length):
    channels = series[0].shape[1]
    out = np.zeros((len(series), channels + 1, length))
    for record, one in enumerate(series):
        for step in range(min(length, len(one))):
            for channel in range(channels):
                out[record, channel, step] = one[step, channel]
            out[record, channels, step] = 1.0
    return out


SPELLINGS = {
    "list": SERIES,
    "lists of lists": [one.tolist() for one in SERIES],
    "pair": (np.concatenate(SERIES), np.array(LENGTHS)),
    "arrow": pa.array([one.tolist() for one in SERIES]),
    "arrow, fixed steps": pa.array([one.tolist() for one in SERIES], pa.list_(pa.list_(pa.float64(), 2))),
    "arrow, large": pa.array([one.tolist() for one in SERIES], pa.large_list(pa.large_list(pa.float64()))),
    "arrow, chunks": pa.chunked_array([pa.array([one.tolist()]) for one in SERIES]),
    "arrow, a slice": pa.array([[[9.0, 9.0]], *(one.tolist() for one in SERIES), [[8.0, 8.0]]]).slice(1, 5),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_padding_is_what_a_loop_would_do(spelling):
    found = pad_sequences(SPELLINGS[spelling], dtype="float64")
    assert np.array_equal(found.values, padded_by_hand(SERIES, 7))
    assert found.truncated == 0


@pytest.mark.parametrize(
    ("how", "length", "truncated"),
    [
        ({}, 7, 0),
        ({"max_length": 7}, 7, 0),
        ({"max_length": 2}, 2, 3),
        ({"max_length": 20}, 7, 0),  # no longer than the longest
        ({"min_length": 9}, 9, 0),
        ({"min_length": 4, "max_length": 4}, 4, 2),
    ],
)
def test_the_length_is_between_its_bounds_and_cut_records_are_counted(how, length, truncated):
    found = pad_sequences(SERIES, **how)
    assert found.values.dtype == np.float32
    assert np.array_equal(found.values, padded_by_hand(SERIES, length).astype(np.float32))
    assert found.truncated == truncated
    tokens = pad_tokens(WORDS, **how)
    by_hand = [[*one[:length], *[0] * (length - len(one))] for one in WORDS]
    assert tokens.values.tolist() == by_hand and tokens.values.dtype == np.int64
    assert tokens.truncated == truncated


def test_a_sequence_of_numbers_has_one_channel():
    assert pad_sequences([[1, 2], [3]]).values.tolist() == [[[1, 2], [1, 1]], [[3, 0], [1, 0]]]


def test_numbers_are_kept_in_the_precision_that_is_asked_for():
    assert pad_sequences([[0.1]], dtype="float64").values[0, 0, 0] == 0.1
    assert pad_sequences([[0.1]]).values[0, 0, 0] == np.float32(0.1)


@pytest.mark.parametrize(
    ("sequences", "says"),
    [
        ([], "no sequences"),
        ([[1.0], [], [2.0]], "record 1 is a sequence of length 0"),
        ([[1.0], 3.0], "record 1 holds '3.0', which is no sequence"),
        ([[1.0], ["a"]], "record 1 holds .* no sequence of numbers"),
        ([[[1.0, 2.0]], [[1.0]]], r"record 1 has shape \(1, 1\), the first one \(1, 2\)"),
        ([[[1.0, 2.0], [1.0]]], "record 0: its steps have different numbers of channels"),
        ((np.zeros(3), [1, 1]), "add up to 2, but there are 3 values"),
        ((np.zeros(3), [4, -1]), "record 1 is a sequence of length -1"),
        ((np.zeros(3), [1.0, 2.0]), "lengths of sequences are integers"),
        ((np.zeros((3, 0)), [3]), r"shape \(3, 0\)"),
        ((np.zeros((3, 1, 1)), [3]), r"shape \(3, 1, 1\)"),
        ((np.array(["a"]), [1]), "hold numbers"),
        ((np.zeros(3), [[3]]), "no sequences"),
        (pa.array([1, 2]), "the column holds int64, not lists"),
        (pa.array([[1], None]), r"record 1 holds no sequence \(null\); 1 are missing"),
        (pa.array([[1], [2, None]]), r"record 1 holds a missing value \(1 in all\)"),
        (pa.array([[[1, 2]], [[2, 3], [None, 3]]]), "record 1 holds a missing value"),
        (pa.array([[[1, 2]], [[2, 3], [3]]]), "record 1: a step has 1 channels, the first has 2"),
        (pa.array([["a"]]), "the lists hold string"),
        (pa.array([[[[1.0]]]]), "the lists hold list"),
    ],
)
def test_what_are_no_sequences_says_where(sequences, says):
    with pytest.raises(DataError, match=says):
        ragged_of(sequences)


def test_lengths_that_overflow_when_added_are_refused():
    with pytest.raises(DataError, match="add up to"):
        ragged_of((np.zeros(0), np.array([2**62, 2**62, 2**62, 2**62])))


@pytest.mark.parametrize(
    ("sequences", "says"),
    [
        ([[1, 2], [3, 0]], "record 1 holds the token id 0; ids begin at 1"),
        ([[1], [2], [-4, 1]], "record 2 holds the token id -4"),
        ([np.array([2**63], dtype=np.uint64)], "record 0 holds the token id 9223372036854775808"),
        ([[1.0]], "token ids are integers"),
        ([[[1, 2]]], "one per place"),
        ([[True]], "token ids are integers"),
    ],
)
def test_what_are_no_token_ids_says_where(sequences, says):
    with pytest.raises(DataError, match=says):
        pad_tokens(sequences)


@pytest.mark.parametrize("pad", [pad_sequences, pad_tokens])
def test_one_endless_sequence_among_many_does_not_take_all_memory(pad, monkeypatch):
    monkeypatch.setattr(ragged, "hardware", lambda: {"memory_bytes": 2**30})
    lengths = np.ones(100_000, dtype=np.int64)
    lengths[5] = 100_000
    values = np.ones(lengths.sum(), dtype=np.int64)
    with pytest.raises(DataError, match=r"do not fit into 1 GB of memory; give a smaller `max_length`"):
        pad((values, lengths))
    assert pad((values, lengths), max_length=2).truncated == 1


@pytest.mark.parametrize("how", [{"max_length": 0}, {"min_length": 0}, {"min_length": 3, "max_length": 2}])
def test_bounds_that_cannot_hold_are_a_mistake_of_the_caller(how):
    with pytest.raises(ValueError, match="min_length"):
        pad_sequences([[1.0]], **how)
    with pytest.raises(ValueError, match="float32 or float64"):
        pad_sequences([[1.0]], dtype="int64")


def test_sequences_are_read_from_npz_and_from_parquet_alike(tmp_path):
    np.savez(tmp_path / "s.npz", signal=np.concatenate(SERIES), signal_lengths=np.array(LENGTHS))
    pq.write_table(pa.table({"signal": [one.tolist() for one in SERIES]}), tmp_path / "s.parquet")
    column = read_parquet(tmp_path / "s.parquet").arrow.column("signal")
    for found in (read_ragged_npz(tmp_path / "s.npz", "signal"), ragged_of(column)):
        assert found.lengths.tolist() == LENGTHS
        assert np.array_equal(found.values, np.concatenate(SERIES))


def test_an_npz_file_without_lengths_or_with_wrong_ones_is_refused(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, x=np.zeros(3), z=np.zeros(3), z_lengths=[5])
    with pytest.raises(DataError, match=r"s\.npz: no array 'x_lengths'; .*there are: x, z, z_lengths"):
        read_ragged_npz(path, "x")
    with pytest.raises(DataError, match=r"s\.npz: array 'z': the lengths add up to 5"):
        read_ragged_npz(path, "z")
