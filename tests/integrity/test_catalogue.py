"""One bit of each byte of the catalogue: nothing is ever answered wrongly, and `fsck` reports what changes a row."""

import pytest

from integrity.making import PAGE_BYTES

SLICES = 8


def test_an_undamaged_store_is_answered_and_has_nothing_to_report(bench):
    verdict = bench.judge()
    assert (verdict.opened, verdict.bad, verdict.reported) == (True, False, False)
    assert len(bench.content) < 40_000 and all(bench.known.rows)  # small, and a row in every table


def test_a_sample_of_flipped_bits(bench):
    found, bad = bench.campaign(range(0, len(bench.content), 127))
    assert not bad
    assert found["row changed, reported"] > 30 and found["rows the same, harmless"] > 10


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(SLICES))
def test_every_byte(bench, part):
    found, bad = bench.campaign(range(part, len(bench.content), SLICES))
    print(f"\npart {part}: {dict(found)}")
    assert not bad


def test_a_page_that_was_lost_or_is_another_one(bench):
    pages = len(bench.content) // PAGE_BYTES
    for page in range(pages):
        other = (page + 7) % pages * PAGE_BYTES
        for content in (bytes(PAGE_BYTES), bench.content[other : other + PAGE_BYTES]):
            bench.write(page * PAGE_BYTES, content)
            verdict = bench.judge()
            assert not verdict.bad and verdict.reported, page
        bench.mend()


def test_a_catalogue_that_was_cut_off(bench):
    for length in range(0, len(bench.content), PAGE_BYTES * 3 + 100):
        bench.path.write_bytes(bench.content[:length])
        verdict = bench.judge()
        assert not verdict.opened and verdict.reported, length
    bench.mend()
