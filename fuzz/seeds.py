"""Writes the small items of the hostile corpus as files for a fuzzer to begin from: `python fuzz/seeds.py FOLDER`."""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile import recipes

MOST = 2**16  # bytes of a seed
BIG = ("zip_of", "zip_many", "zip_overlapping", "repeat", "numbered", "tensors", "csv_columns", "csv_records")
BIG_TRICKS = ("constant", "dictionary", "hidden_dictionary", "columns", "pandas_note")


def is_small(item):
    """Says whether an item is made without taking memory."""
    recipe = item.get("recipe", {})
    if recipe.get("make") == "repeat":
        return len(recipe["of"]) * recipe["times"] <= MOST
    return recipe.get("make") not in BIG and recipe.get("trick") not in BIG_TRICKS


def seeds():
    """Gives the content of each small item, with the door it is for."""
    for page in recipes.classes().values():
        for item in filter(is_small, page["items"]):
            content = recipes.content(item)
            if len(content) <= MOST:
                yield item, content


def main(folder):
    """Writes each content once."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, content in seeds():
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    return len(list(folder.iterdir()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python fuzz/seeds.py FOLDER")
    print(main(Path(sys.argv[1])), "seeds")
