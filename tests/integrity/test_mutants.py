"""The campaigns complain when a check is taken away; else they would show nothing."""

from integrity.test_objects import flip_bits
from trainwright.store import batches, catalogue, fsck, rows
from trainwright.store.blobs import Blobs

MOST = 400  # flips until one of them must be noticed


def test_with_every_check_nothing_is_bad(bench):
    assert bench.first_bad(40) is None


def test_without_the_digests_of_rows_wrong_rows_are_returned(bench, monkeypatch):
    monkeypatch.setattr(rows, "verify", lambda table, row: dict(row))
    assert bench.first_bad(MOST).wrong


def test_without_the_digests_of_batches_wrong_metrics_are_returned(bench, monkeypatch):
    monkeypatch.setattr(batches.BatchDigest, "end", lambda *_, **__: Anything())
    verdict = bench.first_bad(MOST, near=b"train/loss")
    assert all(question.startswith("metrics") for question in verdict.wrong)


class Anything:
    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


def test_without_the_walk_through_the_trees_rows_are_missing(bench, monkeypatch):
    monkeypatch.setattr(catalogue, "check_structure", lambda *_, **__: None)
    assert bench.first_bad(MOST).wrong


def test_without_the_rows_fsck_keeps_silent_about_them(bench, monkeypatch):
    monkeypatch.setattr(fsck, "_check_rows", lambda *_: iter(()))
    verdict = bench.first_bad(MOST)
    assert verdict.changed and not verdict.reported


def test_without_hashing_wrong_objects_are_returned(copied, monkeypatch):
    monkeypatch.setattr(Blobs, "get", lambda self, digest: self.path(digest).read_bytes())
    assert flip_bits(copied, 97)[1]
