import threading

import pytest

from trainwright.train.company import Meeting


class Counting:
    """A company whose members only count."""

    learners = ()
    wait = None

    def __init__(self):
        self.steps = {}

    def advance(self, dues):
        first = min(dues.values())
        return [place for place, due in dues.items() if due == first]


def walk(company, place, dues, heard):
    for due in dues:
        company.wait(place, due)
        heard.append((place, due))
    return place


def test_bodies_move_one_at_a_time_in_the_order_of_their_places():
    company, heard = Counting(), []
    inside, most = [], []

    def body(place):
        for due in (2, 4, 6):
            inside.append(place)
            most.append(len(inside))
            inside.remove(place)
            company.wait(place, due)
            heard.append((due, place))
        return place

    ends = Meeting(company, [lambda place=place: body(place) for place in range(4)]).run()
    assert heard == [(due, place) for due in (2, 4, 6) for place in range(4)]
    assert set(most) == {1}
    assert [end.value for end in ends] == [0, 1, 2, 3]
    assert company.wait is None


def test_a_body_that_fails_ends_alone():
    company, heard = Counting(), []

    def fail():
        company.wait(0, 3)
        raise ValueError("mine")

    first, second = Meeting(company, [fail, lambda: walk(company, 1, [2, 4], heard)]).run()
    assert str(first.error) == "mine" and first.value is None
    assert second.error is None and heard == [(1, 2), (1, 4)]


@pytest.mark.parametrize("error", [RuntimeError("the program"), KeyboardInterrupt()])
def test_what_the_company_raises_is_heard_by_all_who_wait(error):
    company, heard = Counting(), []
    company.advance = lambda dues: (_ for _ in ()).throw(error)

    def body(place):
        try:
            company.wait(place, 2)
        except BaseException as found:
            heard.append((place, found))
            raise

    before = threading.active_count()
    with pytest.raises(type(error)):
        Meeting(company, [lambda: body(0), lambda: None, lambda: body(2)]).run()
    assert heard == [(0, error), (2, error)]
    assert threading.active_count() == before
