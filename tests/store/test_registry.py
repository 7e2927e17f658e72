import subprocess
import sys

import pytest

from trainwright.base.errors import SpecError, StoreError
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def test_runs_are_chosen_by_model_and_state(registry, begin):
    begin("a").finish("done")
    begin("a").finish("failed")
    begin("b")
    assert [run.model for run in registry.runs()] == ["a", "a", "b"]
    assert [run.state for run in registry.runs(model="a")] == ["done", "failed"]
    assert [run.model for run in registry.runs(state="running")] == ["b"]
    assert [model.name for model in registry.models()] == ["a", "b"]


def test_a_killed_run_is_shown_as_killed_though_nobody_wrote_it(tmp_path, child):
    home = tmp_path / "store"
    registry = Registry(Store.open(home))
    command = [sys.executable, str(child), "hold", str(home), "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    run = process.stdout.readline().strip()
    assert registry.run(run).state == "running"
    process.kill()
    process.communicate()
    assert registry.run(run).state == "killed"
    assert [row.id for row in registry.runs(state="killed")] == [run]
    assert registry.runs(state="running") == []
    with registry.store.catalogue.read() as connection:
        assert connection.exec_driver_sql("SELECT state FROM run").scalar() == "running"


def test_a_tag_of_a_person_moves_only_when_it_is_moved(registry, begin, snapshot):
    run = begin()
    first, second = (run.save(snapshot(step, loss=1.0 / step)).wait() for step in (1, 2))
    assert registry.tag("digits@1", "production").version == first.id
    assert registry.resolve("digits@production") == first
    registry.tag("digits@2", "production")
    assert registry.resolve("digits@production") == second
    assert [tag.name for tag in registry.tags(model="digits")] == ["production"]
    assert [tag.name for tag in registry.tags(run=run.id)] == ["best", "latest"]
    registry.untag("digits", "production")
    assert registry.tags(model="digits") == []
    with pytest.raises(StoreError, match="digits has no tag 'production'"):
        registry.untag("digits", "production")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("best", StoreError),
        ("latest", StoreError),
        ("final", StoreError),
        ("7", SpecError),
        ("a=b", SpecError),
    ],
)
def test_a_tag_that_means_something_else_is_refused(registry, begin, snapshot, name, error):
    begin().save(snapshot(1)).wait()
    with pytest.raises(error):
        registry.tag("digits@1", name)
    assert registry.tags(model="digits") == []


def test_all_tags_of_a_version_are_known(registry, begin, snapshot):
    version = begin().save(snapshot(1, loss=1.0)).wait()
    registry.tag("digits@1", "production")
    assert sorted(registry.tags_of(version)) == ["best", "latest", "production"]


@pytest.mark.parametrize("ask", ["run", "version", "latest"])
def test_what_is_not_there_is_refused(registry, begin, ask):
    run = begin()
    asks = {
        "run": lambda: registry.run("r20200101-000000-aaaa"),
        "version": lambda: registry.version(99),
        "latest": lambda: registry.latest(run.id),
    }
    with pytest.raises(StoreError, match=r"there is no|no version yet"):
        asks[ask]()


def test_a_damaged_object_is_refused_when_it_is_loaded(registry, begin, snapshot):
    version = begin().save(snapshot(1)).wait()
    path = registry.store.blobs.path(version.weights)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"object {version.weights} is damaged"):
        registry.weights(version)
    assert registry.state(version)["step"] == 1, "the rest of the version is still there"


def test_the_resume_point_of_a_run_can_be_asked_from_outside(registry, begin, snapshot):
    run = begin()
    assert registry.resume_point(run.id) is None
    version = run.save(snapshot(1)).wait()
    assert registry.resume_point(run.id) == version
    assert registry.resume_point(begin(parent=version).id) == version
