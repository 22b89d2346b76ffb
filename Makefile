# `make demo` and `make test` start from a bare Debian or Raspberry Pi OS: tools/bootstrap.sh
# does their set-up, once. Arguments go on in ARGS:  make test ARGS="tests/door -x"

SHELL := /bin/bash
.DEFAULT_GOAL := help
ARGS ?=
BIN := .venv/bin
TESTS := $(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m "not fault_slow and not kills and not afar and not browser and not thorough"
QUICK := $(addprefix tests/,door identity vision remote publishing evaluation commands test_*.py)

.PHONY: help demo test quick test-thorough test-browser test-busy test-kills test-faults test-systemd soak lint models clip bench bench-arm bench-peers \
	test-tflite-runtime mutants fuzz clean setup-demo setup-test lock audit docs deb test-deb release

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup-demo ## the whole system on this computer: camera, door and broker are simulated
	@$(BIN)/lockd demo $(ARGS)

quick: lint ## lint, pure rooms and command lines, in less than a minute: for between two edits
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not slow and not afar and not browser and not thorough" $(QUICK) $(ARGS)

test: lint ## lint, then the tests, without the slowest faults (ARGS="tests/door -x" for some)
	$(TESTS) $(ARGS)

test-busy: setup-test ## those tests three times, beside processes that keep every core busy (long)
	$(BIN)/python tools/busy.py --rounds 3 -- $(TESTS) $(ARGS)

test-faults: setup-test ## every fault that we can cause, against the real service
	$(BIN)/pytest -q tests/faults $(ARGS)

test-browser: ## the console in Debian's Chromium, and its interface under hostile requests (long)
	@tools/bootstrap.sh browser
	$(BIN)/pytest -q -m browser tests/web $(ARGS)

test-thorough: setup-test ## what `make test` tries once or in short, in all its ways
	$(BIN)/pytest -q -n 2 -m thorough $(ARGS)

soak: setup-test ## a door for a long time, one fault after the other (ARGS="--minutes 60 --seed 1")
	$(BIN)/python -m tests.faults.soak $(ARGS)

test-kills: setup-test ## hundreds of processes that write to the store, killed at any moment
	$(BIN)/pytest -q -m kills tests/adapters $(ARGS)

fuzz: setup-test ## commands from afar, a hundred thousand of them hostile (ARGS="--fuzzed 1000000")
	$(BIN)/pytest -q tests/remote tests/commands/test_send.py --fuzzed 100000 $(ARGS)

lint: setup-test ## ruff and mypy, without changing anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict lockd enroll

docs: ## the documentation as a site, into build/site (ARGS=serve to read it)
	@tools/docs.sh $(ARGS)

deb: ## Debian's package into dist/ (root; ARGS="--suite trixie --arch arm64")
	tools/deb.sh $(ARGS)

test-deb: ## that package in a clean Debian: installed, updated, removed, purged, killed (root, long)
	tools/test-deb.sh $(ARGS)

release: ## wheel, source, packages, bill of materials, checksums, signed list (ARGS="--key FILE --debs ...")
	tools/release.sh $(ARGS)

lock: ## requirements.lock anew: all versions and hashes (ARGS=--upgrade for the newest)
	tools/lock.sh $(ARGS)

audit: ## known weaknesses of the locked versions, by PyPI's list
	tools/audit.sh

models: ## build the .tflite files again from the published weights (long)
	models/build/run.sh $(ARGS)

clip: setup-demo ## build demo/porch.mp4 again (needs ffmpeg)
	$(BIN)/python demo/make_clip.py $(ARGS)

bench: setup-demo ## how fast this computer is at it
	@$(BIN)/lockd bench $(ARGS)

bench-arm: ## count the ARM64 instructions of networks and stages (root, QEMU, minutes each)
	PYTHON=$(abspath $(BIN))/python bench/arm/run.sh $(ARGS)

bench-peers: ## compare with other face recognition projects (long, in its own environments)
	PYTHON=$(abspath $(BIN))/python bench/peers/run.sh $(ARGS)

test-tflite-runtime: ## the vision tests on the older TFLite runtime (Python 3.11)
	tools/test-tflite-runtime.sh $(ARGS)

check-home-assistant: setup-test ## what Home Assistant is told, held to a running Home Assistant (root, Debian, network)
	tools/check-home-assistant.sh

test-systemd: ## the installed service on a real systemd, kernel and GPIO chip, emulated (long)
	tests/vm/run.sh $(ARGS)

mutants: ## alter in every small way what decides, and see the tests notice (long)
	tools/mutants.sh $(ARGS)

clean: ## remove everything that can be made again, the environments too
	rm -rf .venv .venv-lock .venv-docs .venv-tflite .venv-mutants mutants build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-demo:
	@tools/bootstrap.sh demo

setup-test:
	@tools/bootstrap.sh test
