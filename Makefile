# Everything goes through a virtual environment of its own; nothing else on the machine is touched.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CPUS ?= auto

.PHONY: demo test check fix docs bench test-all test-faults lock clean

# torch is always installed by its exact version: any other spelling may download gigabytes.
$(VENV)/demo.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch]'
	touch $@

$(VENV)/dev.done: $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,jax,dev]'
	touch $@

demo: $(VENV)/demo.done  ## train examples/mnist1d/cnn.yaml and show what came of it
	$(BIN)/trainwright run examples/mnist1d/cnn.yaml

test: $(VENV)/dev.done  ## all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow and not faults" -n $(CPUS) --dist worksteal

test-all: $(VENV)/dev.done  ## the published numbers too
	$(BIN)/python -m pytest -m "not faults" -n $(CPUS) --dist worksteal

test-faults: $(VENV)/dev.done  ## the long campaigns of planted faults: every I/O call, kills, power cuts
	$(BIN)/python -m pytest -m faults -n $(CPUS)

check: $(VENV)/dev.done  ## what a reviewer runs: format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/dev.done  ## mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev.done  ## write docs/experiment.md and docs/cli.md from the code
	$(BIN)/python docs/make_reference.py

bench: $(VENV)/dev.done  ## speed against hand-written peers
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/whole_run.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/writer_stall.py
	$(BIN)/python benchmarks/durable_save.py

lock: $(VENV)/dev.done  ## pin what is installed now
	$(BIN)/python -m pip freeze --exclude-editable | sed -e 's/+cpu$$//' -e '/^-e/d' -e '/@ file/d' > constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
