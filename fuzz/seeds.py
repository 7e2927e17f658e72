"""Writes the small items of the hostile corpus as files for a fuzzer to begin from: `python fuzz/seeds.py FOLDER`."""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile import recipes


def seeds():
    """Gives the content of each small item, with the door it is for."""
    for page in recipes.classes().values():
        for item in filter(recipes.is_small, page["items"]):
            content = recipes.content(item)
            if len(content) <= recipes.SMALL:
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
