# Thin: what happens is said in playbooks/, noxfile.py and pyproject.toml.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCH  ?= connection
TIMED  := $(PYTHON) tests/durations.py run
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: chain test quick setup engine lint unit integration molecule compatibility machine environments versions soak bench lock
.PHONY: coverage reference vendor clean unit-versions timed-lint timed-unit timed-chain
.DELETE_ON_ERROR:

chain: engine                     ## build the demo chain: engine if none, then every tier
	$(BIN)/ansible-playbook build-chain.yml

test:                             ## all tests; reports/ keeps how long each took
	rm -rf reports
	$(TIMED) setup $(MAKE) setup
	@status=0; $(MAKE) --keep-going --jobs --output-sync=target timed-lint timed-unit timed-chain || status=1; \
	  $(TIMED) integration $(MAKE) integration || status=1; \
	  $(BIN)/python tests/durations.py show; exit $$status

# What needs no engine runs while one is set up and the demo chain is built.
timed-lint:
	@$(TIMED) lint $(MAKE) lint
timed-unit:
	@$(TIMED) unit $(MAKE) unit
	@$(TIMED) unit-versions $(MAKE) unit-versions
timed-chain:
	@$(TIMED) chain $(MAKE) chain
	@$(TIMED) machine $(MAKE) machine

quick: setup                      ## before you commit: 90 s on a machine that has the demo chain
	$(BIN)/nox --session lint -- changed
	$(MAKE) unit
	$(BIN)/python -m pytest tests/integration/test_journey.py

setup: $(READY)                   ## virtual environment in .venv with locked dependencies

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, $$($(PYTHON) --version) found: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  echo "Debian keeps Python's venv module in a package of its own; installing python3-venv"; \
	  apt-get update --quiet && apt-get install --quiet --yes python3-venv && $(PYTHON) -m venv --clear $(VENV); } || \
	  { rm -rf $(VENV); echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

engine: setup                     ## an engine that answers, and mmdebstrap
	$(BIN)/ansible-playbook playbooks/engine.yml

lint: setup
	$(BIN)/nox --session lint

unit: setup                       ## tests that need no engine
	$(BIN)/python -m pytest --quiet --numprocesses auto --junitxml=reports/unit.xml tests/unit

coverage: setup                   ## which lines and branches of the library no unit test reaches; takes half as long again
	$(BIN)/python -m pytest --quiet --numprocesses auto --cov --cov-branch --cov-report=term-missing:skip-covered tests/unit

unit-versions: environments       ## the same with the oldest and the newest ansible-core, as far as it can differ
	$(BIN)/nox --session oldest newest -- unit

integration: machine chain environments  ## on machines side by side, where there can be others (tests/integration/machines.py)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder \
	  --junitxml=reports/integration.xml tests/integration tests/engines

molecule: chain                   ## molecule test of every role
	$(BIN)/python -m pytest tests/integration/test_molecule.py

compatibility: engine             ## the demo chain on every variant of its lower tiers, and the matrix
	cd tests/compatibility && molecule test --all --continue-on-failure; \
	  status=$$?; tierwright matrix wordpress; exit $$status

machine: setup                    ## what integration tests need besides an engine
	$(BIN)/ansible-playbook tests/machine.yml

environments: setup               ## of the oldest and the newest ansible-core
	$(BIN)/nox --session oldest newest --install-only

versions: chain machine environments  ## unit and integration tests with the oldest and the newest ansible-core
	$(BIN)/nox --session oldest newest

soak: machine chain               ## long campaigns: docs/soak.md says what came out the last time
	EXAMPLES=1000 TIERWRIGHT_OPERATIONS=200 $(BIN)/python -m pytest --numprocesses auto tests/unit
	$(BIN)/python -m pytest tests/soak -rP
	for engine in docker-28-containerd podman-5; do \
	  $(BIN)/python -m pytest --engine $$engine -m "not own_engine" tests/integration || exit 1; done

bench: engine                     ## a bench of tests/bench: make bench BENCH=plan OPTIONS="--rounds 3"
	$(BIN)/ansible-playbook build-chain.yml $(if $(filter connection,$(BENCH)),--limit base)
	$(BIN)/nox --session bench -- $(BENCH) $(OPTIONS)

lock: setup                       ## renew requirements/dev.txt
	$(BIN)/nox --session lock

reference: setup                  ## write docs/reference from the documentation of modules and plugins
	$(BIN)/nox --session reference

vendor: setup                     ## fetch the report's JavaScript of others anew, with npm
	$(BIN)/nox --session vendor

clean:
	rm -rf $(VENV) .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible dist reports
