"""What all tests have in common."""

import gc


def pytest_collection_finish():
    """Lets no search for garbage look again at what was imported and collected: that takes half a second each time."""
    gc.collect()
    gc.freeze()
