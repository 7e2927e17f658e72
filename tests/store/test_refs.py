import pytest

from trainwright.base.errors import StoreError
from trainwright.store import tables
from trainwright.store.rows import rewrite


@pytest.fixture
def shelf(begin, snapshot, registry):
    """Two finished runs and a living one: versions 1 to 3, 4 to 6 and 7."""
    runs = []
    for losses, state in (([3.0, 1.0, 2.0], "done"), ([5.0, 4.0, 6.0], "stopped"), ([0.1], None)):
        run = begin("digits")
        versions = [run.save(snapshot(10 * n, loss=loss)).wait() for n, loss in enumerate(losses, start=1)]
        if state:
            run.finish(state, final=versions[-1])
        runs.append(run.id)
    registry.tag("digits@2", "production")
    return runs


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("digits", 5),  # the best of the latest finished run, although 2 and 7 have smaller losses
        ("digits@best", 5),
        ("digits@final", 6),
        ("digits@latest", 7),
        ("digits@production", 2),
        ("digits@3", 3),
        ("digits@step=20", 5),  # the newest one that was saved there
        ("digits@epoch=3", 6),
        ("{0}", 2),
        ("{0}@best", 2),
        ("{0}@latest", 3),
        ("{0}@final", 3),
        ("{0}@step=10", 1),
        ("{2}", 7),  # not finished, but asked for by its id
        ("{1}@4", 4),
    ],
)
def test_a_reference_names_a_version(registry, shelf, ref, number):
    assert registry.resolve(ref.format(*shelf)).number == number


def test_a_name_without_a_finished_run_is_its_newest_version(registry, begin, snapshot):
    run = begin("fresh")
    for step, loss in ((1, 1.0), (2, 2.0)):
        run.save(snapshot(step, loss=loss)).wait()
    assert registry.resolve("fresh").number == 2
    with pytest.raises(StoreError, match="no finished run of fresh"):
        registry.resolve("fresh@best")


def test_the_beginning_of_a_run_is_enough_if_it_is_unique(registry, begin, snapshot):
    run = begin()
    run.save(snapshot(1)).wait()
    assert registry.resolve_run(run.id[:18]).id == run.id
    begin()
    with pytest.raises(StoreError, match=r"is the beginning of 2 runs: .*give more letters"):
        registry.resolve_run(run.id[:5])


def test_weights_are_found_by_their_digest(registry, shelf):
    version = registry.resolve("digits@4")
    # Versions 1, 4 and 7 were saved at one step and have the same weights: the newest is meant.
    assert registry.resolve(version.weights[:8]).number == 7
    assert registry.resolve(version.weights).number == 7


def test_digits_that_begin_several_digests_are_refused(registry, begin, snapshot):
    run = begin()
    rows = [run.save(snapshot(step)).wait() for step in (1, 2)]
    with registry.store.catalogue.write() as connection:
        for row, last in zip(rows, "01", strict=True):
            changes = {"weights": "ab" * 31 + "0" + last}
            rewrite(connection, tables.version, key={"id": row.id}, changes=changes)
    with pytest.raises(StoreError, match="several digests"):
        registry.resolve("abababab")


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("digit", "no model, run or digest 'digit'; nearest: digits"),
        ("nothing-like-it", "trainwright ls"),
        ("", "no model, run or digest"),
        ("@best", "no model, run or digest"),
        ("digits@nope", "no tag 'nope'; its tags are best, final, latest, production"),
        ("digits@99", "no version 99; there are 1 to 7"),
        ("digits@step=7", "no version was saved at step 7"),
        ("digits@epoch=x", "no tag 'epoch=x'"),
        ("digits@99999999999999999999999", "no tag"),
        ("deadbeef", "no model, run or digest 'deadbeef'|begins so"),
        ("digits%", "no model"),
        ("r%", "no model"),
        ("{0}@4", "there is no version 4; there are 1 to 3"),
        ("{0}@nope", "no tag 'nope'; its tags are: best, final, latest"),
        ("deadbeef@best", "no model"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(registry, shelf, ref, message):
    with pytest.raises(StoreError, match=message):
        registry.resolve(ref.format(*shelf))


def test_a_collected_version_says_how_to_get_it_back(registry, begin, snapshot):
    run = begin()
    run.keep(last=1)
    for step in (1, 2):
        run.save(snapshot(step)).wait()
    with pytest.raises(StoreError, match=f"version 1 of digits.*collected.*trainwright reproduce {run.id}"):
        registry.resolve("digits@1")
    run.flush()
    with pytest.raises(StoreError, match="collected"):
        registry.weights(registry.versions()[0])


@pytest.mark.parametrize(
    ("ref", "which"), [("digits", 1), ("digits@production", 0), ("digits@latest", 2), ("{1}", 1)]
)
def test_a_reference_names_the_run_that_made_it(registry, shelf, ref, which):
    assert registry.resolve_run(ref.format(*shelf)).id == shelf[which]


def test_a_name_without_versions_is_its_latest_run(registry, begin):
    begin("empty")
    run = begin("empty")
    assert registry.resolve_run("empty").id == run.id
    with pytest.raises(StoreError, match="empty has no version yet"):
        registry.resolve("empty")


def test_a_run_without_versions_has_none_to_name(registry, begin):
    run = begin()
    with pytest.raises(StoreError, match=f"run {run.id} has no version yet"):
        registry.resolve(run.id)
    with pytest.raises(StoreError, match="there is no version 3; there are none"):
        registry.resolve(f"{run.id}@3")
