import pytest

from trainwright.base.errors import StoreError
from trainwright.store.datasets import register
from trainwright.store.overview import STUDY, list_runs, missing_provenance, studies_of

NAN = float("nan")


@pytest.fixture
def data(store):
    rows = {}
    for name, content in (("digits", "a" * 64), ("letters", "b" * 64)):
        rows[name] = register(
            store, name=name, recipe={}, recipe_digest=f"recipe of {name}", content_digest=content, splits={}
        )
    return rows


@pytest.fixture
def runs(begin, snapshot, data):
    """Four runs, oldest first: of two models, datasets and families, with losses and one with test scores."""
    made = {}
    for name, dataset, family, loss in (
        ("one", "digits", "deep_learning", 3.0),
        ("two", "digits", "boosting", 1.0),
        ("three", "letters", "deep_learning", NAN),
        ("four", "letters", "deep_learning", None),
    ):
        about = {"format": 1, "family": family, "dataset": dataset, "title": f"DL-mlp-{dataset}"}
        run = begin(
            "even" if name in ("two", "four") else "odd", dataset=data[dataset].digest, operator=about
        )
        run.save(snapshot(1, loss=loss)).wait()
        made[name] = run
    for name, value in (("three", 0.5), ("one", 0.9)):
        score = {"value": value, "low": value - 0.1, "high": value + 0.1}
        made[name].artifact("test/scores", {"test/accuracy": score})
    made["two"].finish("done")
    return made


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["four", "three", "two", "one"]),
        ({"model": "odd"}, ["three", "one"]),
        ({"state": "done"}, ["two"]),
        ({"family": "deep_learning"}, ["four", "three", "one"]),
        ({"family": "trees"}, []),
        ({"dataset": "digits"}, ["two", "one"]),
        ({"dataset": "b" * 8}, ["four", "three"]),
        ({"dataset": "b" * 7}, []),  # too short for a digest
        ({"sort": "created"}, ["one", "two", "three", "four"]),
        ({"sort": "created", "descending": True}, ["four", "three", "two", "one"]),
        ({"sort": "val/loss"}, ["two", "one", "four", "three"]),  # none and NaN last, the latest first
        ({"sort": "val/loss", "descending": True}, ["one", "two", "four", "three"]),
        ({"sort": "test/accuracy"}, ["three", "one", "four", "two"]),
        ({"sort": "test/accuracy", "descending": True}, ["one", "three", "four", "two"]),
        ({"sort": "val/loss", "limit": 1}, ["two"]),
        ({"dataset": "digits", "family": "deep_learning", "limit": 5}, ["one"]),
    ],
)
def test_runs_are_chosen_and_sorted(registry, runs, wanted, names):
    called = {run.id: name for name, run in runs.items()}
    assert [called[entry.run.id] for entry in list_runs(registry, **wanted)] == names


def test_the_runs_of_a_study_are_those_linked_to_it(registry, runs):
    registry.link(runs["one"].id, "used", STUDY, target="3f9c0a1b2c3d")
    registry.link(runs["four"].id, "used", STUDY, target="3f9c0a1b2c3d")
    registry.link(runs["two"].id, "used", STUDY, target="000000000000")
    registry.link(runs["three"].id, "used", "produced_by", target="3f9c0a1b2c3d")
    found = [entry.run.id for entry in list_runs(registry, study="3f9c0a1b2c3d")]
    assert found == [runs["four"].id, runs["one"].id]
    assert studies_of(registry, runs["two"].id) == ["000000000000"]
    assert list_runs(registry, study="none") == []


def test_a_metric_that_no_run_has_is_refused_with_those_there_are(registry, runs):
    with pytest.raises(StoreError, match="'val/los'; they have: created, test/accuracy, val/loss"):
        list_runs(registry, sort="val/los")
    assert list_runs(registry, model="nobody", sort="val/los") == []


def test_a_run_says_what_it_is(registry, runs):
    (entry,) = list_runs(registry, dataset="letters", sort="test/accuracy", limit=1)
    assert (entry.family, entry.title, entry.dataset, entry.versions) == (
        "deep_learning",
        "DL-mlp-letters",
        "letters",
        1,
    )
    assert entry.measured("test/accuracy") == 0.5 and entry.measured("val/nothing") is None
    assert entry.missing == ()


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ("dataset",)),
        ({"environment": {}}, ("dataset", "environment")),
        ({"operator": {}}, ("dataset", "operator")),
    ],
)
def test_what_was_never_recorded_is_missing(registry, begin, changes, missing):
    run = begin(**changes)
    assert missing_provenance(registry, registry.run(run.id)) == missing
    assert list_runs(registry)[0].missing == missing


@pytest.mark.parametrize("harm", ["lost", "damaged"])
@pytest.mark.parametrize("what", ["spec", "environment", "operator"])
def test_what_was_lost_or_damaged_is_missing(store, registry, runs, what, harm):
    row = registry.run(runs["one"].id)
    path = store.blobs.path(getattr(row, what))
    path.chmod(0o644)
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert missing_provenance(registry, row) == (what,)
    entry = next(one for one in list_runs(registry) if one.run.id == row.id)
    assert entry.missing == (what,)
