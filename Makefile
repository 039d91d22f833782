# Frostline: set-up and everyday commands. `make demo`, `make check` and `make test` work on a fresh
# clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# a process that has no tests left takes some from the other
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest --numprocesses 2 --dist worksteal

# modules are compiled when they are first used, not all 16,000 at the installation
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo check test soak lint types types-of-src fast docs bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Frostline needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing (about 3 minutes and 6 GB, most of it PyTorch) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev,demo,lite1,lite2]'
	@touch $(STAMP)

demo: install
	$(BIN)/frostline demo --output .demo

# while a change is made: about a minute
check: install
	$(MAKE) --jobs 3 --output-sync lint types-of-src fast

# before it is handed in: everything but the long tests. What reads the code runs side by side
test: install
	$(MAKE) --jobs 3 lint types docs
	$(PYTEST)

# attacks on each promise that take hours: kills, full disks, hostile files, fuzzing, abuse
soak: install
	$(BIN)/pytest --timeout 3600 -m soak tests/soak

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

types-of-src: install
	$(BIN)/mypy src

# rooms whose tests are all slow are not even imported
fast: install
	$(PYTEST) -m 'not slow and not soak' $(addprefix --ignore=tests/,end_to_end exporting integrations serve soak)

docs: install
	$(BIN)/mkdocs build --strict --quiet

bench: install
	$(BIN)/python -m benchmarks.accuracy_and_time

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
