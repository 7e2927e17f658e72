"""What a team asks: which runs there are, which is better, and whether a snapshot is still what it was."""

import json

import pytest

from stories.conftest import Lab
from trainwright.cli.look import STATES
from trainwright.experiment import run_experiment
from trainwright.spec.read import read_experiment
from trainwright.store.records import State
from trainwright.store.registry import Registry
from trainwright.store.store import Store

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Three finished runs: `short` and `long` on one dataset, and `named` on the same data under a name."""
    lab = Lab(tmp_path_factory.mktemp("team"))
    document = read_experiment(lab.file)
    for name, epochs in (("short", 1), ("long", 25)):
        changes = [f"name={name}", f"train.epochs={epochs}"]
        experiment = read_experiment(lab.file, changes=changes).experiment
        run_experiment(experiment, folder=document.folder, home=lab.home)
    lab.call("data", "register", "blobs", lab.file)
    experiment = read_experiment(
        lab.file, changes=["name=named", "train.epochs=1", "model.hidden_dims=[4, 4]"]
    )
    run_experiment(experiment.experiment, folder=document.folder, home=lab.home)
    return lab


def names(rows):
    return [row["model"] for row in rows]


def test_ls_chooses_and_sorts(lab):
    assert names(lab.json("ls")) == ["named", "long", "short"]
    assert names(lab.json("ls", "--sort", "val/loss", "--limit", 1)) == ["long"]
    best = lab.json("ls", "--sort", "test/accuracy", "--descending", "--family", "deep_learning")
    assert best[0]["model"] == "long"
    accuracy = [row["scores"]["test/accuracy"] for row in best]
    assert accuracy == sorted(accuracy, reverse=True)
    assert lab.json("ls", "--family", "trees") == lab.json("ls", "--state", "failed") == []


def test_a_run_has_a_family_a_title_and_a_dataset(lab):
    rows = {row["model"]: row for row in lab.json("ls")}
    assert rows["short"]["title"] == "DL-mlp-tiny" and rows["short"]["family"] == "deep_learning"
    assert rows["named"]["title"] == "DL-mlp-blobs" and rows["named"]["dataset"] == "blobs"
    # The same content is found under its name, whenever it got it, and by its digest.
    assert names(lab.json("ls", "--dataset", "blobs")) == ["named", "long", "short"]
    assert names(lab.json("ls", "--dataset", "tiny")) == ["long", "short"]
    assert "DL-mlp-blobs" in lab.call("ls", "named")


@pytest.mark.parametrize("wrong", [["--state", "odd"], ["--descending"], ["--limit", "0"]])
def test_a_wrong_option_of_ls_is_a_usage_error(lab, wrong):
    assert wrong[0] in lab.call("ls", *wrong, expect=2)


def test_the_states_of_ls_are_all_there_are():
    assert State.__args__ == STATES


def test_compare_shows_scores_with_intervals_and_what_differs(lab):
    found = lab.json("compare", "short", "long")
    left, right = found["left"], found["right"]
    assert (left["name"], right["name"]) == ("short@1", f"long@{right['judged']}")
    scores = {row["model"]: row["scores"] for row in lab.json("ls")}
    accuracy = found["scores"]["test/accuracy"]
    assert accuracy["left"]["value"] == scores["short"]["test/accuracy"]
    gain = scores["long"]["test/accuracy"] - scores["short"]["test/accuracy"]
    assert accuracy["difference"]["value"] == pytest.approx(gain) and gain > 0
    assert accuracy["difference"]["low"] < gain < accuracy["difference"]["high"]
    assert {row["field"]: (row["left"], row["right"]) for row in found["differences"]} == {
        "name": ("short", "long"),
        "train.epochs": (1, 25),
    }
    # 4 -> 16 -> 8 -> 3: no bias before batch normalisation, which has two numbers per channel
    assert left["parameters"] == 4 * 16 + 2 * 16 + 16 * 8 + 2 * 8 + 8 * 3 + 3
    assert found["same_data"] and len(left["dataset"]) == 64 and left["seconds"] > 0
    smaller = lab.json("compare", "short", "named")["right"]["parameters"]
    assert smaller == 4 * 4 + 2 * 4 + 4 * 4 + 2 * 4 + 4 * 3 + 3
    text = lab.call("compare", "short", "long")
    assert "test/accuracy" in text and "train.epochs" in text and "parameters" in text


def test_compare_does_not_lend_the_scores_of_another_version(lab):
    registry = Registry(Store.open(lab.home))
    judged = registry.resolve("long").number
    other = next(row.number for row in registry.versions(model="long") if row.number != judged)
    found = lab.json("compare", f"long@{other}", "short")
    assert found["scores"]["test/accuracy"]["left"] is None
    assert found["scores"]["test/accuracy"]["difference"] is None and found["left"]["judged"] == judged


def test_a_pinned_snapshot_is_verified_and_a_change_is_found(lab):
    pins = lab.json("pin", "short", "long@final")
    registry = Registry(Store.open(lab.home))
    assert pins == [
        ["short", 1, registry.resolve("short").weights],
        ["long", 25, registry.resolve("long@25").weights],
    ]
    file = lab.folder / "pins.json"
    file.write_text(json.dumps(pins))
    assert [row["verdict"] for row in lab.json("verify", "--pinned", file)] == ["identical"] * 2

    pins[1][2] = "0" * 64
    file.write_text(json.dumps([*pins, ["short", 9, "0" * 64]]))
    rows = lab.json("verify", "--pinned", file, expect=1)
    assert [row["verdict"] for row in rows] == ["identical", "changed", "missing"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "--pinned"),
        (["short", "--pinned", "pins.json"], 2, "--pinned"),
        (["--pinned", "none.json"], 2, "none.json"),
        (["--pinned", "tiny.yaml"], 1, "tiny.yaml"),
    ],
)
def test_verify_takes_a_version_or_a_file_of_pins(lab, arguments, status, told):
    assert told in lab.call("verify", *arguments, expect=status)


def test_a_record_that_is_not_whole_is_marked(lab):
    registry = Registry(Store.open(lab.home))
    assert lab.json("show", "short")["incomplete"] == []
    assert "incomplete" not in lab.call("ls")
    path = registry.store.blobs.path(registry.runs(model="named")[0].spec)
    content = path.read_bytes()
    path.unlink()
    try:
        assert {row["model"]: row["incomplete"] for row in lab.json("ls")} == {
            "named": ["spec"],
            "long": [],
            "short": [],
        }
        assert "no spec" in lab.call("ls")
        shown = lab.json("show", "named")
        assert (shown["incomplete"], shown["spec"]) == (["spec"], None)
        assert "incomplete      spec" in lab.call("show", "named")
        assert "incomplete" not in lab.call("show", "short")
    finally:
        path.write_bytes(content)
