.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
SAMPLE := build/sample-pictures

# What a call may set: make train CONFIG=... SHARDS=... NPROC=...
CONFIG ?= configs/sample.yaml
NPROC ?= 1
ARGS ?=
RUN ?= runs/$(basename $(notdir $(CONFIG)))
MODEL ?= $(RUN)/model.pt
PICTURES ?= $(foreach n,1 2 3,$(SAMPLE)/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_0000000$(n).JPEG)
PORT ?= 8000
SAMPLES ?= $(SAMPLE)/ILSVRC/Data/CLS-LOC/val
ifeq ($(origin DATA),undefined)
SHARDS ?= $(or $(shell sed -n 's/^  shards: *//p' "$(CONFIG)"),build/sample)
else
SHARDS ?= build/$(notdir $(patsubst %/,%,$(DATA)))
endif
DATA ?= $(SAMPLE)

# The sample is drawn and packed where nothing else was asked for.
SAMPLE_NEEDED := $(filter build/sample,$(SHARDS))
TRAINING := -m tarn.training $(if $(filter 1,$(NPROC)),,launch --standalone --nproc-per-node $(NPROC))

# Starting torch takes twice as long where Python may not keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup sample shards train eval predict serve bench test test-servers test-oldest lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# uv installs the registry's matching builds of torch and torchvision.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tarn needs Python 3.11 or newer; call make PYTHON=python3.11 (found %s)." % sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable '.[dev,interop,export]'
	@touch $@

setup: $(VENV)/.ready ## make .venv and install everything pinned into it

sample: setup ## draw the sample dataset, in the layout of the Kaggle ImageNet download
	$(BIN)/python -m tarn.sharding sample $(SAMPLE)

shards: setup $(if $(filter $(SAMPLE),$(DATA)),sample) ## pack DATA into tar shards at SHARDS
	$(BIN)/python -m tarn.sharding pack "$(DATA)" "$(SHARDS)" $(if $(filter shards,$(MAKECMDGOALS)),$(ARGS))

train: setup $(if $(SAMPLE_NEEDED),shards) ## train CONFIG on SHARDS with NPROC processes, evaluate, export; or go on
	$(BIN)/python $(TRAINING) fit --config "$(CONFIG)" --data.shards="$(SHARDS)" --out="$(RUN)" $(ARGS)
ifeq ($(filter --dry-run -h --help,$(ARGS)),)
	@echo "Next: make eval, make predict, or your own data:"
	@echo "  make shards DATA=path/to/ILSVRC-download SHARDS=build/imagenet"
	@echo "  make train CONFIG=configs/imagenet_resnet50_90ep.yaml NPROC=<GPUs>"
endif

eval: setup ## top-1 and top-5 of MODEL on the val split of SHARDS, a report and a table per class
	$(BIN)/python $(TRAINING) evaluate --model "$(MODEL)" --shards "$(SHARDS)" $(ARGS)

predict: setup ## the five likeliest classes of PICTURES by MODEL
	$(BIN)/python -m tarn.inference predict "$(MODEL)" $(PICTURES) $(ARGS)

serve: setup ## answer over HTTP at PORT, with a page to try MODEL: make serve MODEL=... [PORT=8000] [ARGS=...]
	$(BIN)/python -m tarn.inference serve "$(MODEL)" --port $(PORT) $(if $(wildcard $(SAMPLES)),--samples "$(SAMPLES)") $(ARGS)

bench: setup $(if $(filter $(SAMPLE),$(DATA)),sample) ## loaders, decoding, fidelity and packing on DATA, the quick set
	$(BIN)/python -m benchmarks.fidelity "$(DATA)"
	$(BIN)/python -m benchmarks.decode "$(DATA)"
	$(BIN)/python -m benchmarks.pack "$(DATA)" --files 2000 --rounds 3
	$(BIN)/python -m benchmarks.loader "$(DATA)" $(ARGS)

test: setup ## run the tests that need no server
	$(BIN)/python -m pytest -n 4 --dist worksteal -m 'not servers' $(ARGS)

test-servers: setup ## run the tests against a real object store and a real web server (installs the store)
	$(BIN)/python -m pytest -n 3 --dist worksteal -m servers $(ARGS)

test-oldest: setup ## the tests of training and of its processes with the oldest torch that is promised
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --editable '.[dev]' torch==2.6.0 torchvision==0.21.0
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -m 'not servers' tests/training tests/test_pipeline.py $(ARGS)

lint: setup ## check style and types, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## rewrite the files in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the other targets made
	rm -rf $(VENV) $(OLDEST) build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info src/*.egg-info
