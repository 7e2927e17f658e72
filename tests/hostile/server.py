"""A process with everything imported that forks a child for each item; it is asked by lines of JSON.

What it answers on its standard output is a line for each; a test session starts one of it.
"""

import gc
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import trainwright
from hostile import doors, guard, recipes

CODE = Path(trainwright.__file__).parent
MOST_KEPT = 8 * recipes.MIB


def warm(folder):
    """Goes through every door once with something harmless, so that no item pays for imports."""
    import numpy as np

    good = folder / "good.npz"
    np.savez(good, x=np.zeros((4, 2)), y=np.arange(4))
    (folder / "good.csv").write_text(doors.CSV)
    (folder / "good.yaml").write_text(doors.SPEC.format(name="a", path="good.csv", target="y"))
    (folder / "good.json").write_text("[]")
    (folder / "good.parquet").write_bytes(recipes.make_parquet("plain"))
    for number, (name, door) in enumerate(doors.DOORS.items()):
        suffix = {"spec": "yaml", "json": "json", "cli_r": "yaml"}.get(name[:4], "csv")
        for kind in (
            (suffix, "npz", "parquet") if name in ("data", "draft", "spec_data", "data_lazily") else (suffix,)
        ):
            place = folder / f"warm{number}{kind}"
            place.mkdir()
            try:
                door(folder / f"good.{kind}", place)()
            except Exception:  # noqa: BLE001 - most doors are not for it
                continue


def _write_apart(item, path):
    """Writes a big item in a child, so that its memory is not taken for the reader's."""
    maker = os.fork()
    if maker == 0:
        done = 1
        try:
            recipes.write(item, path)
            done = 0
        finally:
            os._exit(done)
    _, status = os.waitpid(maker, 0)
    assert status == 0, f"the recipe of {item['id']} failed"


def _write_once(item, path, made):
    """Writes a big item, from what was made before for another door if that is kept."""
    kept = made / hashlib.sha256(json.dumps(item["recipe"]).encode()).hexdigest()
    if not kept.exists():
        _write_apart(item, path)
        if path.stat().st_size > MOST_KEPT:
            return
        made.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)
    shutil.copyfile(kept, path)


def answer(asked, root):
    item = asked["item"]
    with tempfile.TemporaryDirectory(dir=root) as made:
        folder = Path(made)
        path = folder / item["file"]
        if recipes.is_small(item):
            recipes.write(item, path)
        else:
            _write_once(item, path, root / "made")
        inner = folder / "inner"
        inner.mkdir()
        os.chdir(folder)
        told = guard.in_child(
            lambda: doors.DOORS[asked["door"]](path, inner),
            allowed=[inner, tempfile.gettempdir() + "/trainwright-"],
            code=[CODE],
            folder=folder,
        )
        os.chdir(root)
        return told


def main():
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what readers print is not an answer
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        (root / "warm").mkdir()
        os.chdir(root)
        warm(root / "warm")
        gc.freeze()  # a collection in a child would copy what it looks at
        replies.write("ready\n")
        for line in sys.stdin:
            replies.write(json.dumps(answer(json.loads(line), root)) + "\n")
        os.chdir("/")


if __name__ == "__main__":
    main()
