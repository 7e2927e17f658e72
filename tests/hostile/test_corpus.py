"""Each item of the corpus through its reader, and one of each class through every door.

The answer is a typed error that says what is wrong, or the value where it does no harm; no code, process, socket or
file comes of it, and it takes at most a second of CPU time and 200 MB.
"""

import pytest

from hostile import recipes
from hostile.asking import Server, judge

PAGES = recipes.classes()
ITEMS = [one for page in PAGES.values() for one in page["items"]]
# What a door may write where it accepts, each in the folder of its own.
WRITES = {
    "draft": ("inner/drafted.yaml",), "cli_init": ("inner/drafted.yaml",), "store_keep": ("inner/store",),
    "store_dataset": ("inner/store",), "cli_register": ("inner/store",), "api_frame": ("inner/store",),
}  # fmt: skip
# A store that is opened keeps its own books.
BOOKS = ("inner/store/catalogue.db", "inner/store/tmp", "inner/store/objects/tmp")
EVERY = [
    pytest.param(one["id"], name, *door, id=f"{name}-{one['id']}-{door[0]}")
    for name, page in PAGES.items()
    for one in page["everywhere"]
    for door in one["doors"]
]


@pytest.fixture(scope="module")
def server():
    made = Server()
    yield made
    made.close()


def marked(item):
    return pytest.param(
        item, id=f"{item['class']}-{item['id']}", marks=[pytest.mark.faults] if item.get("slow") else []
    )


@pytest.mark.parametrize("item", [marked(one) for one in ITEMS])
def test_an_item_is_refused_or_does_no_harm(server, item):
    told = server.ask(item, item["door"])
    written = WRITES.get(item["door"], ()) if item["error"] is None else ()
    assert not judge(told, item["error"], item.get("says", ""), written=(*written, *BOOKS))


@pytest.mark.parametrize(("item", "page", "door", "error", "says"), EVERY)
def test_an_item_is_refused_or_does_no_harm_at_every_door(server, item, page, door, error, says):
    (found,) = [one for one in PAGES[page]["items"] if one["id"] == item]
    told = server.ask(found, door)
    written = WRITES.get(door, ()) if error is None else ()
    assert not judge(told, error, says, written=(*written, *BOOKS))


def test_the_corpus_is_as_large_as_it_says():
    assert len(ITEMS) >= 300
    assert min(len(page["items"]) for page in PAGES.values()) >= 12
    for name, page in PAGES.items():
        doors = {door[0] for one in page["everywhere"] for door in one["doors"]} | {
            one["door"] for one in page["items"]
        }
        assert len(doors) >= 5, (name, doors)
