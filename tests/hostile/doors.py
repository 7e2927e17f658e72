"""Every way in: what a file of the corpus is put through.

A door gets the file and a folder of its own, prepares what it needs, and gives the act that is watched and measured.
"""

import contextlib
import io
import sys

SPEC = """\
name: {name}
data: {{path: {path}, target: {target}, split: {{val: 0.2, test: 0.2}}}}
model: {{architecture: mlp}}
train: {{epochs: 1}}
"""
CSV = "a,b,y\n" + "".join(f"{n},{n * n % 7},{n % 2}\n" for n in range(40))


class Exit(Exception):
    """A command ended with another status than 0."""


def yaml_text(path, folder):
    from trainwright.spec.text import read_text

    content = path.read_bytes()
    return lambda: read_text(content, where=path.name)


def spec_file(path, folder):
    from trainwright.spec.read import read_experiment

    return lambda: read_experiment(path)


def spec_set(path, folder):
    from trainwright.spec.edit import parse_change

    text = path.read_bytes().decode("utf-8", "surrogatepass")
    return lambda: parse_change(f"train.epochs={text}")


def spec_name(path, folder):
    from trainwright.spec.read import check_tree

    tree = {"name": _text(path), "data": {"path": "a.csv"}, "model": {"architecture": "mlp"}}
    return lambda: check_tree(tree)


def spec_data(path, folder):
    from trainwright.plan import make_plan
    from trainwright.spec.read import read_experiment

    file = folder / "spec.yaml"
    file.write_text(SPEC.format(name="a", path=path.name, target="y"))
    document = read_experiment(file)
    return lambda: make_plan(document.experiment, path.parent, home=folder / "store")


def json_text(path, folder):
    from trainwright.base.jsontext import read_json

    content = path.read_bytes()
    return lambda: read_json(content, what=path.name)


def json_pins(path, folder):
    from trainwright.store.pins import read_pins

    content = path.read_bytes()
    return lambda: read_pins(content, what=path.name)


def store_files(path, folder):
    """The list of the files of a foreign model, as an object of a store."""
    from trainwright.store.files import restore_files

    blobs = _store(folder).blobs
    digest = blobs.put([path.read_bytes()])
    return lambda: restore_files(blobs, digest, folder=folder / "restored")


def store_tensors(path, folder):
    from trainwright.base.tensors import load_tensors

    blobs = _store(folder).blobs
    digest = blobs.put([path.read_bytes()])
    return lambda: load_tensors(blobs.get(digest), what=f"object {digest[:8]}")


def store_tree(path, folder):
    from trainwright.base.tensors import load_tree

    blobs = _store(folder).blobs
    digest = blobs.put([path.read_bytes()])
    return lambda: load_tree(blobs.get(digest), what=f"object {digest[:8]}")


def store_keep(path, folder):
    """A folder of a foreign model that holds the file."""
    from trainwright.store.files import keep_files, list_files

    blobs, home = _store(folder).blobs, folder / "model"
    home.mkdir()
    (home / path.name).write_bytes(path.read_bytes())
    return lambda: list_files(blobs, keep_files(blobs, home))


def store_dataset(path, folder):
    """A registered dataset under the name that the file holds."""
    from trainwright.registration import register_dataset

    (folder / "t.csv").write_text(CSV)
    (folder / "spec.yaml").write_text(SPEC.format(name="a", path="t.csv", target="y"))
    name, home = _text(path), _store(folder).home
    return lambda: register_dataset(home, name, folder / "spec.yaml").name == name or 1 / 0


def tensors(path, folder):
    from trainwright.base.tensors import load_tensors

    content = path.read_bytes()
    return lambda: load_tensors(content, what=path.name)


def tree(path, folder):
    from trainwright.base.tensors import load_tree

    content = path.read_bytes()
    return lambda: load_tree(content, what=path.name)


def name(path, folder):
    from trainwright.base.names import check_name

    text = _text(path)
    return lambda: check_name(text)


def tag(path, folder):
    from trainwright.base.names import check_tag

    text = _text(path)
    return lambda: check_tag(text)


def data(path, folder):
    from trainwright.data.roles import Roles
    from trainwright.data.source import read_source

    return lambda: read_source(path, Roles(target=None))


def data_lazily(path, folder):
    from trainwright.data.roles import Roles
    from trainwright.data.storage import read_records

    return lambda: read_records(path, Roles(target=None), in_memory=False).x[:2]


def draft(path, folder):
    """What `init` writes is read back as what it was."""
    from trainwright.draft import draft_experiment
    from trainwright.spec.read import read_experiment

    def act():
        drafted = draft_experiment(path)
        (folder / "drafted.yaml").write_text(drafted.text, encoding="utf-8")
        spec = read_experiment(folder / "drafted.yaml").experiment
        assert spec.data.target == drafted.target and spec.data.path == path.name
        assert {one.name for one in spec.data.columns} == {one.name for one in drafted.columns}

    return act


def api(path, folder):
    from trainwright.pipeline import TrainingPipeline

    home = _store(folder).home
    pipeline = TrainingPipeline({"architecture": "mlp"}, {"epochs": 1}, home=home)
    return lambda: pipeline.load_data(str(path), target="y")


def api_frame(path, folder):
    """The text as the name of a column and as a value in memory."""
    from trainwright.pipeline import TrainingPipeline

    text, home = _text(path), _store(folder).home
    frame = {text: [text, "b"] * 20, "x": list(range(40)), "y": [0, 1] * 20}
    pipeline = TrainingPipeline({"architecture": "mlp"}, {"epochs": 1}, home=home)
    return lambda: pipeline.load_data(frame, target="y")


def cli_run(path, folder):
    return _command("run", path, "--dry-run", "--store", folder / "store")


def cli_init(path, folder):
    return _command("init", path, "-o", folder / "drafted.yaml")


def cli_pinned(path, folder):
    return _command("verify", "--pinned", path, "--store", _store(folder).home)


def cli_show(path, folder):
    return _command("show", "--store", _store(folder).home, "--", _text(path))


def cli_register(path, folder):
    (folder / "t.csv").write_text(CSV)
    (folder / "spec.yaml").write_text(SPEC.format(name="a", path="t.csv", target="y"))
    home = _store(folder).home
    return _command("data", "register", "--store", home, "--", _text(path), folder / "spec.yaml")


DOORS = {
    name: one
    for name, one in globals().items()
    if callable(one) and not name.startswith("_") and name != "Exit"
}


def _text(path):
    return path.read_bytes().decode("utf-8", "surrogatepass")


def _store(folder):
    from trainwright.store.store import Store

    return Store.open(folder / "store")


def _command(*arguments):
    from trainwright.cli.app import main

    argv = ["trainwright", *map(str, arguments)]

    def act():
        out, err = io.StringIO(), io.StringIO()
        sys.argv = argv
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as stop:
            said = err.getvalue() + out.getvalue()
            assert "\x1b" not in said and "\u202e" not in said, "what is shown steers the terminal"
            if stop.code:
                raise Exit(f"exit {stop.code}: {said}") from None

    return act
