# What a person types here. `make` lists it.

PYTHON ?= python3.13
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# Programs that need other versions of what the functions run with: each has a virtual environment of its own.
TOOLS := .tools

INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
define CHECK_PYTHON
$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
	echo 'This project runs on Python 3.13, as its functions do, and "$(PYTHON)" is not one (with venv).' >&2; \
	echo 'Install it (uv python install 3.13, pyenv install 3.13,' >&2; \
	echo 'apt install python3.13-venv), or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13' >&2; \
	exit 1; }
endef

# A Python that is gone, or that has no pip, takes with it what was installed for it.
$(shell test -x $(VENV)/bin/python3.13 && test -x $(VENV)/bin/pip || \
	rm -f $(VENV)/bin/python3.13 $(READY) $(TOOLS)/*/.ready)

.DEFAULT_GOAL := help
.PHONY: help setup demo local platforms watch invoke invoke-env redrive callback-url webhooks test check check-code \
	check-types check-files check-environments check-template format branches faults bench bench-batch openapi clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) $(TOOLS)/checkov/.ready ## install everything into .venv and .tools (the other commands do it when needed)

demo: $(READY) ## run jobs through the whole stack on this machine, with simulated platforms
	@$(RUN) -m local.demo

local: $(READY) ## keep the stack up on this machine until Ctrl-C [PORT=4566 BIND=127.0.0.1]
	@$(RUN) -m local.serve $(if $(PORT),--port '$(PORT)') $(if $(BIND),--bind '$(BIND)')

platforms: $(READY) ## say what the simulated platforms do with a source, by its file name
	@$(RUN) -m local.platforms

invoke: $(READY) ## run one function in Docker, against `make local`: EVENT=videodb/upload/video_success
	@$(RUN) -m local.invoke --event '$(EVENT)'

# STACK names a stack in AWS; without it the local one is meant while it is up
watch: $(READY) ## show how a batch comes along, until it has ended: BATCH=<batch_id> [STACK=video-jobs, in AWS]
	@$(RUN) -m ops.watch --batch '$(BATCH)' $(if $(STACK),--stack '$(STACK)') || \
		{ status=$$?; test $$status -eq 1 || exit $$status; } # that jobs have failed is told, and is no error of make's

invoke-env: $(READY) ## write what `sam local invoke` needs, and print the lines to type [EVENT=videodb/upload/video_success]
	@$(RUN) -m local.invoke --write-env --event '$(EVENT)'

redrive: $(READY) ## move dead letters back to their queue: QUEUE=Inbox [STACK=video-jobs, in AWS]
	@$(RUN) -m ops.redrive --queue '$(QUEUE)' $(if $(STACK),--stack '$(STACK)')

callback-url: $(READY) ## sign a URL for work of your own: CALLBACK=videodb/upload JOB=any-id [STACK=video-jobs, in AWS]
	@$(RUN) -m ops.callback_url --callback '$(CALLBACK)' --job '$(JOB)' $(if $(STACK),--stack '$(STACK)')

webhooks: $(READY) ## connect a platform: PLATFORM=apivideo|apsaravideo|twelvelabs [ACTION=create|delete|set STACK=video-jobs, in AWS]
	@$(RUN) -m ops.webhooks --platform '$(PLATFORM)' --action '$(ACTION)' --stack '$(STACK)' --events '$(EVENTS)' \
		--mns '$(MNS)' --endpoint '$(ENDPOINT)' --force '$(FORCE)'

test: $(READY) ## run all tests
	$(RUN) -m pytest

branches: $(READY) ## run all tests, and say which branches of the functions' code they leave out
	$(RUN) -m slipcover -m pytest

# each of them is a hook in .pre-commit-config.yaml, too
check: check-code check-types check-files check-environments check-template ## lint all there is to lint; no network

check-code: $(READY)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

check-types: $(READY)
	$(RUN) -m mypy

check-files: $(READY)
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/pre-commit validate-config

check-environments: $(READY) $(TOOLS)/checkov/.ready
	$(RUN) -m pip check
	$(TOOLS)/sam/bin/python -m pip check
	$(TOOLS)/ministack/bin/python -m pip check
	$(TOOLS)/checkov/bin/python -m pip check

# .cfnlintrc.yaml and .checkov.yaml say with which rules
check-template: $(READY) $(TOOLS)/checkov/.ready
	AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam/bin/cfn-lint
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam/bin/sam validate --lint
	$(TOOLS)/checkov/bin/checkov

format: $(READY) ## put imports and layout in order
	$(RUN) -m ruff check --fix --select I
	$(RUN) -m ruff format

faults: $(READY) ## whatever can go wrong, at every call of a job's life: which promises are kept [SCENARIO= SEED= SAMPLE=]
	@$(RUN) -m local.faults $(if $(SCENARIO),--scenario '$(SCENARIO)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(SAMPLE),--sample '$(SAMPLE)')

bench: $(READY) ## measure the stack on this machine
	@$(RUN) -m local.bench

bench-batch: $(READY) ## run a batch through the whole stack on this machine, and count what it takes [N=1000]
	@$(RUN) -m local.bench_batch $(if $(N),--jobs '$(N)')

openapi: $(READY) ## write the API's description from the code
	@$(RUN) -m local.openapi

clean: ## remove what builds, runs and tests left behind, but not what setup installed
	@test ! -e .local/stack.lock || flock -n .local/stack.lock true || { \
		echo 'make local is running. End it first (Ctrl-C).' >&2; exit 1; }
	@test ! -d .local || find .local -mindepth 1 -maxdepth 1 ! -name dynamodb ! -name 'build*' ! -name cache ! -name run \
		! -name '*.lock' -exec rm -rf {} +
	rm -rf .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage.json
	find functions layers local ops tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml layers/shared/requirements.txt $(TOOLS)/sam/.ready $(TOOLS)/ministack/.ready
	@echo 'Installing into $(VENV) ...'
	@$(INSTALL)
	@$(RUN) -m pip check >/dev/null || { \
		echo 'Packages of an earlier version are in the way. Once more, into a new $(VENV) ...'; \
		$(CHECK_PYTHON) && $(PYTHON) -m venv --clear $(VENV) && $(INSTALL) && $(RUN) -m pip check; }
	@ln -sf ../../$(TOOLS)/sam/bin/sam $(VENV)/bin/sam
	@$(RUN) -m local.dynamodb_local
	@echo 'Building what is deployed on this machine ...'
	@$(RUN) -m local.build
	@touch $@

$(TOOLS)/%/.ready: tools/%.txt | $(VENV)/bin/python3.13
	@echo 'Installing into $(@D) ...'
	@$(RUN) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(VENV)/bin/python3.13:
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv --clear $(VENV)
