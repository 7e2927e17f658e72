"""Reported numbers that wait to be written, and the rows they become.

They wait flat, in one queue: step, group, time, number of metrics, names, values, and again; or an event that is set
when all before it is written. Tuples would live long enough to make the garbage collector walk through everything there
is, which stalls a step for 20 ms.
"""

import threading
from collections import deque
from typing import Any

from trainwright.store.batches import COLUMNS, HASHED_ROWS

HEAD = 4  # items of a report before its names
_STEP, _NAME, _VALUE, _TIME = 2, 4, 5, 6  # columns of a row


class TakenReports:
    """Takes reports out of a queue for one transaction, and puts them back if it comes to nothing.

    Reports that are alike (one group, the same names) become rows together, by slices: the interpreter that this takes
    is time in which the training has none.

    Args:
        waiting: The queue, to whose end others may add whole reports meanwhile.
        run: Whose numbers.
        attempt: Of which attempt.

    Example:
        >>> waiting = deque([0, "train", 9.5, 2, "loss", "lr", 0.5, 1, 1, "train", 9.6, 2, "loss", "lr", 0.25, 1])
        >>> taken = TakenReports(waiting, "r1", attempt=1)
        >>> rows = taken.next_rows()
        >>> rows[:7], len(rows)
        (['r1', 1, 0, 'train', 'loss', 0.5, 9.5], 28)
        >>> taken.put_back()
        >>> len(waiting)
        16
    """

    def __init__(self, waiting: deque[Any], run: str, *, attempt: int) -> None:
        self.marks: list[threading.Event] = []
        self._waiting = waiting
        self._run, self._attempt = run, attempt
        self._items: list[Any] = []
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is anything more to take."""
        return self._at < len(self._items) or bool(self._waiting)

    def next_rows(self) -> list[Any]:
        """Gives the values of some rows of the table `metric`, one after the other; none for a mark.

        Raises:
            TypeError: If a value is no number; so does ValueError.
        """
        items, start = self._items, self._at
        self._hold(start + 1)
        if isinstance(items[start], threading.Event):
            self.marks.append(items[start])
            self._at += 1
            return []
        self._hold(start + HEAD)
        group, count = items[start + 1], items[start + 3]
        size = HEAD + 2 * count
        most = max(HASHED_ROWS // max(count, 1), 1)
        self._hold(start + min(most * size, max(len(self._waiting) + len(items) - start, size)))
        names = items[start + HEAD : start + HEAD + count]
        end, last = start + size, min(start + most * size, len(items))
        while (
            end + size <= last
            # In this order: as long as all before agree, what stands there is a group, a number and names.
            and items[end + 1] == group
            and items[end + 3] == count
            and items[end + HEAD : end + HEAD + count] == names
        ):
            end += size
        self._at = end
        return self._lay_out(items[start:end], names, size)

    def put_back(self) -> None:
        """Lets all that was taken wait again, as it did before."""
        self._waiting.extendleft(reversed(self._items))
        self._items, self._at, self.marks = [], 0, []

    def finish(self) -> None:
        """Lets what was taken and did not become rows wait again."""
        self._waiting.extendleft(reversed(self._items[self._at :]))
        del self._items[self._at :]

    def _hold(self, count: int) -> None:
        take = self._waiting.popleft
        self._items += [take() for _ in range(count - len(self._items))]

    def _lay_out(self, alike: list[Any], names: list[str], size: int) -> list[Any]:
        count, reports = len(names), len(alike) // size
        rows = [self._run, self._attempt, None, alike[1], None, None, None] * (count * reports)
        steps, times = alike[::size], alike[2::size]
        rows[_NAME::COLUMNS] = names * reports
        for metric in range(count):
            own = metric * COLUMNS
            rows[own + _STEP :: COLUMNS * count] = steps
            # SQLite itself turns NaN into NULL; that is how it is read back, too.
            rows[own + _VALUE :: COLUMNS * count] = list(map(float, alike[HEAD + count + metric :: size]))
            rows[own + _TIME :: COLUMNS * count] = times
        return rows
