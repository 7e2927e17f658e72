import pytest

from trainwright.train.clock import Cadences, Epochs, Seconds, Steps


def walk(clock, start=0):
    told, step = [], start
    while step < clock.end:
        step = clock.next(step)
        told.append(step)
    return told


@pytest.mark.parametrize(
    ("end", "per_epoch", "periods", "told"),
    [
        (6, 3, [], [3, 6]),  # each epoch's end
        (7, 3, [], [3, 6, 7]),  # the end counts though it is no epoch's end
        (8, 4, [Steps(3)], [3, 4, 6, 8]),  # the sorted union
        (8, 2, [Epochs(2)], [2, 4, 6, 8]),
        (3, 9, [Steps(1)], [1, 2, 3]),
    ],
)
def test_tells_the_sorted_union_of_all_cadences(end, per_epoch, periods, told):
    frozen = Cadences(end=end, steps_per_epoch=per_epoch, periods=periods, now=lambda: 0.0)
    frozen._may_run = lambda step: 10**9
    assert walk(frozen) == told


def test_the_step_before_a_due_one_is_told_to_those_who_hear_its_start():
    clock = Cadences(end=8, steps_per_epoch=8, periods=[Steps(4)], early=[Steps(4)], now=lambda: 0.0)
    clock._may_run = lambda step: 10**9
    assert walk(clock) == [3, 4, 7, 8]


def test_a_slow_learner_is_heard_at_least_every_second_or_so():
    time = [0.0]
    clock = Cadences(end=1000, steps_per_epoch=1000, now=lambda: time[0])
    step, gaps = 0, []
    while step < 60:
        due = clock.next(step)
        time[0] += 0.3 * (due - step)  # 0.3 seconds a step
        gaps.append(due - step)
        step = due
    assert max(gaps) <= 4 and gaps[-1] == 3


def test_a_period_in_seconds_shortens_the_free_run():
    time = [0.0]
    clock = Cadences(end=10_000, steps_per_epoch=10_000, periods=[Seconds(0.1)], now=lambda: time[0])
    step = 0
    for _ in range(30):
        due = clock.next(step)
        time[0] += 0.01 * (due - step)
        gap, step = due - step, due
    assert gap == pytest.approx(10, abs=1)
