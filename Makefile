# Only entry points: playbooks/, noxfile.py and pyproject.toml define the work.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCH  ?= connection
# The seed that chooses the cases of sampled tests (tests/sampled.py). Over several commits, all cases run.
SAMPLE ?= $(or $(shell git rev-parse --short HEAD 2>/dev/null),none)
# Which ansible-core a change also runs the unit tests with. `make soak` runs them with both.
CORE   ?= $(word $(shell expr $$(printf %s "$(SAMPLE)" | cksum | cut -d" " -f1) % 2 + 1),oldest newest)
TIMED  := $(PYTHON) tests/durations.py run
export PATH := $(CURDIR)/$(BIN):$(PATH)
# uv compiles no byte code, unlike pip. Without byte code, each start of Ansible takes twice as long.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: chain test quick setup engine lint unit integration molecule compatibility machine environments versions soak bench lock
.PHONY: coverage wheels reference docs vendor clean unit-versions timed-lint timed-unit timed-chain
.DELETE_ON_ERROR:

chain: engine                     ## build the demo chain; first set up an engine, if there is none
	$(BIN)/ansible-playbook build-chain.yml

test:                             ## all tests; reports/ contains results and durations
	rm -rf reports
	$(TIMED) setup $(MAKE) setup
	@status=0; $(MAKE) --keep-going --jobs --output-sync=target timed-lint timed-unit timed-chain || status=1; \
	  $(TIMED) integration $(MAKE) integration || status=1; \
	  $(BIN)/python tests/durations.py show; exit $$status

# Lint and unit tests need no engine. They run while the engine is set up and the demo chain is built. The chain comes
# first: it often waits, and then leaves the cores to them.
timed-lint:
	@status=0; nice $(TIMED) lint $(MAKE) lint || status=1; \
	  nice $(TIMED) unit-versions $(MAKE) unit-versions || status=1; exit $$status
timed-unit:
	@nice $(TIMED) unit $(MAKE) unit
timed-chain:
	@$(TIMED) chain $(MAKE) chain
	@$(TIMED) machine $(MAKE) machine

quick: setup                      ## before a commit: 90 s on a machine where the demo chain is built
	$(BIN)/nox --session lint -- changed
	$(MAKE) unit
	$(BIN)/python -m pytest tests/integration/test_journey.py

setup: $(READY)                   ## virtual environment in .venv with locked dependencies

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version); expected Python 3.11 or later: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  echo "Python's venv module is missing; installing the Debian package python3-venv"; \
	  apt-get update --quiet && apt-get install --quiet --yes python3-venv && $(PYTHON) -m venv --clear $(VENV); } || \
	  { rm -rf $(VENV); echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

engine: setup                     ## install a container engine and mmdebstrap, if they are missing
	$(BIN)/ansible-playbook playbooks/engine.yml

lint: setup
	$(BIN)/nox --session lint

unit: setup                       ## tests that need no engine
	$(BIN)/python -m pytest --quiet --numprocesses auto --sample $(SAMPLE) --junitxml=reports/unit.xml tests/unit

coverage: setup                   ## which lines and branches of the library no unit test reaches; takes half as long again
	$(BIN)/python -m pytest --quiet --numprocesses auto --cov --cov-branch --cov-report=term-missing:skip-covered tests/unit

unit-versions: environments       ## unit tests with the oldest or the newest ansible-core, where the version matters
	@echo "unit tests with the $(CORE) ansible-core (make CORE=oldest, make CORE=newest; make soak runs both)"
	SAMPLE=$(SAMPLE) $(BIN)/nox --session $(CORE) -- unit

integration: machine chain environments  ## tests with an engine, in parallel on several machines if possible (tests/integration/machines.py)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --sample $(SAMPLE) \
	  --junitxml=reports/integration.xml tests/integration tests/engines

molecule: chain                   ## molecule test of every role
	$(BIN)/python -m pytest tests/integration/test_molecule.py

compatibility: engine             ## test the demo chain on every variant of its lower tiers, and show the matrix
	cd tests/compatibility && tierwright molecule test --all --continue-on-failure; \
	  status=$$?; tierwright matrix wordpress; exit $$status

machine: setup                    ## install programs that integration tests need, except the engine
	$(BIN)/ansible-playbook tests/machine.yml

environments: setup               ## make the environments with the oldest and the newest ansible-core, and of single tests
	$(BIN)/nox --session oldest newest ssh kubernetes --install-only

versions: chain machine environments  ## unit and integration tests with the oldest and the newest ansible-core
	$(BIN)/nox --session oldest newest
	$(BIN)/python -m pytest tests/integration/test_other_engines.py -k newest

soak: machine chain environments  ## long tests with random operations; docs/soak.md shows the last results
	AGENT_PYTHONS=all EXAMPLES=1000 TIERWRIGHT_OPERATIONS=200 $(BIN)/python -m pytest --numprocesses auto tests/unit
	$(BIN)/nox --session oldest newest -- unit
	$(BIN)/python -m pytest tests/soak -rP
	$(BIN)/python -m pytest -m "sampled or by_newest" tests/integration
	$(BIN)/nox --session oldest -- -m "not once" tests/integration
	for engine in docker-28-containerd podman-5; do \
	  $(BIN)/python -m pytest --engine $$engine -m "not own_engine" tests/integration || exit 1; done

bench: engine                     ## run a benchmark of tests/bench: make bench BENCH=plan OPTIONS="--rounds 3"
	$(if $(filter chain scale,$(BENCH)),,$(BIN)/ansible-playbook build-chain.yml $(if $(filter connection,$(BENCH)),--limit base))
	$(BIN)/nox --session bench -- $(BENCH) $(OPTIONS)

lock: setup                       ## update requirements/ to the newest versions
	$(BIN)/nox --session lock

wheels: setup                     ## fill dist/wheels for the role watcher: make wheels [OPTIONS=kubernetes]
	$(BIN)/nox --session wheels -- $(OPTIONS)

reference: setup                  ## write docs/reference from the documentation of modules and plugins
	$(BIN)/nox --session reference

docs: setup                       ## write the documentation as a site to dist/site; it needs no server
	$(BIN)/nox --session docs

vendor: setup                     ## download third-party JavaScript again, with npm
	$(BIN)/nox --session vendor

clean:
	rm -rf $(VENV) .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible dist reports
