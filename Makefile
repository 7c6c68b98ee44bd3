# Everything a person or a CI machine does here is a target of this file. `make help` lists them.
# A test run writes its bytecode: without it, CPython 3.11 parses large modules anew each time and can fail at that.
unexport PYTHONDONTWRITEBYTECODE

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
RUST_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml -not -path '*/target/*')
BUF := node_modules/.bin/buf
PAGE := ingest/stepline_ingest/dashboard/static/index.html
PAGE_TOOLS := dashboard/node_modules/.package-lock.json
PAGE_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path 'dashboard/tests/*' 2>/dev/null)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# --- set-up ---------------------------------------------------------------------------------------------------------------

.PHONY: toolchain
toolchain:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing: install Python 3.10 or later (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$$($(PYTHON) --version) is too old: install Python 3.10 or later and pass PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python has no venv: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "Rust is missing: install the stable toolchain, 1.88 or later (rustup, https://rustup.rs)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing (Debian: apt-get install build-essential)" >&2; exit 1; }

$(VENV)/.deps: pyproject.toml ingest/pyproject.toml | toolchain
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing the Python packages"
	@$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(PY) -m pip install --quiet --group dev
	@touch $@

$(VENV)/.core: $(RUST_SOURCES) pyproject.toml $(VENV)/.deps
	@echo "building the Rust extension (some minutes the first time)"
	@PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet
	@touch $@

$(VENV)/.ingest: ingest/pyproject.toml $(VENV)/.core
	@$(PY) -m pip install --quiet --no-deps --editable ingest
	@touch $@

$(PAGE_TOOLS): dashboard/package.json dashboard/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing: the dashboard is built with version 20.19 or later (https://nodejs.org; Debian 13: apt-get install nodejs npm)" >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || { echo "Node.js $$(node --version) is too old: the dashboard is built with version 20.19 or later" >&2; exit 1; }
	@# Not `npm ci`, which wants the packages of every platform in the lockfile.
	@cd dashboard && npm install --no-save --silent --no-audit --no-fund
	@touch $@

$(PAGE): $(PAGE_SOURCES) $(PAGE_TOOLS)
	@echo "building the dashboard"
	@cd dashboard && npx vite build --logLevel warn
	@touch $@

.PHONY: dashboard
dashboard: $(PAGE) ## Build the web page of the service

.PHONY: dev
dev: toolchain $(VENV)/.ingest $(PAGE) ## Make .venv with everything built and installed

# --- the main job ---------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: dev ## Start the service, train 4 ranks on a real data set, show the run
	@$(BIN)/stepline demo

# --- checks ---------------------------------------------------------------------------------------------------------------

.PHONY: test
test: test-rust test-python test-page ## Run all tests (unit, property, integration, short fault rounds)

.PHONY: test-rust
test-rust: toolchain ## Run the Rust tests
	@cargo test --workspace --quiet

.PHONY: test-python
test-python: dev chromium ## Run the Python tests, real service and real chDB included
	@# By file, since a file shares its service. Half of the time a test waits for processes that end, so there is one more than
	@# cores; an engine takes up to 1 GiB, so there are no more than four. Files in their own order: the many short ones are the last
	@# (xdist would take the files with a single long test last, one worker at work and the others idle).
	@$(BIN)/pytest -q -n $$($(PY) -c 'import os; print(min(4, len(os.sched_getaffinity(0)) + 1))') --dist loadfile --no-loadscope-reorder

.PHONY: test-page
test-page: $(PAGE_TOOLS) ## Run the unit tests of the dashboard; those in a browser belong to the Python tests
	@cd dashboard && npx vitest run --silent --reporter=dot

.PHONY: chromium
chromium: # The browser of the tests
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing Chromium for the tests of the dashboard" && \
			{ apt-get install -y -qq chromium >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }; }; \
	} || { echo "Chromium is missing: the tests of the dashboard need it (Debian: apt-get install chromium), or STEPLINE_CHROMIUM=/path/to/one" >&2; test -n "$${STEPLINE_CHROMIUM:-}"; }

.PHONY: test-fault
test-fault: dev ## Run fault and property tests with many rounds (ROUNDS=200; 1000: some 1,500 kills, 1,700 cuts)
	@# In memory where there is room: these write the same few files a million times.
	@PROPTEST_CASES=20000 STEPLINE_CASES=1500 STEPLINE_POWER_LOSSES=10000 STEPLINE_BIT_FLIPS=1000000 \
		TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo $${TMPDIR:-/tmp}) cargo test --release --quiet -p stepline-core -p stepline-uploader
	@STEPLINE_FAULT_ROUNDS=$${ROUNDS:-200} STEPLINE_CHART_CASES=$${ROUNDS:-200} STEPLINE_RETENTION_CASES=$${ROUNDS:-200} \
		STEPLINE_LINEAGE_CASES=$$((5 * $${ROUNDS:-200})) $(BIN)/pytest -q --timeout=7200 tests/fault \
		tests/property/test_chart_twin.py tests/property/test_retention.py tests/property/test_lineage_trees.py tests/unit/ingest/test_retention.py

# Environments of their own: torch with its libraries takes some 4 GB.
.venv-torch/.done .venv-ray/.done: | toolchain
	@$(PYTHON) -m venv $(@D)
	@echo "installing $(subst .venv-,,$(@D)) into $(@D)"
	@$(@D)/bin/python -m pip install --quiet --no-compile numpy $(if $(findstring ray,$@),'ray[train]',torch)
	@touch $@

.PHONY: test-torch
test-torch: dev .venv-torch/.done ## Test with real torchrun on the processor (makes .venv-torch, 4 GB)
	@STEPLINE_TORCH_PYTHON=$(CURDIR)/.venv-torch/bin/python $(BIN)/pytest -q -m torch tests/launchers

.PHONY: test-ray
test-ray: dev .venv-ray/.done ## Test with real Ray Train (makes .venv-ray)
	@STEPLINE_RAY_PYTHON=$(CURDIR)/.venv-ray/bin/python $(BIN)/pytest -q -m ray tests/launchers

.PHONY: test-launchers
test-launchers: dev ## Test with the launchers that are installed (Debian: apt-get install openmpi-bin)
	@$(BIN)/pytest -q -m "not torch and not ray" tests/launchers

.PHONY: test-zookeeper
test-zookeeper: dev ## Test the tables of a cluster with a real ZooKeeper (Debian: apt-get install zookeeper)
	@STEPLINE_TEST_ZOOKEEPER=1 $(BIN)/pytest -q -m zookeeper tests/integration/test_zookeeper.py

.PHONY: soak
soak: dev ## Log, kill and audit for MINUTES=30
	@$(PY) -m tests.fault.soak --minutes $${MINUTES:-30}

.PHONY: fuzz
fuzz: dev ## Fuzz each decoder for MINUTES=10, then the extension; on the stable toolchain
	@cd fuzz && cargo build --release --quiet --target $(RUST_HOST)
	@for target in columnar records plain spool text; do \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/artifacts; \
		target/fuzz/$(RUST_HOST)/release/$$target -max_total_time=$$((60 * $${MINUTES:-10})) -timeout=20 -rss_limit_mb=1024 \
			-max_len=4096 -print_final_stats=1 -artifact_prefix=target/fuzz/artifacts/$$target- \
			target/fuzz/corpus/$$target fuzz/corpus/$$target; \
	done
	@$(PY) -m tests.support.extension_fuzz --minutes $${MINUTES:-10}

.PHONY: fmt
fmt: $(VENV)/.deps $(PAGE_TOOLS) ## Format Rust, Python and TypeScript
	@cargo fmt --all
	@cd dashboard && npx biome check --write .
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format --quiet .

.PHONY: lint
lint: dev $(BUF) ## Check formats, lints, types, the extension's stub and the protocol
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/mypy
	@MYPYPATH=python $(BIN)/python -m mypy.stubtest stepline._core
	@cd dashboard && npx tsc && npx biome check --error-on-warnings .
	@$(MAKE) --no-print-directory proto-check

$(BUF): package.json
	@command -v npm >/dev/null || { echo "npm is missing: the protocol check needs Node.js 20 or later (Debian: apt-get install nodejs npm)" >&2; exit 1; }
	@npm install --silent --no-audit --no-fund
	@touch $@

.PHONY: proto
proto: $(VENV)/.deps $(BUF) $(PAGE_TOOLS) ## Generate the Rust, Python and TypeScript code of proto/
	@cargo run --quiet -p xtask -- proto
	@$(PY) tools/gen_proto.py
	@cd dashboard && ../$(BUF) generate ../proto

.PHONY: proto-check
proto-check: $(VENV)/.deps $(BUF) $(PAGE_TOOLS) ## Prove that generated code is current and that the protocol broke nobody
	@cargo run --quiet -p xtask -- proto --check
	@$(PY) tools/gen_proto.py --check
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && (cd dashboard && ../$(BUF) generate ../proto --output "$$fresh") \
		&& diff --recursive --brief "$$fresh/src/gen" dashboard/src/gen \
		|| { echo "dashboard/src/gen is not what proto/ gives: run \`make proto\` and commit the result" >&2; exit 1; }
	@$(BUF) lint proto && $(BUF) breaking proto --against proto/baseline.binpb

.PHONY: screenshots
screenshots: dev chromium ## Make the pictures of the dashboard in docs/images
	@$(PY) -m tests.browser.screenshots

# --- measuring ------------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: dev ## Print the figures of the README, each as a ratio in one run
	@$(PY) -m bench

.PHONY: bench-read
bench-read: dev ## Read stores of 1 M and 10 M steps (LARGE=--large: 100 M too): against the bare engine and other trackers
	@$(PY) -m bench.read $${LARGE:-} --json bench/read/results.json

.PHONY: load
load: dev ## Run the load scenarios and audit what is stored (SCENARIO=all)
	@$(PY) -m loadtest.run $${SCENARIO:-all}

.PHONY: load-full
load-full: dev ## Run all load scenarios and targets; write loadtest/results/
	@$(PY) -m loadtest.run all --json loadtest/results/scenarios.json
	@$(PY) -m loadtest.targets --json loadtest/results/targets.json

.PHONY: bench-peers
bench-peers: dev ## Do the same work through other trackers and Stepline (makes environments from PyPI)
	@$(PY) -m loadtest.peers

.PHONY: clean
clean: ## Remove what was built
	@rm -rf target $(VENV) .venv-torch .venv-ray node_modules demo-data dist
