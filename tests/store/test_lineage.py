import json

import numpy as np
import pytest
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity

from trainwright.store.datasets import register
from trainwright.store.lineage import lineage, prov_json


@pytest.fixture
def family(store, begin, snapshot, registry):
    data = {"recipe": {}, "recipe_digest": "r", "content_digest": "c", "splits": {"train": np.arange(3)}}
    digest = register(store, name="line", **data).digest
    run = begin(dataset=digest)
    versions = [run.save(snapshot(step)).wait() for step in (1, 2)]
    run.finish("done")
    child = begin("digits", dataset=digest, parent=versions[0])
    versions.append(child.save(snapshot(2)).wait())
    begin("stranger").save(snapshot(1)).wait()
    return run, child, versions, digest


def test_a_version_is_followed_both_ways(registry, family):
    run, child, (first, second, third), digest = family
    graph = lineage(registry, "digits@1")
    assert {node.id for node in graph.nodes} == {
        f"dataset:{digest}",
        f"run:{run.id}",
        f"run:{child.id}",
        *(f"version:{row.id}" for row in (first, second, third)),
    }
    assert set(graph.edges) == {
        (f"dataset:{digest}", f"run:{run.id}"),
        (f"run:{run.id}", f"version:{first.id}"),
        (f"version:{first.id}", f"version:{second.id}"),
        (f"version:{first.id}", f"run:{child.id}"),
        (f"version:{first.id}", f"version:{third.id}"),
        (f"run:{child.id}", f"version:{third.id}"),
        (f"run:{run.id}", f"version:{second.id}"),
        (f"dataset:{digest}", f"run:{child.id}"),
    }
    assert {node.label for node in graph.nodes if node.kind == "version"} == {
        "digits@1",
        "digits@2",
        "digits@3",
    }
    assert next(node.label for node in graph.nodes if node.kind == "dataset") == "line"


def test_siblings_are_no_kin_of_a_version(registry, family):
    _, _, (_, second, third), _ = family
    assert f"version:{second.id}" not in {
        node.id for node in lineage(registry, f"digits@{third.number}").nodes
    }


def test_prov_is_read_by_the_library_of_the_standards_authors(registry, family, reopen):
    run, child, (first, _, third), digest = family
    child.edge("used", "file", target="a.csv")
    child.close()
    reopen(child.id, from_step=2).finish("done")

    text = json.dumps(prov_json(registry, child.id))
    document = ProvDocument.deserialize(content=text, format="json")

    names = {
        kind: {str(one.identifier) for one in document.get_records(kind)}
        for kind in (ProvActivity, ProvEntity)
    }
    assert names[ProvActivity] == {f"tw:run-{child.id}", f"tw:run-{child.id}-1", f"tw:run-{child.id}-2"}
    assert names[ProvEntity] >= {
        f"tw:dataset-{digest}",
        f"tw:version-{first.id}",
        f"tw:version-{third.id}",
        "tw:file-0",
    }
    assert len(list(document.get_records(ProvAgent))) == 1
    provn = document.get_provn()
    for relation in (
        f"used(tw:run-{child.id}, tw:dataset-{digest}, -)",
        f"used(tw:run-{child.id}, tw:version-{first.id}, -)",
        f"wasGeneratedBy(tw:version-{third.id}, tw:run-{child.id}-1, -)",
        f"wasDerivedFrom(tw:version-{third.id}, tw:version-{first.id}, -, -, -)",
        f"wasAssociatedWith(tw:run-{child.id}, tw:trainwright, -)",
    ):
        assert relation in provn, relation
    assert run.id not in provn, "the parent's run is told by its own document"


def test_a_run_without_data_and_versions_is_described_too(registry, begin):
    document = ProvDocument.deserialize(content=json.dumps(prov_json(registry, begin().id)), format="json")
    assert len(list(document.get_records(ProvEntity))) == 1


def test_a_fine_tuned_run_leads_back_to_the_version_it_began_from(registry, family, begin, snapshot):
    _, _, (first, _, _), digest = family
    tuned = begin("tuned", dataset=digest)
    tuned.edge("used", "fine_tuned_from", target="digits@1")
    made = [tuned.save(snapshot(step)).wait() for step in (1, 2)]

    graph = lineage(registry, "tuned@2", every=False)
    assert (f"version:{first.id}", f"run:{tuned.id}") in graph.edges
    assert graph.fine_tuned == {(f"version:{first.id}", f"run:{tuned.id}")}
    assert lineage(registry, "stranger@1").fine_tuned == frozenset()

    document = ProvDocument.deserialize(content=json.dumps(prov_json(registry, tuned.id)), format="json")
    names = {str(one.identifier) for one in document.get_records(ProvEntity)}
    assert f"tw:version-{first.id}" in names and not any("fine_tuned" in name for name in names)
    provn = document.get_provn()
    assert f"used(tw:run-{tuned.id}, tw:version-{first.id}, -)" in provn
    assert (
        f'wasDerivedFrom(tw:version-{made[0].id}, tw:version-{first.id}, -, -, -, [prov:type="fine_tuned_from"])'
        in provn
    )
    assert f"wasDerivedFrom(tw:version-{made[1].id}, tw:version-{made[0].id}, -, -, -)" in provn
