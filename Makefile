# Each target makes .venv if it is missing. `make demo PLATES=folder` takes your own scans; `make ui PLATES=folder` opens them.
# `make test ROOM=runs` runs the tests of one room.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
ATLAS := $(VENV)/bin/atlas
ATLAS_HOME ?= $(CURDIR)/data/$(if $(PLATES),$(notdir $(abspath $(PLATES))),atlas)
export ATLAS_HOME

.PHONY: demo ui test lint clean help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing the packages of constraints.txt into $(VENV); about two minutes the first time"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed ## draw 24 plates (or take PLATES=folder), materialise everything, report
	$(ATLAS) demo $(if $(PLATES),--plates '$(PLATES)')

ui: $(VENV)/.installed ## open the Dagster UI on that dataset, on loopback
	$(ATLAS) ui

lint: $(VENV)/.installed ## style, types and import layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports

# One process per core with one thread each: torch's own threads would compete for the cores.
test: lint ## lint, then every test (ROOM=name: those of one room)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(if $(ROOM),tests/unit/$(ROOM))

clean: ## remove the datasets made here and the environment
	rm -rf data $(VENV)
