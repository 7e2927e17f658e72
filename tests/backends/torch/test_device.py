import subprocess
import sys

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


PRODUCTS = """
import trainwright.backends.torch.device
import torch

torch.set_num_threads(1)
kept, differing = torch.randn(64, 64), set()
for rows, inner, columns in [(2, 16, 13), (13, 16, 2), (16, 13, 7), (32, 64, 1), (64, 32, 5)]:
    a, b = kept.flatten()[: rows * inner], kept.flatten()[-inner * columns :]
    for offset in range(16):
        moved = [torch.cat((torch.zeros(offset), one))[offset:] for one in (a, b)]
        found = moved[0].view(rows, inner) @ moved[1].view(inner, columns)
        together = torch.bmm(moved[0].view(1, rows, inner), moved[1].view(1, inner, columns))[0]
        first = (found, together) if offset == 0 else first
        if not (torch.equal(first[0], found) and torch.equal(first[1], together)):
            differing.add((rows, inner, columns, offset))
print(len(differing))
"""


def test_a_product_does_not_depend_on_where_its_operands_begin(monkeypatch):
    """Fails on some processors, such as an AMD EPYC of 2024, if MKL is not told."""
    monkeypatch.delenv("MKL_CBWR", raising=False)
    done = subprocess.run([sys.executable, "-c", PRODUCTS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"]


def test_what_the_user_told_mkl_stays(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    code = "import os, trainwright.backends.torch.device; print(os.environ['MKL_CBWR'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["COMPATIBLE"]


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
