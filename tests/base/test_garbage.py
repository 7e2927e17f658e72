import gc

import pytest

from trainwright.base.garbage import uncollected


def test_nothing_is_collected_meanwhile_whatever_happens():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()  # the outer one ends it
    with pytest.raises(ArithmeticError), uncollected():
        raise ArithmeticError
    assert gc.isenabled()
