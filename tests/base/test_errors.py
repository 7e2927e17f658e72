"""The tree of errors."""

import inspect

import pytest

from trainwright.base import errors


@pytest.mark.parametrize("name", ["SpecError", "DataError", "BackendError", "StoreError", "StaleAttempt"])
def test_every_error_can_be_caught_as_one(name):
    assert issubclass(getattr(errors, name), errors.TrainwrightError)


def test_a_stale_attempt_is_an_error_of_the_store():
    assert issubclass(errors.StaleAttempt, errors.StoreError)


def test_the_tree_at_the_top_of_the_file_shows_every_error():
    for name, _ in inspect.getmembers(errors, inspect.isclass):
        assert name in errors.__doc__
