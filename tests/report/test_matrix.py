import re

import numpy as np

from report.pages import Page
from trainwright.report.matrix import draw_matrix

RIGHT = ' class="right"'
MATRIX = np.array([[6.0, 2.0], [0.0, 4.0]])


def test_a_cell_says_its_count_and_its_shares_and_is_shaded_by_them():
    drawn = draw_matrix(MATRIX, ["a", "b"], name="m", counted="places")
    cells = re.findall(
        r'<td( class="right")? style="--r:([\d.]+);--k:([\d.]+)"><b>(.*?)</b><i>(.*?)</i><u>(.*?)</u>', drawn
    )
    assert cells == [
        (RIGHT, "0.75", "1.00", "6", "75", "100"),
        ("", "0.25", "0.33", "2", "25", "33"),
        (RIGHT, "1.00", "0.67", "4", "100", "67"),
    ]
    assert drawn.count('<td class="none">0</td>') == 1
    assert re.findall(r"<label[^>]*>(.*?)<", drawn) == ["places", "% of true", "% of predicted"]
    assert drawn.count(" checked") == 1


def test_choices_of_two_matrices_do_not_disturb_each_other():
    names = [
        set(re.findall(r' (?:id|name)="([^"]+)"', draw_matrix(MATRIX, ["a", "b"], name=one))) for one in "mn"
    ]
    assert names[0] and not names[0] & names[1]


def test_with_many_classes_each_count_is_written_once():
    count = 21
    drawn = draw_matrix(np.full((count, count), 3.0), [str(one) for one in range(count)], name="m")
    assert "<input" not in drawn and drawn.count(">3</td>") == count**2


def test_a_class_that_is_not_there_has_no_shares_and_names_are_escaped():
    drawn = draw_matrix(np.array([[0.0, 0.0], [1.0, 1.0]]), ["<b>", "long name"], name="m")
    Page(f'<section id="m">{drawn}</section>')
    assert "nan" not in drawn and "<b><" not in drawn and "&lt;b&gt;" in drawn
    assert "confusion tall" in drawn and "tall" not in draw_matrix(MATRIX, ["a", "b"], name="m")
