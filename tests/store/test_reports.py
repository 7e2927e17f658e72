"""Waiting reports become the rows that one report after the other would give, and nothing is lost when they do not."""

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.store.batches import COLUMNS, HASHED_ROWS
from trainwright.store.reports import TakenReports


class Stubborn(float):
    """A number that cannot be compared with a word, as those of JAX cannot."""

    def __eq__(self, other):
        raise TypeError("cannot compare")

    __hash__ = None


NAMES = st.lists(st.sampled_from(["a", "b", "loss"]), max_size=3, unique=True)
REPORTS = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from(["train", "val"]), NAMES)), max_size=60)


def wait(reports, number=Stubborn):
    """Gives the queue and the rows it stands for; None is a mark."""
    waiting, rows = deque(), []
    for step, report in enumerate(reports):
        if report is None:
            waiting.append(threading.Event())
            continue
        group, names = report
        values = [number(10 * step + place) for place in range(len(names))]
        waiting.extend((step, group, step / 8, len(names), *names, *values))
        rows += [
            ("r", 3, step, group, name, float(value), step / 8)
            for name, value in zip(names, values, strict=True)
        ]
    return waiting, rows


def rows_of(taken):
    values = []
    while taken:
        values += taken.next_rows()
    return [tuple(values[start : start + COLUMNS]) for start in range(0, len(values), COLUMNS)]


@given(REPORTS)
def test_all_kinds_of_reports_become_their_rows_in_order(reports):
    waiting, rows = wait(reports)
    marks = [one for one in waiting if isinstance(one, threading.Event)]
    taken = TakenReports(waiting, "r", attempt=3)
    assert rows_of(taken) == rows
    assert taken.marks == marks
    assert not waiting


@given(REPORTS, st.integers(0, 20), st.booleans())
def test_what_comes_to_nothing_waits_again_before_what_came_meanwhile(reports, times, finished):
    waiting, _ = wait(reports)
    before = list(map(id, waiting))
    taken = TakenReports(waiting, "r", attempt=3)
    for _ in range(times):
        if taken:
            taken.next_rows()
    if finished:
        taken.finish()
    waiting.append("later")
    taken.put_back()
    assert list(map(id, waiting)) == [*before, id(waiting[-1])]
    assert taken.marks == []


@given(REPORTS, st.integers(0, 20))
def test_what_is_not_needed_is_for_the_next_transaction(reports, times):
    waiting, rows = wait(reports)
    first, done = TakenReports(waiting, "r", attempt=3), []
    for _ in range(times):
        if first:
            done += first.next_rows()
    first.finish()
    rest = rows_of(TakenReports(waiting, "r", attempt=3))
    assert [tuple(done[at : at + COLUMNS]) for at in range(0, len(done), COLUMNS)] + rest == rows


@pytest.mark.parametrize(("names", "sizes"), [(["a", "b", "loss"], [198, 198, 198, 6]), (["a"], [200])])
def test_like_reports_become_rows_together_but_few_at_a_time(names, sizes):
    waiting, rows = wait([("train", names)] * 200)
    taken, found = TakenReports(waiting, "r", attempt=3), []
    while taken:
        found.append(len(taken.next_rows()) // COLUMNS)
    assert found == sizes
    assert sum(sizes) == len(rows)


def test_a_report_of_more_metrics_than_a_statement_has_rows_stays_whole():
    names = [f"m{number}" for number in range(HASHED_ROWS + 7)]
    waiting, rows = wait([("train", names)] * 2)
    taken = TakenReports(waiting, "r", attempt=3)
    assert len(taken.next_rows()) == COLUMNS * len(names)
    assert rows_of(taken) == rows[len(names) :]


@pytest.mark.parametrize("number", [np.float32, np.int64, int, bool])
def test_every_kind_of_number_becomes_a_float(number):
    waiting, rows = wait([("train", ["a"])], number=number)
    ((*_, value, _),) = rows_of(TakenReports(waiting, "r", attempt=3))
    assert type(value) is float
    assert value == rows[0][5]
