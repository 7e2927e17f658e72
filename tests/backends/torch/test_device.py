import pytest

torch = pytest.importorskip("torch")

from trainwright.backends.torch import driver
from trainwright.backends.torch.device import working
from trainwright.train.learner import Resolved


def test_threads_are_owned_for_a_while():
    before = torch.get_num_threads()
    with working(Resolved(threads=before + 1)):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_on_a_gpu_repeatable_kernels_are_chosen_for_a_while(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # what the user set stays
    threads = torch.get_num_threads()
    with working(Resolved(device="cuda", threads=threads)):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    with working(Resolved(threads=threads)):
        assert not torch.are_deterministic_algorithms_enabled()


def test_without_a_driver_torch_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(driver.importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    monkeypatch.setattr(driver, "DRIVERS", (str(tmp_path / "none"),))
    assert driver.cuda_is_there() is False


@pytest.mark.parametrize("there", [True, False])
def test_with_a_driver_torch_decides(monkeypatch, tmp_path, there):
    monkeypatch.setattr(driver, "DRIVERS", (str(tmp_path),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert driver.cuda_is_there() is there
