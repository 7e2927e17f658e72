"""One experiment file, trained by Keras: cut and resumed, trained again, served."""

import numpy as np
import pytest

from stories.conftest import dying_when
from trainwright.base.extras import installed

OWN = """
import keras
from keras import layers


class Small:
    def __init__(self, *, width):
        self.width = width

    def keras(self, input_shape, outputs):
        inputs = keras.Input(input_shape)
        x = layers.Dense(self.width, activation="gelu")(inputs)
        x = layers.Dropout(0.2)(layers.BatchNormalization()(x))
        return keras.Model(inputs, layers.Dense(outputs, name="output")(x))
"""


def own_network(lab, code):
    (lab.folder / "nets.py").write_text(code)
    text, model = lab.file.read_text(), "model: {architecture: own, use: 'nets:Small', args: {width: 16}}"
    first, last = text.index("model:"), text.index("train:")
    lab.file.write_text(f"{text[:first]}{model}\n{text[last:]}")


@pytest.mark.parametrize("own", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["own", "spec"])
@pytest.mark.parametrize(
    ("backend", "package"),
    [("keras-torch", "torch"), pytest.param("keras-jax", "jax", marks=pytest.mark.slow)],
)
def test_a_run_is_recorded_resumed_in_an_epoch_and_reproduced(lab, backend, package, own):
    if not (installed("keras") and installed(package)):
        pytest.skip(f"Keras on {package} is not installed")
    more = (
        "  callbacks:\n    - {use: Checkpoint, args: {every_n_steps: 5}}\n"
        "  keras:\n    callbacks:\n"
        "      - {use: 'keras.callbacks:CSVLogger', args: {filename: log.csv, append: true}}\n"
    )
    lab.write(backend=backend, epochs=3, more=more)
    if own:
        own_network(lab, OWN)
    whole = lab.json("run", lab.file, "-q")
    header, *rows = (lab.folder / "log.csv").read_text().splitlines()
    assert header.startswith("epoch,loss,val_") and [row[0] for row in rows] == ["0", "1", "2"]
    process = lab.start("run", lab.file, "-q", "--again", code=dying_when("snapshot.step == 10"))
    process.communicate(timeout=120)
    assert process.returncode == -9
    (cut,) = [row["run"] for row in lab.json("ls") if row["state"] == "killed"]
    resumed = lab.json("resume", cut, "-q")
    assert resumed["weights"] == whole["weights"] and resumed["outcome"] == "done"
    again = lab.json("reproduce", whole["run"], "-q")
    assert again["verdict"] == "identical"
    np.savez(lab.folder / "new.npz", x=lab.x[:7])
    assert len(lab.json("predict", whole["run"], lab.folder / "new.npz")["y"]) == 7


def test_outputs_that_are_probabilities_already_are_a_warning_of_the_run(lab):
    if not (installed("keras") and installed("torch")):
        pytest.skip("Keras on torch is not installed")
    lab.write(backend="keras-torch", epochs=1)
    own_network(lab, OWN.replace("Dense(outputs, ", 'Dense(outputs, activation="softmax", '))
    assert lab.json("run", lab.file, "-q")["warnings"] == 1
