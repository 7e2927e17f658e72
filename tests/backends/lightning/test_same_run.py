"""A whole run through Lightning is, checkpoint by checkpoint, the run of the lean loop: any data, any task."""

import pytest

pytest.importorskip("lightning")

from stories.options import CALLBACKS, MIXED, TASKS, write_data
from train.resuming import Experimenting

CASES = {**TASKS, **MIXED, **{name: CALLBACKS[name] for name in ("early stopping", "stop at a threshold")}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    write_data(place)
    return place


@pytest.mark.parametrize("name", CASES)
def test_every_checkpoint_has_the_bytes_of_the_lean_loop(folder, name):
    short = {} if name in CALLBACKS else {"train.epochs": 2}
    lean, through = (
        Experimenting({**CASES[name], **short}, folder, backend=backend) for backend in ("torch", "lightning")
    )
    assert through.run.states == lean.run.states and through.run.digests == lean.run.digests
    assert through.whole == lean.whole
    cut = sorted(lean.run.states)[len(lean.run.states) // 2]
    told, last = through.from_step(cut)
    assert told == through.whole and last == lean.run.states[max(lean.run.states)]
