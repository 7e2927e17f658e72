"""Every bit of every object: no read returns a wrong one, `fsck` names it and the versions it hits."""

import os

import pytest

from integrity.making import Known, Reader, Refused, wrong
from trainwright.base.errors import StoreError
from trainwright.store.fsck import check, repair


@pytest.fixture
def known(made):
    return Known(made)


def flip_bits(store, every):
    """Flips bits one after another, and counts those that were not noticed by `get`, the only way to an object."""
    tried, number, missed = 0, 0, []
    for digest in list(store.blobs.all()):
        path = store.blobs.path(digest)
        content = path.read_bytes()
        file = os.open(path, os.O_WRONLY)
        for place in range(len(content)):
            for bit in range(8):
                number += 1
                if number % every:
                    continue
                os.pwrite(file, bytes([content[place] ^ 1 << bit]), place)
                try:
                    store.blobs.get(digest)
                    missed.append((digest, place, bit))
                except StoreError:
                    tried += 1
                if store.blobs.intact(digest):
                    missed.append((digest, place, bit))
            os.pwrite(file, content[place : place + 1], place)
        os.close(file)
        assert store.blobs.get(digest) == content
    return tried, missed


def test_every_seventh_bit_of_every_object(copied):
    tried, missed = flip_bits(copied, 7)
    assert tried > 1000 and not missed


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_every_bit_of_every_object(copied):
    tried, missed = flip_bits(copied, 1)
    print(f"\n{tried} bits of {len(list(copied.blobs.all()))} objects")
    assert tried == sum(copied.blobs.size(digest) for digest in copied.blobs.all()) * 8 and not missed


def damages(store, digest):
    """Gives the ways to damage one object: a name, and what does it."""
    path, others = store.blobs.path(digest), [one for one in store.blobs.all() if one != digest]
    content = path.read_bytes()
    yield "a bit flipped", lambda: path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    for length in {0, len(content) // 2, len(content) - 1} - {len(content)}:
        yield f"cut to {length}", lambda length=length: path.write_bytes(content[:length])
    yield "longer", lambda: path.write_bytes(content + b"\0")
    yield "swapped", lambda: path.write_bytes(store.blobs.path(others[0]).read_bytes())
    yield "removed", path.unlink


def test_each_object_damaged_in_each_way_is_refused_and_reported(copied, known):
    needed = users(copied, known)
    for digest in list(copied.blobs.all()):
        path = copied.blobs.path(digest)
        content = path.read_bytes()
        for name, damage in damages(copied, digest):
            damage()
            answers = Reader(known).read_objects(copied)
            fresh = [one for one in answers if isinstance(answers[one], Refused) and not refused(known, one)]
            assert fresh, (digest, name)
            assert not wrong(answers, known), (digest, name)
            (found,) = [one for one in check(copied) if not one.harmless]
            assert found.what == digest and found.kind == ("missing" if name == "removed" else "object")
            assert set(found.versions) == needed.get(digest, set()), (digest, name)
            path.unlink(missing_ok=True)
            path.write_bytes(content)
    assert not [one for one in check(copied) if not one.harmless]


def refused(known, question):
    return isinstance(known.answers[question], Refused)


def users(store, known):
    """Gives the versions that need each object, found in another way than `fsck` finds them."""
    found = {}
    for version in known.versions:
        (run,) = [row for row in known.runs if row.id == version.run]
        attempts = [row for row in known.attempts if row.run == run.id]
        digests = {version.weights, version.state, version.operator, version.files, run.spec, run.environment}
        digests |= {digest for row in attempts for digest in (row.spec, row.environment)}
        digests |= set(known.files[version.id].values())
        for row in known.datasets:
            if row.digest == run.dataset:
                digests |= {digest for _, digest in row.splits.values()}
        for digest in digests - {None}:
            found.setdefault(digest, set()).add(f"{version.model}@{version.number}")
    return found


def test_repair_sets_each_damaged_object_aside_and_what_remains_loads(copied, known):
    before = {digest: copied.blobs.get(digest) for digest in copied.blobs.all()}
    damaged = sorted(before)[::3]
    for digest in damaged:
        copied.blobs.path(digest).write_bytes(before[digest][::-1] + b"x")

    assert sorted(repair(copied)) == damaged

    kept = {path.name.split(".")[0]: path.read_bytes() for path in copied.quarantine.iterdir()}
    assert kept == {digest: before[digest][::-1] + b"x" for digest in damaged}
    assert {digest: copied.blobs.get(digest) for digest in copied.blobs.all()} == {
        digest: content for digest, content in before.items() if digest not in damaged
    }
    assert {one.what for one in check(copied) if not one.harmless} == set(damaged)
    assert not wrong(Reader(known).read_objects(copied), known)
    for digest in damaged:  # a good copy put in its place mends the store
        copied.blobs.put([before[digest]])
    assert not [one for one in check(copied) if not one.harmless]
    assert Reader(known).read_objects(copied) == {
        name: answer for name, answer in known.answers.items() if name in Reader(known).read_objects(copied)
    }
