# Everything that people and CI run. `make` or `make help` lists it.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
DEMO_S ?= $(if $(CI),15)
FUZZ_S := 60
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo setup test again soak fuzz check format lint types docs serve-docs bench figures pictures lock vendor clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## Open the console on a small real feed, until Ctrl-C (or for DEMO_S seconds)
	@$(BIN)/periscope --version
	$(BIN)/periscope demo --data-dir $(DEMO) $(if $(DEMO_S),--seconds $(DEMO_S))

setup: $(VENV)/dev ## Make the private environment for development in .venv

test: $(VENV)/dev $(VENV)/browser ## Run the tests, on real servers and in a real browser
	$(BIN)/python -m pytest -n 2 --dist worksteal $(if $(AGAIN),|| { [ $$? = 1 ] && $(MAKE) again; })

again: $(VENV)/dev ## Run alone what failed in the last run (AGAIN=1: after each run of all)
	@echo "What failed is run alone. If it passes now it is unsteady: mend it." >&2
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none

soak: $(VENV)/dev ## Run the long forms: faults of clusters, writers beside readers, many more examples
	SOAK=1 $(BIN)/python -m pytest tests/cluster tests/coalesce tests/connection tests/faults tests/cli/test_large.py tests/browser/test_flood.py --timeout 3600
	CRASHES=20 $(BIN)/python -m pytest tests/polling/test_killed.py --timeout 3600
	$(BIN)/python -m tests.membership.crowd 8 1000000
	EXAMPLES=2000 $(BIN)/python -m pytest tests/engine tests/lua tests/feeds tests/membership tests/polling --timeout 3600

fuzz: $(VENV)/dev ## Fuzz every reader, FUZZ_S seconds each, where atheris can be installed
	$(PIP) uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group fuzz
	for name in - $$($(BIN)/python -c 'from periscope.feeds import format_names; print(*format_names())'); do \
		$(BIN)/python -m tests.feeds.fuzz_atheris $$name -max_total_time=$(FUZZ_S) -artifact_prefix=.fuzz- || exit 1; \
	done

check: format lint types docs test ## All that CI runs

format: $(VENV)/dev ## Check the formatting (ruff format rewrites it)
	$(BIN)/ruff format --check .

lint: $(VENV)/dev ## Lint
	$(BIN)/ruff check .

types: $(VENV)/dev ## Check the types, strictly
	$(BIN)/mypy

docs: $(VENV)/dev ## Build the documentation; a broken link fails
	$(BIN)/mkdocs build --strict --quiet

serve-docs: $(VENV)/dev ## Serve the documentation on loopback while writing it
	$(BIN)/mkdocs serve

bench: $(VENV)/runtime ## Measure this machine (a server of its own; minutes)
	$(BIN)/periscope bench --scale 100k

figures: $(VENV)/runtime ## Measure anew all that README and documentation show (hours, on a machine at rest)
	-$(BIN)/periscope bench --scale 100k,1m --brief --json docs/figures/bench.json
	-$(BIN)/periscope bench --rows feeds --scale 100k --brief --json docs/figures/feeds.json
	-$(BIN)/periscope bench --rows http --scale 100k,1m --brief --json docs/figures/http.json
	$(BIN)/periscope bench seed --scale 10k,100k,1m,5m --brief --json docs/figures/seed.json
	$(BIN)/periscope bench chart docs/figures/seed.json --out docs/figures/growth.svg
	$(BIN)/periscope bench readme docs/figures/bench.json --into README.md

pictures: $(VENV)/dev $(VENV)/browser ## Make the documentation's pictures of the console anew
	WRITE_PICTURES=1 $(BIN)/python -m pytest -n 0 tests/browser/test_pictures.py

lock: $(VENV)/dev ## Renew the lock files from pyproject.toml
	$(PIP) uv
	$(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --group build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o deploy/requirements-build.lock

vendor: $(VENV)/dev ## Take the console's libraries from npm anew (needs npm)
	$(BIN)/python -m tests.browser.vendoring

clean: ## Remove what the targets above made
	rm -rf $(VENV) $(DEMO) site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/python:
	@test -n "$(PYTHON)" || { echo "Periscope needs Python 3.11 or newer; none was found on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/python requirements.lock pyproject.toml
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/browser: $(VENV)/dev tests/browser/chromium.py
	-$(BIN)/python -m tests.browser.chromium && touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
