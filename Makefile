# Every target works on a fresh clone with python3 (3.11 or newer), pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PEERS := .venv-peers

# Whatever the environment says: roles and tests start from what was compiled before, or each start compiles it all.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up demo test check check-browser bench soak chaos chaos-release mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(STAMP) ## start everything; Ctrl-C stops it
	$(BIN)/python -m deploy.local up

demo: $(STAMP) ## submit the examples, show them live, then a table
	$(BIN)/python -m cli demo

PYTEST := $(BIN)/python -m pytest
AGAIN := --last-failed --last-failed-no-failures none --promises-are-final

test: $(STAMP) ## run the tests on real, embedded servers; what fails beside others is tried once more, alone
	$(PYTEST) -n 5 --dist loadfile || $(PYTEST) $(AGAIN)

check: $(STAMP) ## format, lint, types, layers, the AsyncAPI document
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/contract/test_asyncapi.py

bench: $(STAMP) ## measure the stack beside its floor and other task queues
	@$(MAKE) --no-print-directory $(PEERS)/installed || echo "Other task queues cannot be installed: measured without them." >&2
	$(BIN)/python -m bench

check-browser: $(STAMP) ## the JavaScript example in headless Chromium, if there is one
	$(BIN)/python -m tests.browser

soak: $(STAMP) ## ten minutes of a thousand wandering subscribers while gateways are killed
	$(BIN)/python -m tests.soak

chaos: $(STAMP) ## a thousand simulations, then kill, cut and wipe at random: three seeds of 5,000 requests and 50 faults, with the sweep and without
	$(BIN)/python -m tests.simulation
	$(BIN)/python -m tests.chaos --markdown .ganglion/chaos.md

mutants: $(STAMP) ## plant one defect after another in a copy: a campaign or a test must notice each
	$(BIN)/python -m tests.chaos.mutants

chaos-release: $(STAMP) ## ten seeds of 20,000 requests and 50 faults
	$(BIN)/python -m tests.chaos --seeds 10 --requests 20000 --per-second 80

clean: ## delete the environment, the caches and all local data
	if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local wipe; fi
	rm -rf $(VENV) $(PEERS) .ganglion .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml deploy/install.sh
	PYTHON=$(PYTHON) deploy/install.sh $(VENV)
	touch $@

# Other task queues (Celery, Procrastinate, taskiq) have an environment of their own.
$(PEERS)/installed: requirements-peers.lock deploy/install.sh
	PYTHON=$(PYTHON) deploy/install.sh $(PEERS) requirements-peers.lock
	touch $@

# The reflex layer's classifier and figures need scikit-learn and Presidio: an environment of their own.
REFLEX := .venv-reflex
CORPORA ?= ../shared/corpora
LOGITS := .ganglion/reflex-logits.json
.PHONY: train-reflex bench-reflex

train-reflex: $(REFLEX)/installed ## train the injection classifier, report by held-out source
	mkdir -p .ganglion
	$(REFLEX)/bin/python -m screening.training.train $(CORPORA) $(LOGITS)

bench-reflex: $(REFLEX)/installed ## measure the reflex layer into docs/reflex.md
	$(REFLEX)/bin/python -m bench.reflex $(CORPORA) $(wildcard $(LOGITS))

$(REFLEX)/installed: requirements-reflex.lock deploy/install.sh
	PYTHON=$(PYTHON) deploy/install.sh $(REFLEX) requirements-reflex.lock
	touch $@
