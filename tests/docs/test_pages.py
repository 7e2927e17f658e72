import re

import pytest

from docs.pages import DOCS, ROOT, blocks_of, run_page
from trainwright.spec.read import read_experiment

pytest.importorskip("torch")

# Each page that is run, and what it must not stop to show.
PAGES = {
    "tables.md": ["init patients.csv", "run patients.yaml", "predict patients"],
    "images-and-sequences.md": ["run shapes.yaml", "run pixels.yaml", "run walks.yaml"],
    "tasks.md": ["rare.py", "student.py", "sure.py", "branches.py", "draws.py", "several.py", "embed.py"],
    "training.md": ["run blocks.yaml", "run turned.yaml", "lineage turned"],
    "analysis.md": ["four_verbs.py", "step.py", "ls --dataset", "compare", "pin", "verify --pinned"],
    "studies.md": ["study soil.yaml -q", "--seeds 3"],
    "importing.md": ["theirs.py", "import theirs.ckpt --list", "--map map.yaml", "run blobs.yaml"],
    "lightning.md": ["run blocks.yaml", "go_on.py"],
    "keras.md": ["run blocks.yaml", "head -1 log.csv"],
    "graphs.md": ["run people.yaml", "predict people@best some.npy", "run rings.yaml"],
    "large-data.md": ["run rows.yaml", "in_memory=true", "predict rows"],
}


# Beginners' pages run in `make test`, the others in `make test-all`.
LATER = ("graphs.md", "images-and-sequences.md", "importing.md", "large-data.md", "lightning.md", "tasks.md")


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in LATER else page for page in PAGES]
)
def test_a_page_runs_as_it_is_written(tmp_path, page):
    done = " ".join(run_page(DOCS / page, tmp_path))
    for word in PAGES[page]:
        assert word in done, word


def test_every_page_that_shows_commands_is_run_by_a_test():
    run = {*PAGES, "tutorial.md", "extending.md"}
    shows = {page.name for page in DOCS.glob("*.md") if "\n```console\n" in page.read_text()}
    assert shows == run


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_a_piece_of_an_experiment_has_no_fault(tmp_path, page):
    """Those that are whole files are run; of the others, what is missing is filled in, and they are read."""
    rest = {"name": "a", "data": "{path: a.csv}", "model": "{architecture: mlp}"}
    for number, block in enumerate(blocks_of(page)):
        if block.language != "yaml" or block.text.startswith("# "):
            continue
        # One choice per line is several pieces.
        choices = re.findall(r"^split: (.*)$", block.text, re.MULTILINE)
        texts = [f"data: {{path: a.csv, split: {one.partition(' #')[0]}}}\n" for one in choices] or [
            block.text
        ]
        for text in texts:
            missing = [
                f"{key}: {value}\n" for key, value in rest.items() if not re.search(f"^{key}:", text, re.M)
            ]
            file = tmp_path / f"{number}.yaml"
            file.write_text("".join([*missing, text]))
            assert read_experiment(file).experiment.name, block.line


def test_the_two_commands_of_the_readme_train_a_table(tmp_path):
    text = (DOCS.parent / "README.md").read_text()
    commands = re.findall(r"^(trainwright (?:init data\.csv|run experiment\.yaml)) +#", text, re.MULTILINE)
    assert commands == ["trainwright init data.csv", "trainwright run experiment.yaml"]
    rows = "\n".join(f"{n / 7:.2f},{'ab'[n % 2]},{'big' if n % 14 > 6 else 'small'}" for n in range(60))
    page = f"```console\n$ {commands[0]}\n$ {commands[1]} -q --set train.epochs=2\n```\n"
    (tmp_path / "data.csv").write_text(f"size,kind,answer\n{rows}\n")
    (tmp_path / "page.md").write_text(page)
    assert len(run_page(tmp_path / "page.md", tmp_path)) == 2
