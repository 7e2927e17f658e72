"""A training run killed again and again loses nothing it acknowledged and ends where it would have ended."""

import random
import re

import pytest

EVERY = 4  # steps, of which an epoch has 8

# Each way dies at the n-th checkpoint of its process, inside the named act.
WAYS = {
    "anywhere": "",  # a signal from outside, at a random moment
    "writing an object": """
import trainwright.store.blobs as place
before, calls = os.rename, [0]
def rename(*names):
    calls[0] += 1
    die(calls[0] >= 2 * LATER)  # the content is written and synced under its temporary name
    before(*names)
os.rename = os.replace = rename
""",
    "committing a version": """
import trainwright.store.checkpoints as place
before, calls = place.leave_tombstones, [0]
def leave(*arguments, **options):
    calls[0] += 1
    die(calls[0] >= LATER)  # the row is inserted, the transaction is open
    return before(*arguments, **options)
place.leave_tombstones = leave
""",
    "moving a tag": """
import trainwright.store.versions as place
before, calls = place.move_tag, [0]
def move(*arguments, **options):
    before(*arguments, **options)
    calls[0] += 1
    die(calls[0] >= LATER)  # the tag's row is changed, the transaction is open
place.move_tag = move
""",
    "just after a commit": """
import trainwright.store.checkpoints as place
before, calls = place.log.info, [0]
def info(*arguments):
    calls[0] += 1
    die(calls[0] >= LATER)  # durable, and nobody was told
    before(*arguments)
place.log.info = info
""",
}
HEAD = """
import os, sys
LATER = int(os.environ["LATER"])
def die(now):
    if now:
        os.write(2, b"died inside\\n")
        os.kill(os.getpid(), 9)
"""
TAIL = """
from trainwright.cli.app import main
main()
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_lose_no_acknowledged_checkpoint(lab, monkeypatch, kills):
    more = f"  callbacks:\n    - {{use: Checkpoint, args: {{every_n_steps: {EVERY}, keep_last: null}}}}\n"
    lab.write(epochs=16 * kills, more=more)
    # In a store of its own: equal objects would be there already and never be written again.
    apart = lab.folder / "undisturbed"
    undisturbed = lab.run("--store", apart)
    dice = random.Random(0)
    acknowledged, inside, after_first, run = set(), dict.fromkeys(WAYS, 0), 0, None
    for number in range(kills):
        way = list(WAYS)[number % len(WAYS)]
        later = dice.randint(2, 12)
        monkeypatch.setenv("LATER", str(later))
        command = ["run", lab.file] if run is None else ["resume", run]
        process = lab.start("-v", *command, "-q", code=HEAD + WAYS[way] + TAIL)
        heard, died = 0, False
        for line in process.stderr:
            found = re.search(r"version (\d+) of tiny is durable \(run (\S+),", line)
            died = died or "died inside" in line
            if found:
                heard += 1
                run = found.group(2)
                acknowledged.add(int(found.group(1)))
            if way == "anywhere" and heard >= later:
                process.kill()
                break
        process.kill()
        out, err = process.communicate()
        assert process.returncode == -9, f"kill {number}, {way}: it ended\n{out}\n{err}"
        assert run is not None
        inside[way] += died or way == "anywhere"
        after_first += bool(acknowledged)
        if number % 10 == 0:
            assert [one for one in lab.json("fsck") if one["kind"] != "leftover"] == []

    assert after_first >= 0.6 * kills and min(inside.values()) >= 1, inside
    finished = lab.json("resume", run, "-q")
    assert finished["weights"] == undisturbed["weights"] and finished["outcome"] == "done"
    faults = [one for one in lab.json("fsck") if one["kind"] != "leftover"]
    assert faults == []

    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    registry, other = Registry(Store.open(lab.home)), Registry(Store.open(apart))
    rows = {row.number: row for row in registry.versions(run=run)}
    assert acknowledged and acknowledged <= set(rows)
    for number in acknowledged:
        registry.weights(rows[number])  # reads verify
        registry.state(rows[number])
    numbers = sorted(row.number for row in registry.versions(model="tiny"))
    assert numbers == list(range(1, len(numbers) + 1))
    history = [
        sorted((row.step, row.name, row.value) for row in place.metrics(one))
        for place, one in ((other, undisturbed["run"]), (registry, run))
    ]
    assert history[0] == history[1]
    print(f"kills {kills}, after the first acknowledged checkpoint {after_first}, inside {inside}")
