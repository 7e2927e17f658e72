import shutil

import pytest

from integrity.flipping import Bench
from integrity.making import make_store
from trainwright.store.store import Store


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("integrity") / "store")


@pytest.fixture
def bench(made, tmp_path):
    return Bench(made, tmp_path)


@pytest.fixture
def copied(made, tmp_path):
    home = tmp_path / "store"
    shutil.copytree(made, home)
    for path in (home / "objects").glob("??/*"):
        path.chmod(0o644)
    opened = Store.open(home)
    yield opened
    opened.close()
