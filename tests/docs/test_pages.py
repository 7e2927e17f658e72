import pytest

from docs.pages import DOCS, run_page

pytest.importorskip("torch")

# Each page that is run, and what it must not stop to show.
PAGES = {
    "tables.md": ["init patients.csv", "run patients.yaml", "predict patients"],
    "images-and-sequences.md": ["run shapes.yaml", "run pixels.yaml", "run walks.yaml"],
    "tasks.md": ["rare.py", "sure.py", "several.py", "embed.py"],
    "training.md": ["run blocks.yaml", "run turned.yaml", "lineage turned"],
    "analysis.md": ["four_verbs.py", "step.py", "ls --dataset", "compare", "pin", "verify --pinned"],
    "large-data.md": ["run rows.yaml", "in_memory=true", "predict rows"],
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_is_written(tmp_path, page):
    done = " ".join(run_page(DOCS / page, tmp_path))
    for word in PAGES[page]:
        assert word in done, word


def test_every_page_that_shows_commands_is_run_by_a_test():
    run = {*PAGES, "tutorial.md", "extending.md"}
    shows = {page.name for page in DOCS.glob("*.md") if "\n```console\n" in page.read_text()}
    assert shows == run


def test_the_readme_tells_what_the_tutorial_of_tables_does(tmp_path):
    text = (DOCS.parent / "README.md").read_text()
    assert "trainwright init" in text and "make demo" in text and "make test" in text
