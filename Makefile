# `make` lists the targets. Everything runs from .venv, which the first target that needs it makes.
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHONPATH := plugins:.

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/.ready: requirements-dev.lock local/setup.sh
	@PYTHON="$(PYTHON)" local/setup.sh

.PHONY: setup
setup: .venv/.ready ## make .venv from the lock

.PHONY: lock
lock: .venv/.ready ## resolve requirements-dev.in against MWAA's constraints into requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements-dev.in --output-file requirements-dev.lock
