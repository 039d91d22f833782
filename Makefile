# Frostline: set-up and everyday commands. `make demo`, `make check` and `make test` work on a fresh
# clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# what is installed into it: the core with the demonstration's images, or all that tests need
CORE   := $(VENV)/.core
FULL   := $(VENV)/.full
# a process that has no tests left takes some from the other
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest --numprocesses 2 --dist worksteal
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

# modules are compiled when they are first used, not all of them at the installation
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install install-all demo check test soak lint types types-of-src fast docs bench clean

# fits heads on frozen features, predicts and serves; no PyTorch
install: $(CORE)

# also trains layers of any network, and has what `make check` and `make test` need
install-all: $(FULL)

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Frostline needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing (half a minute and 350 MB) ..."
	$(PIP) --editable '.[demo]'
	@touch $@

$(FULL): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing (about 3 minutes and 6 GB, most of it PyTorch) ..."
	$(PIP) --editable '.[dev]'
	@touch $(CORE) $@

demo: install
	$(BIN)/frostline demo --output .demo

# while a change is made: about a minute
check: install-all
	$(MAKE) --jobs 3 --output-sync lint types-of-src fast

# before it is handed in: everything but the long tests. What reads the code runs side by side
test: install-all
	$(MAKE) --jobs 3 lint types docs
	$(PYTEST)

# attacks on each promise that take hours: kills, full disks, hostile files, fuzzing, abuse
soak: install-all
	$(BIN)/pytest --timeout 3600 -m soak tests/soak

lint: install-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-all
	$(BIN)/mypy

types-of-src: install-all
	$(BIN)/mypy src

# rooms whose tests are all slow are not even imported
fast: install-all
	$(PYTEST) -m 'not slow and not soak' $(addprefix --ignore=tests/,end_to_end exporting integrations serve soak)

docs: install-all
	$(BIN)/mkdocs build --strict --quiet

bench: install-all
	$(BIN)/python -m benchmarks.accuracy_and_time

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
