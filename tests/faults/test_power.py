"""The power of the disk goes off in the middle of saving: what was acknowledged is there when it is back."""

import random
import subprocess

import numpy as np
import pytest

from faults.harness import KILLED, REFUSED, Played, Stage
from faults.power import Disk, why_not
from faults.story import step_of


@pytest.fixture
def powered(shim, tmp_path, request):
    kind = request.param
    reason = why_not(kind)
    if reason is not None:
        pytest.skip(reason)
    stage = Stage(tmp_path, shim)
    try:
        disk = Disk(tmp_path / "image", stage.under, kind)
    except subprocess.CalledProcessError as error:
        stage.close()
        pytest.skip(f"{error.cmd[0]}: {error.stderr.decode().strip()[:200]}")
    yield stage, disk
    disk.unmount()
    stage.close()


def cut_in_the_middle(stage, disk, dice, mutants=()):
    """Lets a process save until the power goes off, and gives what it acknowledged and what is told then.

    What was acknowledged while the power was being cut does not count: the kernel answers a sync that is under way
    with success although it has just given up its journal. A real power cut answers nobody.
    """
    where = {"scene": "keep_saving", "cut": str(stage.under), "mutants": list(mutants)}
    played = stage.play(versions=dice.randint(0, 5), kill_after_s=dice.uniform(0.0, 0.2), **where)
    assert played.code in (KILLED, REFUSED), played.said("broken")
    played.events = played.events[: played.events.index(["cut"])]
    disk.back_on()
    return played, stage.tell()


def lost(whole, found):
    """Names what was acknowledged and is not there, or not right."""
    if "refused" in found:
        yield f"a reader was refused: {found['refused']}"
        return
    yield from (f"fsck complains: {item}" for item in found["fsck"] if item[0] != "leftover")
    weights = np.zeros(400)
    for step in range(1, len(found["numbers"]) + 1):
        weights = step_of(weights, step)
        row = found["versions"].get(str(step))
        if row is None or row[4]["weights"] != weights.tolist():
            yield f"version {step} is wrong: {str(row)[:100]}"
    for number, *objects in whole.said("version"):
        row = found["versions"].get(str(number))
        if row is None or row[2][:2] != objects:
            yield f"acknowledged version {number} is lost"
    tags = [number for _, number in whole.said("tag")]
    if tags and not any(tag[1] == "good" and tag[2] >= max(tags) for tag in found["tags"]):
        yield f"acknowledged tag on version {max(tags)} is lost"


def rounds(stage, disk, count):
    dice, whole, cuts_inside = random.Random(0), Played(0), 0
    for number in range(count):
        played, found = cut_in_the_middle(stage, disk, dice)
        whole.events += played.events
        assert list(lost(whole, found)) == [], f"cut {number}"
        cuts_inside += bool(played.said("version"))
    return whole, cuts_inside


@pytest.mark.parametrize("powered", ["ext4"], indirect=True)
def test_a_power_cut_loses_nothing_that_was_acknowledged(powered):
    whole, inside = rounds(*powered, count=3)
    assert inside >= 2 and len(whole.said("version")) >= 4


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("powered", ["ext4", "xfs"], indirect=True)
def test_forty_power_cuts_lose_nothing_that_was_acknowledged(powered, request):
    whole, inside = rounds(*powered, count=40)
    assert inside >= 30
    said = len(whole.said("version")), len(whole.said("tag"))
    print(f"POWER {request.node.callspec.id}: 40 cuts, {inside} after a version, acknowledged {said}")


@pytest.mark.parametrize("mutant", ["commit_normally", "skip_fsync"])
@pytest.mark.parametrize("powered", ["ext4"], indirect=True)
def test_a_power_cut_shows_a_missing_sync(powered, mutant):
    stage, disk = powered
    dice, found = random.Random(0), []
    for _ in range(4):
        played, told = cut_in_the_middle(stage, disk, dice, [mutant])
        found += list(lost(played, told))
        if found:
            break
        stage.clear()
    assert found
    print(f"MUTANT {mutant} power: {len(found)} complaints, such as: {found[0][:120]}")


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("powered", ["ext4", "xfs"], indirect=True)
def test_how_much_a_normal_commit_loses(powered, request):
    stage, disk = powered
    dice, hit, gone = random.Random(0), 0, 0
    for _ in range(8):
        stage.clear()
        played, told = cut_in_the_middle(stage, disk, dice, ["commit_normally"])
        missing = [text for text in lost(played, told) if "version" in text]
        hit, gone = hit + bool(missing), gone + len(missing)
    assert hit >= 4
    print(f"NORMAL {request.node.callspec.id}: {hit} of 8 cuts lost acknowledged versions, {gone} in all")
