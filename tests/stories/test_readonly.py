"""A store on a read-only disk, through the command line: reading works, recording is refused with the cure."""

import gc
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from store.test_readonly import read_only
from trainwright.base.errors import StoreError
from trainwright.cli.app import app
from trainwright.experiment import run_experiment
from trainwright.spec.read import read_experiment

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount a folder read-only; root may write all"
)


@pytest.fixture
def trained(lab):
    document = read_experiment(lab.file, changes=["train.epochs=2"])
    trained = run_experiment(document.experiment, folder=document.folder, home=lab.home)
    np.savez(lab.folder / "new.npz", x=lab.x[:20], y=lab.y[:20])
    gc.collect()  # whoever trained lets go of the store, before it is looked at
    with read_only(lab.home) as view:
        yield lab, trained, view


def call(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_what_reads_works_and_what_records_is_refused(trained):
    lab, run, view = trained
    home, new = ("--store", view), lab.folder / "new.npz"
    before = sorted(str(item) for item in view.rglob("*"))
    for arguments in (
        ("ls",),
        ("show", "tiny"),
        ("lineage", "tiny"),
        ("predict", "tiny", new),
        ("evaluate", "tiny", new),
        ("evaluate", "tiny", "--split", "val"),
        ("report", "tiny", "-o", lab.folder / "report.html"),
        ("verify", "tiny"),
        ("fsck",),
        ("gc", "--dry-run"),
    ):
        found = call(*arguments, *home)
        assert found.exit_code == 0, (arguments, found.exception, found.output)
    assert (lab.folder / "report.html").stat().st_size > 1000
    for arguments, message in {
        ("tag", "tiny@1", "mine"): "catalogue.db is read-only",
        ("evaluate", "tiny"): "catalogue.db is read-only",  # a look at the test split that is not counted
        ("report", "tiny"): "the report cannot be written: Read-only file system",
        ("gc",): "the file system is read-only: mount it for writing",
        ("resume", "tiny@1", "--epochs", "3"): "Read-only file system|is read-only",
        ("run", lab.file, "--again"): "Read-only file system|is read-only",
    }.items():
        found = call(*arguments, *home)
        assert isinstance(found.exception, StoreError), (arguments, found.exception)
        assert any(part in str(found.exception) for part in message.split("|")), found.exception
    assert sorted(str(item) for item in view.rglob("*")) == before
