import pytest

from trainwright.base.errors import BackendError, SpecError
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.model import ModelSpec
from trainwright.spec.optimizer import LBFGS, OwnOptimizer
from trainwright.spec.part import Use
from trainwright.spec.resolve import Facts, lacking, resolve
from trainwright.spec.train import TrainSpec

BOTH = ("torch", "equinox")


def decide(*, installed=BOTH, cuda=False, architecture="mlp", keras=None, **train):
    facts = Facts(
        input_shape={"mlp": (3,), "gnn": (1,)}.get(architecture, (1, 8, 8)),
        output_shape=(2,),
        task_type="regression",
        content_digest="0" * 64,
        features=["a", "b", "c"],
        target="y",
        installed=installed,
        threads={},
        cuda=cuda,
        keras=keras,
        **({"graph": "node", "node_features": 4} if architecture == "gnn" else {}),
    )
    graph = {"graph": {}} if architecture == "gnn" else {}
    experiment = Experiment(
        name="a",
        data=DataSpec(path="a.csv", **graph),
        model=ModelSpec(architecture=architecture, use="a:B" if architecture == "own" else None),
        train=TrainSpec(**train),
    )
    return resolve(experiment, facts)


LBFGS_ = LBFGS(name="lbfgs")
OWN = OwnOptimizer(name="own", use="a:B")
LIGHTNING = {"backend": "lightning", "installed": ("torch", "lightning")}
PROCESSES = LIGHTNING | {"lightning": LightningSpec(devices=2)}
MODULE = LIGHTNING | {"lightning": LightningSpec(module=Use(use="a:B"))}


@pytest.mark.parametrize(
    ("asked", "backend", "reason"),
    [
        ({}, "equinox", "dense layers as one compiled program"),
        ({"architecture": "cnn"}, "torch", "convolutions on a CPU"),
        ({"architecture": "gnn"}, "equinox", "sums over edges as one compiled program"),
        ({"architecture": "gnn", "installed": ("torch",)}, "torch", "equinox is not installed"),
        ({"installed": ("torch",)}, "torch", "equinox is not installed"),
        ({"architecture": "cnn", "installed": ("equinox",)}, "equinox", "torch is not installed"),
        ({"optimizer": LBFGS_}, "torch", "train.optimizer.name: equinox has no 'lbfgs'"),
        ({"precision": "bfloat16"}, "torch", "train.precision: equinox has no 'bfloat16'"),
        ({"precision": "float16"}, "torch", "train.precision: equinox has no 'float16'"),
        ({"device": "cuda", "cuda": True}, "torch", "train.device: equinox has no 'cuda'"),
        (
            {"optimizer": OWN, "architecture": "cnn"},
            "equinox",
            "train.optimizer.name: torch has no 'own'",
        ),
    ],
    ids=str,
)
def test_a_backend_is_chosen_that_has_what_is_asked_for(asked, backend, reason):
    resolved, why = decide(**asked)
    assert resolved.train.backend == backend and why["train.backend"] == reason


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"optimizer": LBFGS_},
            r"train\.optimizer\.name: equinox has no 'lbfgs'; write train\.backend: torch",
        ),
        (
            {"precision": "float16"},
            r"train\.precision: equinox has no 'float16'; write train\.backend: torch",
        ),
        (
            {"device": "cuda", "cuda": True},
            r"train\.device: equinox has no 'cuda'; write train\.backend: torch",
        ),
    ],
    ids=str,
)
def test_a_backend_that_is_asked_for_what_it_has_not_is_refused(asked, said):
    with pytest.raises(SpecError, match=said):
        decide(backend="equinox", **asked)


def test_what_only_one_of_them_has_names_the_one_to_install_or_that_there_is_none():
    with pytest.raises(SpecError, match=r"torch has no 'own'; write train\.backend: equinox"):
        decide(backend="torch", optimizer=OWN)
    with pytest.raises(BackendError, match=r"torch has no 'own': pip install 'trainwright\[jax\]'"):
        decide(installed=("torch",), optimizer=OWN)
    with pytest.raises(BackendError, match=r"no 'float16'; .* no 'own': no backend has both"):
        decide(optimizer=OWN, precision="float16")
    with pytest.raises(SpecError, match="no backend has all that train asks for"):
        decide(backend="equinox", optimizer=OWN, precision="float16")


def test_when_no_backend_has_it_the_missing_one_is_named():
    with pytest.raises(BackendError, match=r"equinox has no 'lbfgs': pip install 'trainwright\[torch\]'"):
        decide(installed=("equinox",), optimizer=LBFGS_)
    with pytest.raises(BackendError, match="no backend is installed"):
        decide(installed=())


@pytest.mark.parametrize(
    ("asked", "device", "reason"),
    [
        ({"backend": "torch"}, "cpu", None),
        ({"backend": "torch", "cuda": True}, "cuda", "torch finds a GPU"),
        ({"backend": "torch", "cuda": True, "device": "cpu"}, "cpu", None),
        ({"backend": "torch", "cuda": True, "device": "cuda"}, "cuda", None),
        ({"backend": "equinox", "cuda": True}, "cpu", "equinox trains on the CPU"),
        (PROCESSES | {"cuda": True}, "cpu", "several processes train on the CPU"),
        (MODULE | {"cuda": True}, "cpu", "a module of your own trains on the CPU"),
    ],
    ids=str,
)
def test_the_device_goes_by_what_is_there(asked, device, reason):
    resolved, why = decide(**asked)
    assert resolved.train.device == device and why.get("train.device") == reason


def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(BackendError, match=r"train\.device: torch finds no GPU; write device: cpu"):
        decide(backend="torch", device="cuda")


@pytest.mark.parametrize(("asked", "precision"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_full_precision_unless_another_is_asked_for(asked, precision):
    assert decide(backend="torch", precision=asked)[0].train.precision == precision


def test_torch_lacks_nothing():
    assert lacking("torch", TrainSpec(optimizer=LBFGS_, device="cuda", precision="float32")) is None


def test_lightning_is_taken_by_name_only_and_trains_where_torch_does():
    every = ("torch", "equinox", "lightning")
    assert decide(installed=every)[0].train.backend == "equinox"
    with pytest.raises(BackendError, match=r"no backend is installed"):
        decide(installed=("lightning",))
    resolved, why = decide(installed=every, backend="lightning", cuda=True, optimizer=LBFGS_)
    assert (resolved.train.backend, resolved.train.device) == ("lightning", "cuda")
    assert why["train.device"] == "torch finds a GPU"
    with pytest.raises(
        BackendError, match=r"lightning is not installed: pip install 'trainwright\[lightning\]'"
    ):
        decide(backend="lightning")


ENGINES = ("torch", "equinox", "keras-jax", "keras-torch")


@pytest.mark.parametrize(
    ("asked", "backend", "reason"),
    [
        ({}, "keras-jax", "dense layers, compiled"),
        ({"architecture": "cnn"}, "keras-torch", "convolutions on a CPU"),
        ({"keras": "torch"}, "keras-torch", "Keras is told to run on torch"),
        ({"keras": "jax", "architecture": "cnn"}, "keras-jax", "Keras is told to run on jax"),
        ({"installed": ("keras-torch",)}, "keras-torch", "jax is not installed"),
        ({"installed": ("keras-jax",), "architecture": "cnn"}, "keras-jax", "torch is not installed"),
        ({"installed": ("keras-torch",), "keras": "jax"}, "keras-torch", "jax is not installed"),
        ({"installed": ("keras-tensorflow",)}, "keras-tensorflow", "neither jax nor torch is installed"),
    ],
    ids=str,
)
def test_keras_runs_on_what_it_is_told_to_or_what_suits_the_model(asked, backend, reason):
    resolved, why = decide(backend="keras", **{"installed": ENGINES, **asked})
    assert resolved.train.backend == backend and why["train.backend"] == reason


def test_auto_never_chooses_keras():
    for architecture in ("mlp", "cnn"):
        assert not decide(installed=ENGINES, architecture=architecture)[0].train.backend.startswith("keras")
    with pytest.raises(BackendError, match="no backend is installed"):
        decide(installed=("keras-jax", "keras-torch"))


def test_only_keras_has_networks_of_ones_own():
    resolved, why = decide(installed=ENGINES, architecture="own")
    assert resolved.train.backend == "keras-jax" and why["train.backend"] == "dense layers, compiled"
    for backend in ("torch", "equinox"):
        text = rf"model\.architecture: {backend} has no 'own'; write train\.backend: keras-jax"
        with pytest.raises(SpecError, match=text):
            decide(installed=ENGINES, architecture="own", backend=backend)


def test_keras_that_is_not_there_or_has_not_what_is_asked_for_is_an_error():
    with pytest.raises(
        BackendError, match=r"keras is not installed: pip install 'trainwright\[keras,torch\]'"
    ):
        decide(backend="keras")
    with pytest.raises(
        BackendError, match=r"keras-jax is not installed: pip install 'trainwright\[keras,jax\]'"
    ):
        decide(backend="keras-jax")
    with pytest.raises(SpecError, match=r"keras-torch has no 'lbfgs'; write train\.backend: torch"):
        decide(backend="keras-torch", installed=ENGINES, optimizer=LBFGS_)
