import dataclasses
import subprocess
import sys

import pytest

from trainwright.store import records
from trainwright.store.records import Plot

ROWS = [item for name, item in vars(records).items() if dataclasses.is_dataclass(item)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_records_are_never_edited(row):
    assert row.__dataclass_params__.frozen


def test_a_plot_is_text():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Plot("<svg/>").svg = ""


def test_the_words_of_the_store_load_no_database():
    # The training loop imports them; it must not pay for SQLAlchemy.
    code = "import sys, trainwright.store.records; print('sqlalchemy' in sys.modules)"
    shell = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == "False"
