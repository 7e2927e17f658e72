import json

import pytest
from sqlalchemy import update

from trainwright.base.errors import StoreError
from trainwright.store import tables
from trainwright.store.pins import Pin, check_pins, pin_versions, read_pins


@pytest.fixture
def pins(registry, begin, snapshot):
    run = begin()
    for step in (1, 2, 3):
        run.save(snapshot(step)).wait()
    run.flush()
    return pin_versions(registry, ["digits@3", "digits@1"])


def test_a_pin_is_the_model_the_number_and_the_digest(registry, pins):
    assert pins == [("digits", n, registry.resolve(f"digits@{n}").weights) for n in (3, 1)]
    assert read_pins(json.dumps(pins), what="pins") == pins


def test_what_is_pinned_is_identical(registry, pins):
    assert [(one.pin, one.word) for one in check_pins(registry, pins)] == [(one, "identical") for one in pins]


def test_what_cannot_be_pinned_is_refused(registry, pins):
    with pytest.raises(StoreError, match="nobody"):
        pin_versions(registry, ["digits@1", "nobody"])


def words(registry, pins):
    return [one.word for one in check_pins(registry, pins)]


def test_another_digest_a_damaged_object_and_a_damaged_row_are_changed(
    store, registry, pins, begin, snapshot
):
    assert words(registry, [pins[0]._replace(weights="0" * 64), pins[1]]) == ["changed", "identical"]
    path = store.blobs.path(pins[0].weights)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert words(registry, pins) == ["changed", "identical"]
    begin("letters").save(snapshot(1)).wait()
    other = pin_versions(registry, ["letters@1"])
    with store.catalogue.write() as connection:
        connection.execute(update(tables.version).where(tables.version.c.model == "letters").values(step=9))
    assert words(registry, other) == ["changed"]


def test_what_was_never_there_or_is_gone_is_missing(store, registry, pins):
    assert words(registry, [Pin("nobody", 1, "0" * 64), pins[0]._replace(version=9)]) == ["missing"] * 2
    store.blobs.remove(pins[1].weights)
    assert words(registry, pins) == ["identical", "missing"]


def test_what_was_collected_is_missing(registry, begin, snapshot):
    run = begin()
    run.save(snapshot(1)).wait()
    pins = pin_versions(registry, ["digits@1"])
    run.keep(last=1)
    run.save(snapshot(2)).wait()
    run.flush()
    (found,) = check_pins(registry, pins)
    assert found.word == "missing" and "collected" in found.detail and "reproduce" in found.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[["a", 1]]',
        '[["a", "1", "b"]]',
        '[["a", true, "b"]]',
        '[["a", 1, "b", "c"]]',
        '[{"a": 1}]',
    ],
)
def test_a_file_that_is_no_list_of_pins_is_refused(text):
    with pytest.raises(StoreError, match=r"pins\.json"):
        read_pins(text, what="pins.json")
