from report.pages import page_of
from report.recorded import record_run


def test_the_page_says_where_the_run_came_from_and_how_to_repeat_it(tmp_path):
    registry, run = record_run(tmp_path, task="regression", metrics=[{"val/loss": 0.25}])
    page = page_of(registry, run)
    assert "trainwright reproduce shown@1" in page.text("repeat") and "sha256:" + "0" * 64 in page.text(
        "repeat"
    )
    (versions,) = page.tables("versions")
    assert versions[1][:5] == ["1", "1", "1", "best, final, latest", "0.25"]
    assert dict(page.tables("environment")[0][1:])["git commit"] == "0123456789abcdef"
    assert "numpy==2.2.0" in page.text("environment")
    assert "run" in page.text("lineage") and "shown@1" in page.text("lineage")
    assert "commit 01234567" in page.source


def test_a_spec_that_names_each_record_is_cut_and_says_so(tmp_path):
    split = {"method": "given", "train": list(range(20_000)), "val": [20_000], "test": [20_001]}
    page = page_of(*record_run(tmp_path, task="regression", data={"split": split}))
    assert "characters are in the record" in page.text("repeat") and len(page.source) < 80_000
