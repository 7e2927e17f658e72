"""Shows how far a run is: a bar on a terminal, a line per epoch elsewhere."""

import sys
from typing import Any, TextIO

from trainwright.store.records import Unsaved
from trainwright.train.callback import Callback
from trainwright.train.clock import Period, Seconds
from trainwright.train.moment import Moment, Outcome


class Progress(Callback):
    """Shows rate, loss, metrics and time left on stderr, and since when nothing could be saved.

    Of several runs that are trained together it follows one, and when that has ended another.

    Args:
        metric: The metric shown beside the losses; None shows the first of accuracy and R².
        mode: `auto`: a bar on a terminal, otherwise a line per epoch; `bar` and `lines` insist.
        stream: Where to; stderr unless given.
    """

    every: Period | None = Seconds(0.2)

    def __init__(
        self, *, metric: str | None = None, mode: str = "auto", stream: TextIO | None = None
    ) -> None:
        if mode not in ("auto", "bar", "lines"):
            raise ValueError(f"mode: {mode!r} is none of 'auto', 'bar', 'lines'")
        self.metric = metric
        self.stream = stream or sys.stderr
        self._as_bar = mode == "bar" or (mode == "auto" and self.stream.isatty())
        if not self._as_bar:
            self.every = None
        self._bar: Any = None
        self._task: Any = None
        self._first_step = 0
        self._told: Unsaved | None = None
        self._run: str | None = None

    def on_start(self, moment: Moment) -> None:
        """Draws the empty bar."""
        if self._run is None:
            self._follow(moment)

    def _follow(self, moment: Moment) -> None:
        self._run = moment.run
        self._first_step = moment.step
        if not self._as_bar:
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=Console(file=self.stream, force_terminal=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task(
            "", total=moment.steps, completed=moment.step, epoch=self._epochs(moment), numbers=""
        )
        self._bar.start()

    def on_step(self, moment: Moment) -> None:
        """Moves the bar."""
        if self._follows(moment):
            self._tell_unsaved(moment)
            self._update(moment)

    def on_epoch(self, moment: Moment) -> None:
        """Moves the bar, or writes a line."""
        if not self._follows(moment):
            return
        self._tell_unsaved(moment)
        if self._as_bar:
            self._update(moment)
        else:
            print(f"epoch {self._epochs(moment)}  {self._numbers(moment)}", file=self.stream, flush=True)

    def on_end(self, moment: Moment, outcome: Outcome) -> None:
        """Leaves the last state of the bar on the screen."""
        if moment.run != self._run:
            return
        if self._bar is not None:
            self._update(moment)
            self._bar.stop()
        self._tell_unsaved(moment)
        self._run = None

    def _follows(self, moment: Moment) -> bool:
        if self._run is None:
            self._follow(moment)
        return moment.run == self._run

    def _tell_unsaved(self, moment: Moment) -> None:
        """Says once that saving fails, and once that it is over."""
        now, told = moment.unsaved, self._told
        if (now and now.since) == (told and told.since):
            return
        self._told = now
        if now is not None:
            self._say(f"unsaved since step {now.since}: {now.reason}; it is tried again, training goes on")
        elif told is not None:
            self._say(f"saved again; it was unsaved since step {told.since}")

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)

    def _update(self, moment: Moment) -> None:
        if self._bar is not None:
            numbers = self._numbers(moment)
            self._bar.update(
                self._task, completed=moment.step, epoch=self._epochs(moment), numbers=numbers, refresh=True
            )

    def _epochs(self, moment: Moment) -> str:
        whole = -(-moment.steps // moment.steps_per_epoch)
        return f"{moment.epoch}/{whole}"

    def _numbers(self, moment: Moment) -> str:
        shown = ["train/loss", "val/loss", *([self.metric] if self.metric else ["val/accuracy", "val/r2"])]
        numbers = [f"{name} {moment.metrics[name]:.4g}" for name in shown if name in moment.metrics]
        rate = (moment.step - self._first_step) / max(moment.seconds, 1e-9)
        saved = [f"unsaved since step {moment.unsaved.since}"] if moment.unsaved else []
        return "  ".join([*numbers, f"{rate:.0f} steps/s", *saved])
