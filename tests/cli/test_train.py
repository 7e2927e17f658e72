import pytest
from typer.testing import CliRunner

from trainwright.cli.app import app

pytest.importorskip("torch")

FILE = """
name: line
data: {inline: {a: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5], b: [2, 4, 6, 8, 10, 12, 14, 16, 18, 21.0]}, target: b}
model: {architecture: mlp, hidden_dims: [9999]}
train: {backend: torch}
"""
PARAMETERS = 9999 * 3 + 1  # 4 bytes each


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [
        ("{name: sgd}", 2),
        ("{name: sgd, momentum: 0.9}", 3),
        ("{name: adam}", 4),
        ("{name: adamw}", 4),
        ("{name: adagrad}", 3),
        ("{name: rmsprop}", 3),
        ("{name: rmsprop, momentum: 0.5, centered: true}", 5),
        ("{name: lbfgs, history_size: 10}", 24),
    ],
)
def test_the_plan_tells_what_a_checkpoint_takes_with_every_optimizer(tmp_path, optimizer, copies):
    (tmp_path / "line.yaml").write_text(FILE)
    found = CliRunner().invoke(
        app, ["run", str(tmp_path / "line.yaml"), "--dry-run", "--set", f"train.optimizer={optimizer}"]
    )
    assert found.exit_code == 0, found.exception
    assert f"about {4 * PARAMETERS * copies / 1e6:.1f} MB per checkpoint" in found.stderr


def test_averaged_weights_are_counted_too(tmp_path):
    (tmp_path / "line.yaml").write_text(FILE)
    wanted = ["run", str(tmp_path / "line.yaml"), "--dry-run", "--set", "train.ema={}"]
    assert f"about {4 * PARAMETERS * 5 / 1e6:.1f} MB" in CliRunner().invoke(app, wanted).stderr


def test_the_plan_tells_how_many_processes_make_a_step(tmp_path):
    pytest.importorskip("lightning")
    (tmp_path / "line.yaml").write_text(FILE)
    wanted = ["run", str(tmp_path / "line.yaml"), "--dry-run", "--set", "train.backend=lightning"]
    for devices, told in ((1, ", constant\n"), (2, ", constant, 2 processes\n")):
        found = CliRunner().invoke(app, [*wanted, "--set", f"train.lightning={{devices: {devices}}}"])
        assert told in found.stderr, found.output
