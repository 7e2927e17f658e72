"""What a run depends on outside its spec."""

import importlib.metadata
import os
import platform
import subprocess
import sys

import pytest

from trainwright.base.machine import (
    environment_lock,
    git_commit,
    gpus,
    hardware,
    package_versions,
    peak_memory_bytes,
    settings,
)


def git(folder, *arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("1")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_versions_are_those_of_the_installed_packages():
    found = package_versions()

    assert found["python"] == platform.python_version()
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["trainwright"] == importlib.metadata.version("trainwright")


def test_versions_are_found_without_importing_a_framework():
    code = "import sys; from trainwright.base.machine import *; package_versions(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"torch", "jax", "numpy"} & set(done.stdout.split())


def test_the_lock_names_every_installed_distribution_in_order():
    lock = environment_lock()

    assert list(lock) == sorted(lock)
    assert lock["pytest"] == pytest.__version__
    for item in importlib.metadata.distributions():
        assert lock[item.metadata["Name"]] == importlib.metadata.version(item.metadata["Name"])


def test_hardware_is_this_machine():
    found = hardware()

    assert found["machine"] == platform.machine()
    assert 1 <= found["cores"] <= os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found["memory_bytes"] == pytest.approx(pages, rel=0.01)


def test_a_clean_folder_is_named_by_its_commit(repository):
    assert git_commit(repository) == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False}


def test_a_changed_file_makes_the_folder_dirty(repository):
    (repository / "a.txt").write_text("2")

    assert git_commit(repository)["dirty"] is True


def test_an_untracked_file_does_not(repository):
    (repository / "results.txt").write_text("2")

    assert git_commit(repository)["dirty"] is False


@pytest.mark.parametrize("what", ["plain", "missing", "without git", "without commits"])
def test_where_there_is_no_commit_both_values_are_none(tmp_path, monkeypatch, what):
    folder = tmp_path / "folder"
    if what != "missing":
        folder.mkdir()
    if what == "without commits":
        git(folder, "init", "-q")
    if what == "without git":
        monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    assert git_commit(folder) == {"commit": None, "dirty": None}


def test_peak_memory_grows_with_what_was_used():
    # Linux lets a child begin with its parent's peak, hence more than that must be used to see a change.
    code = (
        "from trainwright.base.machine import peak_memory_bytes as peak\n"
        "before = peak(); held = b'x' * (before + 100_000_000); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert 100_000_000 <= int(done.stdout) < 200_000_000
    assert peak_memory_bytes() > 10_000_000


def test_the_c_library_is_one_of_the_packages_and_instructions_are_in_order():
    assert package_versions()["libc"] == " ".join(platform.libc_ver()).strip()
    words = hardware()["instructions"].split()
    assert words == sorted(words) and len(words) == len(set(words))
    if platform.machine() == "x86_64":
        assert "sse2" in words and not {"fpu", "syscall", "aes"} & set(words)


def test_a_variable_that_is_not_set_and_one_set_to_what_is_usual_are_the_same(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    before = settings()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert settings() == before
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert settings() == before | {"ATEN_CPU_CAPABILITY": "default"}


def test_the_flag_that_goes_with_threads_is_no_setting_of_its_own(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_b=1 --xla_cpu_multi_thread_eigen=false --xla_a=2")
    assert settings()["XLA_FLAGS"] == "--xla_a=2 --xla_b=1"


def test_gpus_are_named_by_their_driver(tmp_path, monkeypatch):
    assert isinstance(gpus(), list)
    folder = tmp_path / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 5\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX 550.54\nGCC version: 12\n")
    monkeypatch.setattr("trainwright.base.machine.NVIDIA", tmp_path)
    assert gpus() == ["NVIDIA H200, NVRM version: NVIDIA UNIX 550.54"]
    (tmp_path / "version").unlink()
    assert gpus() == []
