"""A run that cannot go on exactly says which field differs, and goes on only when it is told to; the record says so."""

import json
from copy import deepcopy

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright import provenance
from trainwright.backends.torch import device
from trainwright.base.errors import BackendError, StoreError
from trainwright.experiment import resume_run, run_experiment
from trainwright.provenance import describe_environment, inexact_fields
from trainwright.spec.edit import edit
from trainwright.spec.read import read_experiment
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.train.callback import Callback

torch = pytest.importorskip("torch")


class Pause(Callback):
    """Ends an attempt after its first epoch, as a signal would."""

    def __init__(self, monkeypatch):
        self._wish = "go"
        monkeypatch.setattr(LocalRun, "wish", lambda run: self._wish)

    def on_epoch(self, moment):
        self._wish = "pause"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path)


def start(lab, monkeypatch, *changes):
    """Trains one epoch of three and pauses; gives the id."""
    document = read_experiment(lab.file, changes=["train.epochs=3", *changes])
    with monkeypatch.context() as patch:
        trained = run_experiment(
            document.experiment, folder=document.folder, home=lab.home, listeners=[Pause(patch)]
        )
    assert trained.outcome.kind == "paused"
    return trained.run


ENVIRONMENT = {
    "packages": {"python": "3.11.7", "libc": "glibc 2.36", "numpy": "2.0", "trainwright": "0.1"},
    "lock": {"nvidia-cudnn-cu12": "9.1", "pytest": "8"},
    "hardware": {
        "machine": "x86_64",
        "processor": "AMD EPYC",
        "instructions": "avx avx2",
        "gpus": "H200, driver 550",
        "system": "Linux 6.1",
        "cores": 2,
        "memory_bytes": 8,
    },
    "settings": {"ATEN_CPU_CAPABILITY": "", "XLA_FLAGS": ""},
    "code": {"mine:Noise": "aa"},
    "git": {"commit": "abc", "dirty": False},
}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("packages.python", "3.12.0", "packages.python: recorded 3.11.7, now 3.12.0"),
        ("packages.libc", "glibc 2.39", "packages.libc: recorded glibc 2.36, now glibc 2.39"),
        ("packages.numpy", None, "packages.numpy: recorded 2.0, now none"),
        ("packages.jax", "0.5", "packages.jax: recorded none, now 0.5"),
        ("packages.trainwright", "0.2", "packages.trainwright: recorded 0.1, now 0.2"),
        ("lock.nvidia-cudnn-cu12", "9.2", "packages.nvidia-cudnn-cu12: recorded 9.1, now 9.2"),
        ("hardware.machine", "aarch64", "hardware.machine: recorded x86_64, now aarch64"),
        ("hardware.processor", "Xeon", "hardware.processor: recorded AMD EPYC, now Xeon"),
        ("hardware.instructions", "avx", "hardware.instructions: recorded avx avx2, now avx"),
        (
            "hardware.gpus",
            "A100, driver 550",
            "hardware.gpus: recorded H200, driver 550, now A100, driver 550",
        ),
        (
            "settings.ATEN_CPU_CAPABILITY",
            "default",
            "settings.ATEN_CPU_CAPABILITY: recorded none, now default",
        ),
        ("code.mine:Noise", "bb", "code.mine:Noise: recorded aa, now bb"),
        # What does not change a bit of a run:
        ("lock.pytest", "9", None),
        ("hardware.system", "Linux 6.9", None),
        ("hardware.cores", 64, None),
        ("hardware.memory_bytes", 1, None),
        ("git.commit", "def", None),
    ],
)
def test_each_field_that_bits_depend_on_is_compared(path, value, told):
    now = deepcopy(ENVIRONMENT)
    part, _, name = path.partition(".")
    now[part][name] = value
    if value is None:
        del now[part][name]
    assert inexact_fields(ENVIRONMENT, now) == ([told] if told else [])
    assert len(inexact_fields(now, ENVIRONMENT)) == bool(told)


def test_libraries_of_a_gpu_count_only_for_a_run_that_trains_on_one():
    left, right = deepcopy(ENVIRONMENT), deepcopy(ENVIRONMENT)
    right["lock"]["nvidia-cudnn-cu12"] = "9.2"
    for one in (left, right):
        one["hardware"]["gpus"] = ""
    assert inexact_fields(left, right) == []


def test_what_this_machine_says_of_itself_is_whole_and_is_the_same_twice(lab):
    experiment = read_experiment(lab.file).experiment
    one, other = (describe_environment(lab.folder, experiment=experiment) for _ in range(2))
    assert inexact_fields(one, other) == [] and json.loads(json.dumps(one)) == one
    assert one["packages"]["libc"] and one["hardware"]["instructions"] and one["hardware"]["gpus"] == ""


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("packages", "numpy", "1.0"),
        ("packages", "libc", "glibc 1.0"),
        ("hardware", "instructions", "avx"),
        ("settings", "ONEDNN_MAX_CPU_ISA", "SSE41"),
    ],
)
def test_a_resume_is_refused_by_the_field_and_leaves_the_run_as_it_was(lab, monkeypatch, part, name, value):
    run = start(lab, monkeypatch)
    before = describe_environment
    changed = before(lab.folder, experiment=read_experiment(lab.file).experiment)
    changed[part][name] = value
    monkeypatch.setattr("trainwright.experiment.describe_environment", lambda *_, **__: changed)
    with pytest.raises(StoreError, match=rf"cannot go on exactly: {part}\.{name}: .*--allow-inexact"):
        resume_run(run, home=lab.home)
    registry = Registry(Store.open(lab.home))
    assert registry.run(run).state == "paused" and len(registry.attempts(run)) == 1


def test_a_resume_that_is_allowed_is_shown_in_every_record(lab, monkeypatch):
    run = start(lab, monkeypatch)
    real = provenance.package_versions
    monkeypatch.setattr(provenance, "package_versions", lambda: {**real(), "numpy": "1.0"})
    done = resume_run(run, home=lab.home, allow_inexact=True)
    registry = Registry(Store.open(lab.home))
    told = f"packages.numpy: recorded {np.__version__}, now 1.0"
    assert [one.inexact for one in registry.attempts(run)] == [None, [told]]
    assert f"attempt 2 went on inexactly: {told}" in done.report.read_text()
    kept = {one.name: registry.artifact_value(one) for one in registry.artifacts(run)}
    assert told in kept["training-artifact.yaml"] and "went_on_inexactly" in kept["training-artifact.yaml"]
    assert f'"tw:inexact":"{told}"' in kept["prov.json"]
    assert lab.json("show", run)["went on inexactly"] == [f"attempt 2: {told}"]
    assert told in lab.call("show", run)
    # A branch from it begins exactly where packages are those of the attempt before.
    assert resume_run(f"{run}@latest", home=lab.home, epochs=4).outcome.kind == "done"


def test_a_branch_that_begins_inexactly_says_so(lab, monkeypatch):
    document = read_experiment(lab.file)
    trained = run_experiment(document.experiment, folder=document.folder, home=lab.home)
    real = provenance.package_versions
    monkeypatch.setattr(provenance, "package_versions", lambda: {**real(), "torch": "9"})
    with pytest.raises(StoreError, match=r"packages\.torch"):
        resume_run(f"{trained.run}@latest", home=lab.home, epochs=6)
    branch = resume_run(f"{trained.run}@latest", home=lab.home, epochs=6, allow_inexact=True)
    (attempt,) = Registry(Store.open(lab.home)).attempts(branch.run)
    assert attempt.inexact is not None and "packages.torch" in attempt.inexact[0]


CODE = '''\
from trainwright.train.callback import Callback


class Mine(Callback):
    """Listens."""
'''


def test_own_code_that_changed_is_named(lab, monkeypatch):
    (lab.folder / "mine_of_inexact.py").write_text(CODE)
    run = start(lab, monkeypatch, "train.callbacks=[{use: 'mine_of_inexact:Mine'}]")
    (lab.folder / "mine_of_inexact.py").write_text(CODE + "\n# another\n")
    with pytest.raises(
        StoreError, match=r"code\.mine_of_inexact:Mine: recorded [0-9a-f]{64}, now [0-9a-f]{64}"
    ):
        resume_run(run, home=lab.home)
    (lab.folder / "mine_of_inexact.py").write_text(CODE)
    assert resume_run(run, home=lab.home).outcome.kind == "done"


def test_a_run_of_a_gpu_goes_on_without_one_only_if_it_is_told_to(lab, monkeypatch):
    with monkeypatch.context() as pretend:
        pretend.setattr("trainwright.facts.cuda_is_there", lambda: True)
        pretend.setattr("trainwright.backends.torch.learner.device_of", lambda run_on: torch.device("cpu"))
        run = start(lab, pretend)
    registry = Registry(Store.open(lab.home))
    assert registry.spec(registry.run(run))["train"]["device"] == "cuda"
    with pytest.raises(StoreError, match=r"train\.device: recorded cuda, now cpu"):
        resume_run(run, home=lab.home)
    assert resume_run(run, home=lab.home, allow_inexact=True).outcome.kind == "done"
    assert registry.spec(registry.run(run))["train"]["device"] == "cpu"
    assert "train.device" in registry.attempts(run)[1].inexact[-1]


def test_threads_and_precision_are_set_as_recorded_whatever_the_process_has(lab, monkeypatch):
    whole = run_experiment(
        edit(read_experiment(lab.file).experiment, {"train.epochs": 3, "train.threads": 2}),
        folder=lab.folder,
        home=lab.home,
    )
    run = start(lab, monkeypatch, "train.threads=2")
    seen = []

    class Look(Callback):
        def on_epoch(self, moment):
            seen.append(
                (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_default_dtype())
            )

    before = torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    try:
        done = resume_run(run, home=lab.home, listeners=[Look()])
        assert torch.get_float32_matmul_precision() == "medium" and torch.get_default_dtype() == torch.float64
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.set_default_dtype(torch.float32)
    assert torch.get_num_threads() == before
    assert set(seen) == {(2, "highest", torch.float32)}
    assert done.final.weights == whole.final.weights


def test_a_precision_that_cannot_be_taken_back_is_refused(monkeypatch):
    def mixed():
        raise RuntimeError("a mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", mixed)
    with (
        pytest.raises(BackendError, match=r"torch\.backends\.fp32_precision"),
        device.working(device.Resolved()),
    ):
        pass


def test_a_pause_and_a_resume_in_another_folder_keep_the_lines_beside_the_experiment(
    lab, monkeypatch, tmp_path
):
    run = start(lab, monkeypatch, "train.callbacks=[{use: JSONLines, args: {path: m.jsonl}}]")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume_run(run, home=lab.home)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    lines = [json.loads(line) for line in (lab.folder / "m.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [1, 2, 3]
