"""Optional packages."""

import subprocess
import sys

import pytest

from trainwright.base.errors import BackendError, TrainwrightError
from trainwright.base.extras import installed, require


def test_a_missing_package_names_the_command_that_installs_it():
    with pytest.raises(BackendError, match=r"pip install 'trainwright\[jax\]'"):
        require("no_such_module", extra="jax")


def test_a_package_that_is_there_is_given():
    assert require("json", extra="jax").loads("1") == 1


def test_asking_imports_nothing():
    code = (
        "import sys; from trainwright.base.extras import installed\n"
        "print(installed('wave'), 'wave' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "False"]


def test_what_is_not_there_is_not_installed():
    assert not installed("no_such_module")


def test_an_error_inside_the_package_is_not_taken_for_a_missing_package(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import another_missing_module")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="another_missing_module"):
        require("broken_package", extra="jax")


def test_a_missing_package_is_something_a_user_can_mend():
    assert issubclass(BackendError, TrainwrightError)
