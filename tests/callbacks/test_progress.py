import io
from types import SimpleNamespace

from trainwright.callbacks.progress import Progress
from trainwright.train.moment import Outcome


def moment(step):
    return SimpleNamespace(
        step=step,
        epoch=step // 5,
        steps=10,
        steps_per_epoch=5,
        seconds=0.5 * step,
        metrics={"train/loss": 0.25, "val/accuracy": 0.75},
    )


def test_writes_a_line_per_epoch_where_there_is_no_terminal():
    out = io.StringIO()
    progress = Progress(stream=out)
    progress.on_start(moment(0))
    progress.on_epoch(moment(5))
    progress.on_end(moment(5), Outcome("done"))
    assert out.getvalue() == "epoch 1/2  train/loss 0.25  val/accuracy 0.75  2 steps/s\n"
    assert progress.every is None


def test_the_rate_of_a_resumed_run_counts_its_own_steps():
    out = io.StringIO()
    progress = Progress(stream=out)
    progress.on_start(moment(5))
    later = moment(10)
    later.seconds = 1.0
    progress.on_epoch(later)
    assert out.getvalue().endswith("5 steps/s\n")


def test_draws_a_bar_on_a_terminal():
    out = io.StringIO()
    progress = Progress(stream=out, mode="bar")
    progress.on_start(moment(0))
    progress.on_step(moment(5))
    progress.on_end(moment(10), Outcome("done"))
    assert "100%" in out.getvalue() and "val/accuracy 0.75" in out.getvalue()
