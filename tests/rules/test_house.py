"""What holds for every file of the package."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import trainwright

ROOT = Path(trainwright.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
DOORS = [path for path in FILES if path.name == "__init__.py" and path.parent != ROOT]
ids = [str(path.relative_to(ROOT)) for path in FILES]


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_every_file_says_what_it_is_for(file):
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0]
    assert first.strip(), "no docstring"


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_no_file_is_too_long(file):
    assert len(file.read_text().splitlines()) <= 400


@pytest.mark.parametrize("door", DOORS, ids=[str(path.parent.relative_to(ROOT)) for path in DOORS])
def test_a_door_holds_a_docstring_and_its_catalog_only(door):
    for node in ast.parse(door.read_text()).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_catalog = isinstance(node, ast.Assign) and node.targets[0].id == "CATALOG"
        assert is_text or is_catalog, ast.unparse(node)


@pytest.mark.parametrize("room", ["backends", "callbacks", "ops", "routines"])
def test_a_catalog_names_things_of_its_own_room_that_can_be_imported(room):
    catalog = importlib.import_module(f"trainwright.{room}").CATALOG
    for place in catalog.values():
        module, _, name = place.partition(":")
        assert module.startswith(f"trainwright.{room}.")
        assert hasattr(importlib.import_module(module), name)


def test_no_file_uses_what_runs_code_from_data():
    forbidden = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml"}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]}
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "torch.load", "yaml.load") and not called.endswith(
                    "extractall"
                ), file
                if called.endswith("np.load"):
                    assert "allow_pickle=False" in ast.unparse(node), file
                continue
            else:
                continue
            assert not names & forbidden, f"{file}: {names & forbidden}"


def test_no_error_is_passed_over_in_silence():
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{file}:{node.lineno}: a bare except"


HEAVY = {"torch", "jax", "jaxlib", "equinox", "optax", "keras", "pandas", "lightning"}


@pytest.mark.parametrize(
    "code",
    [
        "import trainwright",
        "import sys; sys.argv = ['trainwright', '--help']\n"
        "from trainwright.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass",
        "import trainwright.plan",
    ],
    ids=["import", "help", "plan"],
)
def test_no_framework_is_imported_before_it_is_needed(code):
    shell = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('modules', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(shell.stdout.partition("modules ")[2].split())
    assert len(loaded) > 30
    assert not HEAVY & loaded


def test_the_front_door_shows_exactly_what_it_says():
    for name in trainwright.__all__:
        assert getattr(trainwright, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such"):
        _ = trainwright.no_such
