"""The same recipe and data a second time: the recorded result is shown, unless somebody insists."""

import re


def test_a_second_run_shows_the_record_and_again_trains(lab):
    first = lab.run()
    second = lab.json("run", lab.file, "-q")
    assert second["run"] == first["run"] and second["weights"] == first["weights"]
    assert {name: score["value"] for name, score in second["scores"].items()} == {
        name: score["value"] for name, score in first["scores"].items()
    }
    again = lab.json("run", lab.file, "-q", "--again")
    assert again["run"] != first["run"] and again["weights"] == first["weights"]
    process = lab.start("run", lab.file)
    _, err = process.communicate(timeout=100)
    assert re.search(r"trained before, on \d{4}-\d\d-\d\dT\d\d:\d\d; --again trains anew", err)


def test_another_recipe_or_other_data_are_trained(lab):
    import numpy as np

    first = lab.run()
    assert lab.run("--set", "seed=9")["run"] != first["run"]
    np.savez(lab.folder / "tiny.npz", x=lab.x + 1, y=lab.y)
    assert lab.run()["run"] != first["run"]


def test_a_branch_is_no_record_of_the_longer_run(lab):
    first = lab.run()
    branch = lab.json("resume", first["run"], "--epochs", "6", "-q")
    longer = lab.run("--set", "train.epochs=6")
    assert longer["run"] not in (first["run"], branch["run"])


def test_code_of_the_users_own_is_never_taken_for_known(lab):
    (lab.folder / "mine.py").write_text(
        "from trainwright.train.callback import Callback\nclass Quiet(Callback):\n    pass\n"
    )
    own = ("--set", "train.callbacks=[{use: 'mine:Quiet'}]")
    assert lab.run(*own)["run"] != lab.run(*own)["run"]
