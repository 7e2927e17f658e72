import pytest

from trainwright.base.blame import raised_in, spell_error, spell_place
from trainwright.base.errors import DataError


def test_an_error_says_which_part_raised_it_and_is_otherwise_as_it_was():
    with pytest.raises(KeyError) as caught, raised_in("train.callbacks.0: mine:Hears.on_epoch"):
        {}["val/loss"]
    assert caught.value.args == ("val/loss",)
    assert caught.value.__notes__ == ["trainwright: raised in train.callbacks.0: mine:Hears.on_epoch"]
    caught.value.add_note("JAX has removed its internal frames")  # notes of others are not for the record
    assert spell_error(caught.value) == "KeyError: 'val/loss' (train.callbacks.0: mine:Hears.on_epoch)"


def test_our_own_errors_and_interrupts_are_left_alone():
    for kind in (DataError, KeyboardInterrupt):
        with pytest.raises(kind) as caught, raised_in("train.loss"):
            raise kind("x")
        assert not hasattr(caught.value, "__notes__")
        assert spell_error(caught.value) == f"{kind.__name__}: x"


def test_a_place_is_what_a_spec_names():
    assert spell_place(DataError()) == "trainwright.base.errors:DataError"
