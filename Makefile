# The two commands of the README are `make up` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ ?= head canonical aws-chunked http-chunked form form-head policy copy-source control
FUZZ_SECONDS ?= 60
SOAK ?= 10
SOAK_MINUTES ?= 60
PROOFS := tests/end_to_end/test_hammer.py tests/end_to_end/test_fleet.py tests/end_to_end/test_fleet_disorder.py \
  tests/end_to_end/test_crash.py tests/end_to_end/test_attacks_generated.py tests/keystore/test_key_acts_generated.py \
  tests/keystore/test_bucket_claims.py tests/keystore/test_lease_model.py
COMPILED := tests/native tests/gateway/wire tests/keystore/test_directory*.py tests/keystore/test_access_key.py \
  tests/keystore/test_bucket_claims.py tests/keystore/test_remembered.py tests/keystore/test_scope.py
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

up: $(VENV)/.first-run ## install, then run the embedded store and the gateway in the foreground
	@$(BIN)/nqgate up

test: $(VENV)/.dev $(VENV)/.system $(VENV)/.native $(VENV)/.sdks $(VENV)/.supply ## everything: format, lint, types, units, end to end against real stores
	@tools/check
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup -m "server or not server"
	@echo "once more, on what is compiled:"
	@PYTHONPATH=$(CURDIR)/$(VENV)/native:$(CURDIR) $(BIN)/pytest -q -n auto -o pythonpath= -m "not interpreted" $(COMPILED)
	@$(BIN)/python -m bench.guard
	@tools/audit

check: $(VENV)/.dev ## format, lint, types and the tests that need no server, about a minute
	@tools/check
	@$(BIN)/python -m pytest -q -n 4 -m "not server" # many of these wait: more of them than cores

docs: $(VENV)/.docs ## the papers as a site, in build/site; a link or anchor that leads nowhere is an error
	@tools/site build/site

screenshots: $(VENV)/.dev $(VENV)/.system ## the pictures of the console, anew, from the real one
	@SCREENSHOTS=$(CURDIR)/docs/images $(BIN)/python -m pytest -q -m server tests/browser/test_pictures.py

test: $(VENV)/.docs
.PHONY: docs screenshots

native: $(VENV)/.dev $(VENV)/.native ## compile the hot path into .venv/native (optional, needs a C compiler)

bench: $(VENV)/.dev $(VENV)/.bench-system $(VENV)/.native ## CPU per request of the gateway and of nginx proxy_pass, as ratios
	@$(BIN)/python -m bench $(BENCH)

guard: $(VENV)/.dev $(VENV)/.system $(VENV)/.native ## instructions of a request beside those that are known; GUARD=--write: know these
	@$(BIN)/python -m bench.guard $(GUARD)

bench-scale: $(VENV)/.dev $(VENV)/.bench-system $(VENV)/.native ## what it costs as connections, readers, keys and requests grow: a quarter of an hour
	@$(BIN)/python -m bench.scale $(SCALE)

soak: $(VENV)/.dev $(VENV)/.system ## SOAK_MINUTES (60) of mixed load, attacks and kills: nothing leaks, is lost or is half
	@$(BIN)/python -m bench.soak --minutes $(SOAK_MINUTES) $(SOAK_OPTIONS)

prove: $(VENV)/.dev $(VENV)/.system ## the proofs of revocation and scope, SOAK (10) times as long, in an order of chance
	@SOAK=$(SOAK) $(BIN)/python -m pytest -v -n 2 --dist loadgroup -m "server or not server" $(PROOFS)

fuzz: $(VENV)/.dev ## every fuzz target, FUZZ_SECONDS (60) each, led by coverage; FUZZ="form head" for some
	@for target in $(FUZZ); do echo "$$target …"; \
	  $(BIN)/python -m tests.fuzz.run $$target -max_total_time=$(FUZZ_SECONDS) -verbosity=0 || exit 1; done

dist: $(VENV)/.supply ## the source archive and the wheel into dist/, the same bytes wherever they are built
	@tools/dist

sbom: dist ## what an installation of that wheel consists of, as CycloneDX, into dist/
	@tools/sbom

audit: $(VENV)/.supply ## known vulnerabilities of what is pinned; says so where the service cannot be asked
	@tools/audit

pin: ## rewrite the pinned requirement files from the ranges in pyproject.toml
	@tools/pin

clean: ## remove the virtual environment and caches, never ./data
	@rm -rf $(VENV) tests/sdks/js/node_modules .mypy_cache .ruff_cache .hypothesis build ./*.egg-info

$(BIN)/python:
	@tools/venv $(PYTHON) $(VENV)

$(VENV)/.first-run: $(BIN)/python requirements.txt pyproject.toml
	@echo "installing the gateway and its embedded store into $(VENV) (once) …"
	@test -e $(VENV)/.dev || $(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements-dev.txt pyproject.toml
	@echo "installing the gateway and its test tools into $(VENV) (once) …"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.system: $(BIN)/python tools/system-packages
	@tools/system-packages test
	@touch $@

$(VENV)/.bench-system: $(BIN)/python tools/system-packages
	@tools/system-packages bench
	@touch $@

$(VENV)/.native: $(VENV)/.dev tools/native setup.py $(wildcard gateway/*.py gateway/*/*.py keystore/*.py)
	@tools/native $(VENV)
	@touch $@

$(VENV)/.supply: $(BIN)/python requirements-supply.txt
	@echo "installing what builds and checks the things that are shipped into $(VENV)/supply (once) …"
	@tools/venv $(PYTHON) $(VENV)/supply
	@$(VENV)/supply/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-supply.txt
	@touch $@

$(VENV)/.docs: $(BIN)/python docs/site/requirements.txt
	@echo "installing what builds the site into $(VENV)/docs (once) …"
	@tools/venv $(PYTHON) $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r docs/site/requirements.txt
	@touch $@

$(VENV)/.sdks: $(BIN)/python tests/sdks/requirements.txt tests/sdks/js/package-lock.json
	@echo "installing the clients of the SDK matrix into $(VENV)/sdks (once) …"
	@tools/venv $(PYTHON) $(VENV)/sdks
	@$(VENV)/sdks/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r tests/sdks/requirements.txt
	@PATH=$(CURDIR)/$(VENV)/sdks/bin:$$PATH npm ci --prefix tests/sdks/js --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.PHONY: help up test check native bench bench-scale guard soak prove fuzz docs screenshots dist sbom audit pin clean
