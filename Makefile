# `make` lists the targets. Everything runs from .venv, which the first target that needs it makes.
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHONPATH := plugins:.

##@ First steps

.PHONY: help
help: ## this list
	@sed -nE -e 's/^##@ (.*)/\n\1/p' -e 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.venv/.ready: requirements-dev.lock local/setup.sh local/sftp_servers/ssh2/package-lock.json
	@PYTHON="$(PYTHON)" local/setup.sh

.PHONY: setup
setup: .venv/.ready ## make .venv from the lock

.PHONY: demo
demo: .venv/.ready ## the main job on real input, on this machine; ONCE=1 ends by itself and tells by its exit code
	@$(BIN)/python -m local.demo $(if $(ONCE),--once)

.PHONY: ledger
ledger: .venv/.ready ## the ledger of the running demo as a table; CLIENT=H1001 ALL=1
	@$(BIN)/python -m local.ledger_table $(if $(CLIENT),--client '$(CLIENT)') $(if $(ALL),--all)

##@ Tests

.PHONY: judges
judges: .venv/.ready ## install the object stores that judge the S3 engine and our Google stand-in, into .judges
	@[ .judges/.ready -nt tests/judges/requirements.lock ] || { $(BIN)/uv venv --quiet --clear --python "$$(readlink -f $(BIN)/python)" .judges && \
		$(BIN)/uv pip sync --quiet --python .judges/bin/python tests/judges/requirements.lock && touch .judges/.ready; } || \
		echo "judges: they could not be installed; the tests that need them will be skipped"

# Two processes, each with servers of its own, one file of tests after the other, in their order: the long ones come
# first, so that neither waits for the other at the end. PARALLEL= for one process.
PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder
.PHONY: test
test: check judges ## everything that CI runs: format, lint, types, all tests but the slow ones
	$(BIN)/pytest -m "not slow" $(PARALLEL)

.PHONY: test-unit
test-unit: .venv/.ready ## the tests that need no server
	$(BIN)/pytest -m "not slow" tests/unit $(PARALLEL)

# What starts whole Airflows would reach nothing more of the core. In a .venv of Python 3.11 (make setup PYTHON=python3.11
# in a new clone) this takes hardly longer than without; under 3.12 tracing makes an import of Airflow ten times as long.
CORE_TESTS = tests/unit tests/functional tests/faults
.PHONY: coverage
coverage: .venv/.ready ## branches of the core that the tests reach, all but the slow ones; fails below the gate in pyproject.toml
	rm -f .coverage .coverage.*
	$(BIN)/pytest -m "not slow" $(CORE_TESTS) --cov --cov-report=term --cov-report=html:dist/coverage \
		--cov-report=json:dist/coverage.json $(PARALLEL)
	$(BIN)/python -m local.coverage_by_room dist/coverage.json --branches=98

.PHONY: test-slow
test-slow: .venv/.ready ## the tests that take minutes, and the whole fault campaign, which takes an hour or two
	$(BIN)/pytest -m "slow and not compose"

.PHONY: test-compose
test-compose: .venv/.ready ## boot docker-compose.yaml, deliver, kill a worker and the scheduler, tear down (needs Docker)
	$(BIN)/pytest -m compose -rA tests/compose

.PHONY: check
check: .venv/.ready check-config site ## format, lint, types, the clients' YAML, the documentation's links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy plugins/client_delivery local infra

##@ Clients

# The rules of an environment (whose accounts files may go to) are held where it is known: ENV=…, or production's.
CHECKED_FOR = $(or $(ENV),$(basename $(notdir $(wildcard infra/environments/production.yaml))))
.PHONY: check-config
check-config: .venv/.ready ## check the clients' YAML files, as Airflow will, and by the rules of an environment: ENV=…
	@$(BIN)/python -m $(if $(CHECKED_FOR),infra.guards $(CHECKED_FOR),client_delivery.config.check) $(FILES)

.PHONY: new-client
new-client: .venv/.ready ## a YAML file for a new client: NAME=… DESTINATION=gcs|sftp|s3
	@$(BIN)/python -m client_delivery.config.new_client $(NAME) $(if $(DESTINATION),--destination $(DESTINATION))

.PHONY: scan-host-key
scan-host-key: .venv/.ready ## the host keys that an SFTP server shows, as YAML, to compare by telephone: HOST=… PORT=22
	@$(BIN)/python -m client_delivery.probe.scan_host_key $(if $(HOST),'$(HOST)') $(if $(PORT),--port '$(PORT)') $(if $(JSON),--json)

.PHONY: check-destination
check-destination: .venv/.ready ## test a client's destination before the first file: NAME=… CONNECT_ONLY=1 CREDENTIAL=file JSON=1 DEMO=1
	@$(BIN)/python -m $(if $(DEMO),local.in_demo )client_delivery.probe.check_destination "$$NAME" $(if $(CONNECT_ONLY),--connect-only) $(if $(CREDENTIAL),--credential "$$CREDENTIAL") $(if $(FILE_NAME),--file-name "$$FILE_NAME") $(if $(LEAVE),--leave) $(if $(NO_PUBLIC_ADDRESS),--no-public-address) $(if $(JSON),--json)

.PHONY: partner-sheet
partner-sheet: .venv/.ready ## one page to send to a partner, Markdown and HTML, from the configuration: NAME=… STACK=…-data CALL='Jane, +1 …' DEMO=1
	@$(BIN)/python -m $(if $(DEMO),local.in_demo )client_delivery.probe.partner_sheet "$$NAME" $(if $(STACK),--stack "$$STACK") $(if $(CREDENTIAL),--credential "$$CREDENTIAL") $(if $(CALL),--call "$$CALL")

.PHONY: plan
plan: .venv/.ready ## what the next run would do with each waiting file, and why; changes nothing: NAME=… CSV=file ONLY=pattern DEMO=1
	@$(BIN)/python -m $(if $(DEMO),local.in_demo )client_delivery.probe.plan_command "$$NAME" $(if $(CSV),--csv "$$CSV") $(if $(ONLY),--only "$$ONLY") $(if $(RESEND_FAILED),--resend-failed) $(if $(BYPASS),--bypass) $(if $(IGNORE_DONE_FILE),--ignore-done-file)

##@ Documents

.PHONY: docs
docs: .venv/.ready ## write what is generated: JSON Schema, configuration and settings reference, tables of SFTP servers
	$(BIN)/python -m client_delivery.config.schema
	$(BIN)/python -m client_delivery.config.reference
	$(BIN)/python -m client_delivery.runtime.settings_reference
	$(BIN)/python -m client_delivery.notify.delivery_event
	$(BIN)/python -m tests.functional.transfer.sftp.table

.PHONY: probe-prints
probe-prints: .venv/.ready ## renew what check-destination prints on every server of the bench, in docs/developers/probe-prints.md
	@$(BIN)/python -m tests.functional.probe.prints

.PHONY: site
site: .venv/.ready ## the documentation as a site, in dist/site; a broken link or anchor fails
	@$(BIN)/python -m local.site

.PHONY: screenshots
screenshots: .venv/.ready ## renew the pictures in docs/images: the browser tests take them (needs chromium and chromedriver)
	$(BIN)/pytest tests/browser -rs
	@for picture in docs/images/*.png; do cp .local/screenshots/$$(basename $$picture) $$picture || exit 1; done

##@ Measurements

.PHONY: measure
measure: .venv/.ready ## the measurements in benchmarks/README.md
	$(BIN)/python -m benchmarks.dag_parsing
	$(BIN)/python -m benchmarks.idle_run
	$(BIN)/python -m benchmarks.one_file
	$(BIN)/python -m benchmarks.on_arrival
	$(BIN)/python -m benchmarks.requests_per_run
	$(BIN)/python -m benchmarks.many_waiting
	$(BIN)/python -m benchmarks.page_times

.PHONY: measure-clients
measure-clients: .venv/.ready ## many clients with nothing to send: CPU of Airflow's parts by the minute: CLIENTS=200 MINUTES=20 SLOTS=4
	CLIENTS=$(or $(CLIENTS),200) MINUTES=$(or $(MINUTES),20) SLOTS=$(or $(SLOTS),4) $(BIN)/python -m benchmarks.many_idle

.PHONY: bench
bench: .venv/.ready ## the transfer engine against its peers, and what changed since the last report (about 25 minutes); CASES="gcs-1g …" ROUNDS=5
	$(BIN)/python -m benchmarks.transfer $(foreach case,$(CASES),--case $(case)) $(if $(ROUNDS),--rounds $(ROUNDS))

##@ Deployment to AWS

.PHONY: audit
audit: .venv/.ready ## look for known vulnerabilities in all that is deployed (asks the public vulnerability database)
	mkdir -p .local
	$(BIN)/uv pip compile --quiet --python-version 3.12 --no-header --no-annotate requirements.txt -c constraints.txt --output-file .local/mwaa.lock
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip -r docker/transfer/requirements.lock -r .local/mwaa.lock

.PHONY: image
image: ## build the transfer container's image (needs Docker; BASE=… takes another base than the pinned one)
	docker build --file docker/transfer/Dockerfile $(if $(BASE),--build-arg BASE=$(BASE)) $(DOCKER_BUILD_FLAGS) --tag delivery-transfer .

.PHONY: renew-base
renew-base: .venv/.ready ## pin the transfer image to its base's newest digest, with its security fixes (needs Docker)
	@$(BIN)/python -m infra.image

.PHONY: package
package: .venv/.ready ## what MWAA takes: dist/plugins.zip, the same bytes for the same code, and dist/requirements.txt (WHEELS=1: with all packages)
	@$(BIN)/python -m infra.package $(if $(WHEELS),--wheels)

.PHONY: templates
templates: .venv/.ready ## the AWS side as CloudFormation templates, in dist/infra; no account needed: ENV=example
	@$(BIN)/python -m infra.app $(or $(ENV),example)

.PHONY: pipeline-roles
pipeline-roles: .venv/.ready ## the pipeline's roles as a CloudFormation template, for an administrator: ENV=… REPO=owner/repository
	@$(BIN)/python -m infra.pipeline $(ENV) $(REPO)

.PHONY: deploy
deploy: check-config ## bring an AWS environment to what this checkout says: ENV=… (DRY_RUN=1 only says what would change; WAIT=hours)
	@$(BIN)/python -m infra.deploy $(ENV) $(if $(DRY_RUN),--dry-run) $(if $(WAIT),--wait $(WAIT))

.PHONY: deploy-clients
deploy-clients: check-config ## deploy the clients' YAML and the permissions they need, in a minute or two: ENV=… (DRY_RUN=1)
	@$(BIN)/python -m infra.deploy $(ENV) --clients $(if $(DRY_RUN),--dry-run)

.PHONY: restore-ledger
restore-ledger: .venv/.ready ## the ledger as it was at a moment, as a new table: ENV=… AT=2026-03-01T12:00:00Z
	@$(BIN)/python -m infra.restore $(ENV) $(AT)

##@ Upkeep of this repository

.PHONY: lock
lock: .venv/.ready ## resolve requirements-dev.in and the container's against MWAA's constraints into their locks
	for image in transfer local; do $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-annotate --no-header docker/$$image/requirements.in -c constraints.txt --output-file docker/$$image/requirements.lock || exit 1; done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header tests/judges/requirements.in --output-file tests/judges/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements-dev.in --output-file requirements-dev.lock

.PHONY: clean
clean: ## remove what the demo and the tests left, but not .venv
	rm -rf .coverage .coverage.* .local .judges dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
