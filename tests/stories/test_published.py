"""The shipped examples reach the numbers they promise."""

import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "metric", "at_least"),
    [
        # Greydanus & Kobak, Scaling down deep learning with MNIST-1D, ICML 2024: CNN .94
        ("mnist1d/cnn.yaml", "test/accuracy", 0.94),
    ],
)
def test_an_example_reaches_its_published_number(lab, file, metric, at_least):
    folder = lab.folder / "examples"
    shutil.copytree((EXAMPLES / file).parent, folder)
    process = lab.start("run", folder / Path(file).name, "-q", "--json")
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert json.loads(out)["scores"][metric]["value"] >= at_least
