# Two commands on a fresh machine: `make demo` and `make test`. Both create .venv if it is missing.

PYTHON ?= python3
VENV := .venv
JOBS ?= auto
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: demo test lint clean

demo: $(STAMP)
	$(BIN)/pathlens demo

# A process a core, each with one thread: most tests are too small to gain from several threads.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages as docs/_build/html; a link that leads nowhere and any other warning is an error.
.PHONY: docs
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -W -n --keep-going -q -b html docs docs/_build/html

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

# The studies under analyses/ whose tables are missing or lack rows, in order, each resumed where it stands:
# make studies [WORK=FOLDER] [ONLY="NAME ..."] [FORCE=1]; LIST=1 only says what is missing.
WORK ?= studies-work
.PHONY: studies
studies: $(STAMP)
	$(BIN)/python analyses/studies.py $(WORK) $(if $(ONLY),--only $(ONLY)) $(if $(FORCE),--force) $(if $(LIST),--list)

# Re-made when the metadata changes. Editable, so that a change of the code needs no new install.
# TORCH picks a build or version of torch, for example a CPU build where one can be had:
# make demo TORCH='torch torchvision --index-url https://download.pytorch.org/whl/cpu'
$(STAMP): setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH))
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
