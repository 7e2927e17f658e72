"""Changes the package in small ways, one at a time, and counts the changes that its tests notice.

    python tests/mutants/mutate.py [--each 40] [--seed 0] [FILE ...]

For each file a sample of its mutants is drawn by the seed; each runs against the tests of that file, which stop at the
first failure, in a process of its own that is forked from one with the libraries loaded. Those that nobody notices
are printed. `survivors.txt` beside this file holds those that were looked at, each with the reason why no test can
or should tell it; they count as survivors all the same.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).parent / "survivors.txt"
CPU_S, WALL_S = (
    200,
    900,
)  # well above what the tests of the store take: a mutant that runs out counts as noticed
_HOW = ["-x", "-q", "-p", "no:xdist", "-m", "not faults"]
_HOW += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
# A mutant of the store that its own tests do not notice has to pass those of the whole room too, the longest last; not
# those that look at other processes, which have no mutant.
_ELSEWHERE, _LONGEST = ("test_readonly", "test_stale", "test_writers"), "test_machine"
_ROOM = ["-k", "not process"] + [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "tests/store").glob("test_*.py"), key=lambda path: path.stem == _LONGEST)
    if path.stem not in _ELSEWHERE
]
_STORE = {
    f"store/{path.name}": [f"tests/store/test_{path.stem}.py"]
    for path in sorted((ROOT / "src/trainwright/store").glob("[a-z]*.py"))
    if path.stem not in ("log", "records")  # records only names fields
} | {"store/log.py": ["tests/integrity/test_log.py"]}
# Each file, and the tests that are asked, the quickest first.
FILES = {
    "base/tensors.py": ["tests/base/test_tensors.py"],
    "base/jsontext.py": ["tests/base/test_jsontext.py"],
    "base/names.py": ["tests/base/test_names.py"],
    "spec/read.py": ["tests/spec/test_read.py"],
    "spec/text.py": ["tests/spec/test_text.py"],
    "data/npy.py": ["tests/data/test_npy.py", "tests/data/test_mapped.py"],
    **_STORE,
    "foreign/pickled.py": ["tests/foreign/test_pickled.py", "tests/foreign/test_torch_file.py"],
    "foreign/torch_names.py": ["tests/foreign/test_torch_file.py", "tests/foreign/test_pickled.py"],
    "foreign/torch_file.py": ["tests/foreign/test_torch_file.py"],
    "foreign/zipped.py": ["tests/foreign/test_other_files.py", "tests/foreign/test_torch_file.py"],
    "foreign/collector.py": [
        "tests/foreign/test_collector.py",
        "tests/foreign/test_pickled.py",
        "tests/foreign/test_torch_file.py",
    ],
    "foreign/hdf5_file.py": ["tests/foreign/test_other_files.py"],
    "foreign/matching.py": ["tests/foreign/test_matching.py"],
}
# Those of a strict reader that its own tests do not notice meet the hostile files.
_STRICT = (
    "base/tensors.py",
    "base/jsontext.py",
    "base/names.py",
    "spec/read.py",
    "spec/text.py",
    "data/npy.py",
)
_CORPUS = ["tests/hostile/test_corpus.py"]
_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_JOINED = {ast.And: ast.Or, ast.Or: ast.And}
_COUNTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """Yields each mutant with its name: the line, what was there, what is there now."""
    tree = ast.parse(source)
    hidden = {id(inner) for node in ast.walk(tree) for outer in _unchanged(node) for inner in ast.walk(outer)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in hidden:
            continue
        for change in _changes(node):
            made = copy.deepcopy(tree)
            twin = next(one for place, one in enumerate(ast.walk(made)) if place == number)
            parents = {id(child): one for one in ast.walk(made) for child in ast.iter_child_nodes(one)}
            before = ast.unparse(twin)
            after = change(twin, parents[id(twin)])
            line = source.splitlines()[node.lineno - 1].strip()
            yield f"{line} | {' '.join(before.split())[:60]} -> {after[:60]}", ast.fix_missing_locations(made)


def _unchanged(node):
    """What means nothing when the program runs: annotations, flags of dataclasses, the text of an error."""
    for field in ("annotation", "returns"):
        if getattr(node, field, None) is not None:
            yield getattr(node, field)
    yield from getattr(node, "decorator_list", ())
    if isinstance(node, ast.JoinedStr):
        yield node
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from node.exc.args
    if isinstance(node, ast.Assert):
        yield node


def _changes(node):
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        yield lambda twin, _: _set(twin, "ops", [_COMPARED[type(twin.ops[0])](), *twin.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        yield lambda twin, _: _set(twin, "op", _JOINED[type(twin.op)]())
    elif isinstance(node, ast.BinOp) and type(node.op) in _COUNTED:
        yield lambda twin, _: _set(twin, "op", _COUNTED[type(twin.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda twin, parent: _put(twin, parent, twin.operand)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield lambda twin, _: _set(twin, "value", twin.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield lambda twin, _: _set(twin, "value", not twin.value)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield lambda twin, _: _set(twin, "test", ast.Constant(False))
        if not isinstance(node, ast.While):
            yield lambda twin, _: _set(twin, "test", ast.Constant(True))
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield lambda twin, parent: _put(twin, parent, ast.Pass())
    elif isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
        yield lambda twin, _: _set(twin, "value", ast.Constant(None))


def _set(twin, field, value):
    setattr(twin, field, value)
    return " ".join(ast.unparse(twin).split())


def _put(twin, parent, other):
    for field, value in ast.iter_fields(parent):
        if value is twin:
            setattr(parent, field, other)
        elif isinstance(value, list) and twin in value:
            value[value.index(twin)] = other
    return ast.unparse(other)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another code; all others come from their files."""

    def __init__(self, name, file, tree):
        self.name, self.file, self.tree = name, file, tree

    def find_spec(self, name, path, target=None):
        if name == self.name:
            return importlib.util.spec_from_file_location(name, self.file, loader=self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.tree, str(self.file), "exec"), module.__dict__)


def _lay_over(folder: Path, file: Path, tree: ast.Module) -> None:
    """Puts a copy of the package with the mutant first on the path: the corpus is read by another process."""
    shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / file.relative_to(ROOT / "src")).write_text(ast.unparse(tree))
    sys.path.insert(0, str(folder))


def noticed(name: str, file: Path, tree: ast.Module | None, tests: list[str]) -> bool:
    """Runs the tests of a file in a child of this process; a mutant that hangs or crashes is noticed too."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        sink = os.open(os.devnull, os.O_RDWR)
        for number in (0,) if os.environ.get("SHOW") else (0, 1, 2):
            os.dup2(sink, number)
        import pytest

        with tempfile.TemporaryDirectory() as folder:
            if tree is not None:
                sys.meta_path.insert(0, _Changed(name, file, tree))
            if tree is not None and tests == _CORPUS:
                _lay_over(Path(folder), file, tree)
            failed = pytest.main([*_HOW, *tests]) != 0
        os._exit(int(failed))
    end = time.monotonic() + WALL_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "src"))
    for library in (
        "hypothesis",
        "numpy",
        "psutil",
        "pyarrow.parquet",
        "pydantic",
        "pytest",
        "ruamel.yaml",
        "sqlalchemy",
    ):
        importlib.import_module(library)
    for library in ("torch", "h5py"):
        if importlib.util.find_spec(library) is not None:
            importlib.import_module(library)
    known = set(SURVIVORS.read_text().splitlines()) if SURVIVORS.exists() else set()
    killed = total = 0
    sound: list[list[str]] = []
    for place in asked.files or FILES:
        file = ROOT / "src/trainwright" / place
        name = "trainwright." + place.removesuffix(".py").replace("/", ".")
        rooms = [FILES[place], *([_ROOM] if place in _STORE else [_CORPUS] if place in _STRICT else [])]
        for tests in rooms:
            if tests not in sound and noticed(name, file, None, tests):
                raise SystemExit(f"{place}: its tests fail without a change")
            sound.append(tests)
        found = list(mutants(file.read_text()))
        chosen = random.Random(asked.seed).sample(found, min(asked.each, len(found)))
        survivors = [
            what for what, tree in chosen if not any(noticed(name, file, tree, tests) for tests in rooms)
        ]
        total, killed = total + len(chosen), killed + len(chosen) - len(survivors)
        print(
            f"{place}: {len(chosen) - len(survivors)} of {len(chosen)} noticed ({len(found)} in all)",
            flush=True,
        )
        for what in survivors:
            looked_at = any(line and f"{place}: {what}".startswith(line) for line in known)
            print(f"  {'known' if looked_at else 'NEW  '} {place}: {what}", flush=True)
    print(f"{killed} of {total} noticed: {killed / total:.1%}")


if __name__ == "__main__":
    main()
