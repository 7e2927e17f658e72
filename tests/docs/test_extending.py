import pytest

from docs.pages import DOCS, run_page

pytest.importorskip("torch")


def test_the_parts_of_extending_work_as_they_are_written(tmp_path):
    done = " ".join(run_page(DOCS / "extending.md", tmp_path))
    assert "reproduce decay" in done and "pytest" in done
