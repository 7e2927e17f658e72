"""Files that runs of the tests import, not pytest: a process imports Keras once its engine is chosen."""

collect_ignore = ["heard.py", "own_networks.py"]
