import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.validation.bootstrap import mean_score
from trainwright.validation.slices import cut_column, score_slices

RNG = np.random.default_rng(18)
COLUMNS = {
    "numbers": RNG.normal(size=100),
    "integers": np.arange(100) % 40,
    "few numbers": RNG.integers(0, 3, size=100) / 2,
    "text": RNG.choice(["b", "a", "missing"], size=100),
    "booleans": RNG.random(100) < 0.5,
    "many texts": np.array([f"t{n % 30}" for n in range(100)]),
    "with missing": np.where(RNG.random(100) < 0.2, np.nan, RNG.normal(size=100)),
    "constant": np.ones(100),
}


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_every_record_is_in_one_slice(values):
    rows = np.concatenate(list(cut_column(values).values()))
    assert sorted(rows.tolist()) == list(range(100))


def test_numbers_are_cut_at_their_quantiles():
    groups = cut_column(COLUMNS["numbers"], bins=5)
    assert [len(one) for one in groups.values()] == [20] * 5
    expected = np.array_split(np.sort(COLUMNS["numbers"]), 5)
    for rows, part in zip(groups.values(), expected, strict=True):
        assert sorted(COLUMNS["numbers"][rows]) == part.tolist()


def test_few_values_are_slices_of_their_own_and_the_rarest_are_joined():
    assert list(cut_column(COLUMNS["few numbers"])) == ["0.0", "0.5", "1.0"]
    assert list(cut_column(COLUMNS["booleans"])) == ["False", "True"]
    groups = cut_column(COLUMNS["many texts"], most=4)
    assert len(groups) == 4
    assert len(groups["other values"]) == 100 - 3 * 4


def test_missing_values_have_a_slice_even_beside_a_text_of_that_name():
    groups = cut_column(COLUMNS["with missing"])
    assert groups["missing"].tolist() == np.flatnonzero(np.isnan(COLUMNS["with missing"])).tolist()
    assert "missing" in cut_column(COLUMNS["text"])


def test_a_slice_scores_like_its_records_alone():
    values, weight = RNG.normal(size=100), RNG.exponential(size=100)
    weight[COLUMNS["text"] == "b"] = 0.0
    rows = score_slices(
        {"text": COLUMNS["text"]}, {"mean": mean_score(values, weight)}, count=100, weight=weight
    )
    for row in rows:
        inside = COLUMNS["text"] == row["value"]
        assert row["records"] == inside.sum()
        if row["value"] == "b":
            assert row["weight"] == 0.0
            assert np.isnan(row["mean"])
        else:
            assert row["mean"] == pytest.approx(np.average(values[inside], weights=weight[inside]))


def test_a_column_of_another_length_is_refused():
    with pytest.raises(DataError, match="column 'k' has shape"):
        score_slices({"k": np.ones(99)}, {}, count=100, weight=np.ones(100))
    with pytest.raises(DataError, match="one number or text"):
        cut_column(np.ones((3, 2)))
