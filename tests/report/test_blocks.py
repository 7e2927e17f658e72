import pytest
from markupsafe import Markup

from trainwright.report.blocks import bar, figure, fold, heading, join, legend, note, table

EVIL = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "made",
    [
        note(EVIL),
        heading(EVIL),
        legend([EVIL]),
        fold(EVIL, Markup("")),
        figure(Markup(""), EVIL, more=EVIL),
        table({EVIL: "n", "b": ""}, [(EVIL, EVIL)]),
        join([EVIL]),
    ],
)
def test_text_cannot_become_markup(made):
    assert "<img" not in made and "&lt;img" in made


def test_a_row_has_as_many_cells_as_there_are_heads():
    with pytest.raises(ValueError):
        table({"a": "", "b": ""}, [("1",)])


@pytest.mark.parametrize(
    ("share", "width"), [(0.25, "25.0"), (1.5, "100.0"), (-1.0, "0.0"), (float("nan"), "0")]
)
def test_a_bar_is_as_wide_as_its_share(share, width):
    assert f'style="width:{width}%"' in bar(share)


def test_a_bar_points_out_a_share_only_if_there_is_one():
    assert "left:50.0%" in bar(0.1, tick=0.5)
    assert "<em" not in bar(0.1) and "<em" not in bar(0.1, tick=float("nan"))
