import io
from types import SimpleNamespace

from trainwright.callbacks.progress import Progress
from trainwright.store.records import Unsaved
from trainwright.train.moment import Outcome


def moment(step, unsaved=None, run="one"):
    return SimpleNamespace(
        run=run,
        step=step,
        epoch=step // 5,
        steps=10,
        steps_per_epoch=5,
        seconds=0.5 * step,
        metrics={"train/loss": 0.25, "val/accuracy": 0.75},
        unsaved=unsaved,
    )


def test_writes_a_line_per_epoch_where_there_is_no_terminal():
    out = io.StringIO()
    progress = Progress(stream=out)
    progress.on_start(moment(0))
    progress.on_epoch(moment(5))
    progress.on_end(moment(5), Outcome("done"))
    assert out.getvalue() == "epoch 1/2  train/loss 0.25  val/accuracy 0.75  2 steps/s\n"
    assert progress.every is None


def test_of_several_runs_it_follows_one_and_then_another():
    out = io.StringIO()
    progress = Progress(stream=out)
    progress.on_start(moment(0))
    progress.on_start(moment(0, run="two"))
    progress.on_epoch(moment(5))
    progress.on_epoch(moment(5, run="two"))
    progress.on_end(moment(5, run="two"), Outcome("done"))
    progress.on_end(moment(5), Outcome("done"))
    progress.on_epoch(moment(10, run="three"))
    progress.on_epoch(moment(10, run="four"))
    assert [line.split("  ")[0] for line in out.getvalue().splitlines()] == ["epoch 1/2", "epoch 2/2"]


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


FULL = "disk full: [50%] free /space"


def test_says_once_in_lines_that_nothing_can_be_saved_and_once_that_it_is_over():
    out = io.StringIO()
    progress = Progress(stream=out)
    for one in (moment(0), moment(5, Unsaved(5, FULL)), moment(10, Unsaved(5, "again")), moment(15)):
        (progress.on_epoch if one.step else progress.on_start)(one)
    progress.on_end(moment(15), Outcome("done"))
    numbers = "train/loss 0.25  val/accuracy 0.75  2 steps/s"
    assert out.getvalue().splitlines() == [
        f"unsaved since step 5: {FULL}; it is tried again, training goes on",
        f"epoch 1/2  {numbers}  unsaved since step 5",
        f"epoch 2/2  {numbers}  unsaved since step 5",
        "saved again; it was unsaved since step 5",
        f"epoch 3/2  {numbers}",
    ]


def test_says_in_the_bar_that_nothing_can_be_saved_and_that_it_is_over():
    out = io.StringIO()
    progress = Progress(stream=out, mode="bar")
    progress.on_start(moment(0))
    progress.on_step(moment(3, Unsaved(2, FULL)))
    assert f"unsaved since step 2: {FULL}; it is tried again" in out.getvalue()
    progress.on_step(moment(4, Unsaved(2, FULL)))
    assert out.getvalue().count("it is tried again") == 1
    progress.on_end(moment(10), Outcome("done"))
    assert "saved again; it was unsaved since step 2" in out.getvalue()
