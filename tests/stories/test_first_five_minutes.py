"""A file somebody happens to have: init, run, a model that beats the answer without features; then predictions."""

import csv
import datetime
import shutil
from pathlib import Path

import numpy as np
import pytest

from trainwright.draft import draft_experiment

SHARED = Path(__file__).parents[1] / "data" / "files"


def write(path, header, rows, *, mark=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=mark, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def patients(path):
    """Mixed columns, blanks, a name per record, yes and no."""
    numbers = np.random.default_rng(0)
    rows = []
    for number in range(240):
        age, smokes = int(numbers.integers(20, 90)), bool(numbers.random() < 0.4)
        ward = str(numbers.choice(["north", "south", "east"]))
        sick = numbers.random() < 1 / (1 + np.exp(-(0.09 * (age - 55) + 1.6 * smokes + (ward == "east"))))
        pressure = "" if numbers.random() < 0.1 else round(float(numbers.normal(120 + age / 3, 8)), 1)
        rows.append(
            [f"P-{number:04d}", age, "yes" if smokes else "no", ward, pressure, "sick" if sick else "well"]
        )
    write(path, ["patient", "age", "smokes", "ward", "pressure", "outcome"], rows)


def rents(path):
    """Semicolons and decimal commas."""
    numbers = np.random.default_rng(1)
    rows = []
    for _ in range(260):
        area, rooms = numbers.uniform(20, 140), int(numbers.integers(1, 6))
        part = str(numbers.choice(["Mitte", "Süd", "West"]))
        rent = 9.5 * area + 60 * rooms + 150 * (part == "Mitte") + numbers.normal(0, 40)
        rows.append([f"{area:.2f}".replace(".", ","), rooms, part, f"{rent:.2f}".replace(".", ",")])
    write(path, ["Fläche", "Zimmer", "Viertel", "Miete"], rows, mark=";")


def sales(path):
    """Dates, in the German way, with tabs."""
    numbers = np.random.default_rng(2)
    begin, rows = datetime.date(2022, 1, 3), []
    for number in range(300):
        day = begin + datetime.timedelta(days=3 * number)
        weekend, promo = day.weekday() >= 5, bool(numbers.random() < 0.3)
        sold = 40 + 25 * weekend + 18 * promo + 6 * np.sin(day.month / 2) + numbers.normal(0, 4)
        rows.append([day.strftime("%d.%m.%Y"), "ja" if promo else "nein", round(float(sold), 1)])
    write(path, ["Tag", "Aktion", "Menge"], rows, mark="\t")


def sensors(path):
    """Words for missing values, a constant column, a number of each record; three classes."""
    numbers = np.random.default_rng(3)
    rows = []
    for number in range(280):
        kind = number % 3
        left, right = numbers.normal(kind * 1.4, 0.8), numbers.normal(-kind, 0.9)
        left = "NA" if numbers.random() < 0.08 else f"{left:.3f}"
        right = "?" if numbers.random() < 0.08 else f"{right:.3f}"
        rows.append([number + 1, left, right, "v2", ["idle", "warm", "hot"][kind]])
    write(path, ["id", "left", "right", "firmware", "state"], rows)


def students(path):
    """A real table: blanks, dates, booleans, names of groups."""
    shutil.copy(SHARED / "student_placements_real.csv", path)


FILES = {
    "patients.csv": (patients, [], "accuracy"),
    "rents.csv": (rents, [], "rmse"),
    "sales.tsv": (sales, [], "rmse"),
    "sensors.csv": (sensors, [], "accuracy"),
    "students.csv": (students, ["--target", "degree_type"], "loss"),
}
LARGER_IS_BETTER = {"accuracy"}


SLOW = ("rents.csv", "sensors.csv")  # what they hold, the other three hold too


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else []) for name in FILES]
)
def test_a_file_becomes_a_model_that_beats_the_answer_without_features(lab, name):
    make, more, metric = FILES[name]
    make(lab.folder / name)
    lab.call("init", name, *more)
    trained = lab.json("run", "experiment.yaml", "-q")
    value, baseline = trained["scores"][f"test/{metric}"]["value"], trained["baseline"][f"test/{metric}"]
    assert value > baseline + 0.05 if metric in LARGER_IS_BETTER else value < 0.97 * baseline
    shown = lab.call("run", "experiment.yaml", "-q")  # the record, with the baseline beside the scores
    assert "baseline" in shown.splitlines()[0] and f"{baseline:.4f}" in shown
    out = lab.call("predict", f"{trained['run']}@best", name)
    assert len(out.splitlines()) == len((lab.folder / name).read_text().splitlines())


def test_what_was_found_is_shown_and_an_existing_file_is_left_alone(lab):
    patients(lab.folder / "patients.csv")
    found = lab.json("init", "patients.csv")
    columns = {one["name"]: (one["kind"], one["used"]) for one in found["columns"]}
    assert found["target"] == "outcome" and found["guessed"]
    assert columns == {
        "patient": ("text", False),
        "age": ("numeric", True),
        "smokes": ("boolean", True),
        "ward": ("categorical", True),
        "pressure": ("numeric", True),
    }
    assert "is there already" in lab.call("init", "patients.csv", expect=2)
    lab.call("init", "patients.csv", "--force", "--target", "ward")
    assert 'target: "ward"' in (lab.folder / "experiment.yaml").read_text()


def test_columns_that_may_give_the_answer_away_are_pointed_at(tmp_path):
    students(tmp_path / "s.csv")
    text = draft_experiment(tmp_path / "s.csv", target="placed").text
    pointed = [line for line in text.splitlines() if "give the answer away" in line]
    assert len(pointed) == 4 and "salary" in pointed[0]
    assert "give the answer away" not in draft_experiment(tmp_path / "s.csv", target="degree_type").text


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        ("a,b\n1,2\n", ["--target", "c"], "--target: no column 'c' in t.csv"),
        (
            "a,b\nx,1\ny,1\n",
            [],
            r"beside the target 'a' \(a guess; --target names another\): 'b': it is constant",
        ),
        ("a\n1\n2\n", ["--target", "a"], "beside the target 'a': it is the only column"),
        ("", [], "it is empty"),
        ("a,b\n1\n", [], "line 2: 1 cells"),
    ],
)
def test_a_file_that_says_nothing_is_refused(lab, content, more, says):
    import re

    (lab.folder / "t.csv").write_text(content)
    assert re.search(says, lab.call("init", "t.csv", *more, expect=2))
    assert not (lab.folder / "experiment.yaml").exists()


def test_copies_across_the_splits_are_pointed_at_and_shown(lab):
    rows = [f"{n}.5,{n % 7},{'yes' if n % 3 else 'no'}" for n in range(60)]
    (lab.folder / "t.csv").write_text("\n".join(["a,b,y", *rows, *rows]) + "\n")
    lab.call("init", "t.csv")
    lab.call("run", "experiment.yaml", "--set", "train.epochs=2", "-q")
    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    registry = Registry(Store.open(lab.home))
    (row,) = [one for one in registry.artifacts(registry.runs()[0].id) if one.name == "data/splits"]
    found = registry.artifact_value(row)
    assert found["seen"]["val"] > 5 and found["seen"]["test"] > 5
    assert found["targets"]["train"].keys() == {"no", "yes"}
    said = lab.start("run", "experiment.yaml", "--set", "train.epochs=1").communicate()[1]
    assert f"{found['seen']['test']} of 24 test records have the features of a train record" in said
