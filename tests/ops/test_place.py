import pytest

from trainwright.base.errors import DataError
from trainwright.ops.labels import Labels
from trainwright.ops.place import import_place


def test_a_catalog_name_and_a_place_give_the_same_class():
    place = "trainwright.ops.labels:Labels"
    assert import_place("Classes", {"Classes": place}) is import_place(place, {}) is Labels


def test_an_unknown_name_shows_the_known_ones():
    with pytest.raises(DataError, match="known: A, B"):
        import_place("C", {"B": "x:y", "A": "x:y"})
