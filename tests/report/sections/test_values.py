import numpy as np
import pytest

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.values import judge_values


def shown(folder, outputs, y, *, levels=None, model=None, **data):
    judgement = judge_values(outputs, y, weight=None, levels=levels)
    return page_of(
        *record_run(
            folder, task="regression", judgement=judgement, data=data or {"target": "mass"}, model=model
        )
    )


def made(records=60, outputs=1):
    numbers = np.random.default_rng(0)
    y = numbers.normal(size=(records, outputs))
    return y + 0.3 * numbers.normal(size=y.shape), y


def test_a_regression_shows_values_residuals_and_quantiles(tmp_path):
    guess, y = made()
    page = shown(tmp_path, {"y": guess}, y)
    assert page.sections["values"]["titles"] == ["mass", "distribution of mass"]
    (table,) = page.tables("values")
    edges = np.quantile(y, [0.2, 0.4, 0.6, 0.8], method="inverted_cdf")
    place, said = (np.searchsorted(edges, one[:, 0]) for one in (y, guess))
    for row in range(5):
        for column in range(5):
            cell = table[row + 1][column + 1]
            count = int(((place == row) & (said == column)).sum())
            assert cell == "0" if count == 0 else cell.startswith(f"{count}")
    (quantiles,) = page.tables("residuals")
    wanted = np.quantile(guess - y, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")
    assert [float(one) for one in quantiles[1]] == pytest.approx(wanted, rel=1e-3)
    assert "spread" not in page.sections


def test_outputs_have_their_names_and_those_beyond_four_are_counted(tmp_path):
    guess, y = made(outputs=6)
    page = shown(tmp_path, {"y": guess}, y, target=[f"t{one}" for one in range(6)])
    assert [one for one in page.sections["values"]["titles"] if one.startswith("t")] == [
        "t0",
        "t1",
        "t2",
        "t3",
    ]
    assert "2 more outputs are not drawn" in page.text("values")


def test_it_says_how_many_of_the_predictions_are_drawn(tmp_path):
    guess, y = made(records=1500)
    assert "1500 predictions of the test split, of which 1000" in shown(tmp_path, {"y": guess}, y).text(
        "values"
    )


def test_predictions_that_are_not_finite_are_said_not_drawn(tmp_path):
    guess, y = made()
    guess[:] = np.nan
    page = shown(tmp_path, {"y": guess}, y)
    assert "no finite values" in page.text("values") and "no finite values" in page.text("residuals")
    assert page.tables("values") == []


def test_a_variance_becomes_intervals_of_which_some_miss(tmp_path):
    guess, y = made()
    page = shown(tmp_path, {"y": guess, "variance": np.full_like(y, 0.3**2)}, y)
    assert page.sections["spread"]["titles"] == ["intervals of mass", "coverage"]
    half = 1.959963984540054 * 0.3
    outside = int((np.abs(guess - y) > half).sum())
    drawn = page.source.split('class="cloud s1 full" d="')[1].split('"')[0]
    assert outside > 0 and drawn.count("M") == outside
    share = np.mean(np.abs(guess - y) <= half)
    assert f"95 % → {100 * share:.1f} %" in page.text("spread")


def test_quantiles_become_intervals_between_the_outer_levels(tmp_path):
    guess, y = made()
    levels = [0.1, 0.5, 0.9]
    quantiles = guess[:, None] + np.array([-0.4, 0.0, 0.4])[None, :, None]
    page = shown(
        tmp_path,
        {"y": guess, "quantiles": quantiles},
        y,
        levels=levels,
        model={"head": "quantiles", "quantiles": levels},
    )
    reached = np.mean(y <= guess - 0.4)
    text = page.text("spread")
    assert "from 10 % to 90 %" in text and f"10 % → {100 * reached:.1f} %" in text
    drawn = page.source.split('class="cloud s1 full" d="')[1].split('"')[0]
    assert drawn.count("M") == int((np.abs(guess - y) > 0.4).sum())


def test_a_grid_of_values_is_drawn_by_channel(tmp_path):
    guess, y = made(records=5 * 2 * 3)
    page = shown(tmp_path, {"y": guess.reshape(5, 2, 3)}, y.reshape(5, 2, 3))
    assert page.sections["values"]["titles"][::2] == ["mass 0", "mass 1"]
    assert "15 predictions" in page.text("values")
