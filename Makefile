# `make help` lists what there is. Every target makes the environment it needs.
PYTHON ?= python3
PORT ?= 5000
PYTEST := pytest --numprocesses auto --maxprocesses 4
BIN := .venv/bin
READY := .venv/.ready
# TORCH=cpu: torch without the CUDA libraries, from PyTorch's own index, whose address uv knows. Or a wheel of torch, or a
# requirement such as torch==2.13.0, from the index in use; then without torchaudio, which only tests and benchmarks need.
TORCH ?=
# Where Python must not write bytecode while it runs, it would compile every library again at each start, for 2 to 5 s.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help env repro experiments ui test test-all check format lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 14

# Where the model is the committed one byte for byte, DVC skips evaluate and plots, which complete its MLflow run; sync does.
repro: $(READY)  ## reproduce the pipeline: data, model, metrics, figures, MLflow run
	dvc repro
	-@case "$$GENRE_TRACKING" in off|0|false|no) ;; *) genre sync ;; esac

experiments: $(READY)  ## the experiments side by side: what differs, and accuracy with its interval
	genre experiments

# MLflow opens on a page about language models; this address is the list of runs, with the columns that matter.
ui: $(READY)  ## MLflow at http://127.0.0.1:5000 (PORT=... for another); prints the address of the list of runs
	@echo "http://127.0.0.1:$(PORT)/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=genre"
	mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --port $(PORT)

test: $(READY)  ## the tests, without the slow ones
	$(PYTEST)

test-all: $(READY)  ## all tests
	pytest -m "slow or not slow"

check: $(READY)  ## format, lint, types, tests; CI also looks whether dvc.lock is of this code
	ruff format --check .
	ruff check .
	mypy
	$(PYTEST)

format: $(READY)  ## put the code into shape
	ruff format .
	ruff check --fix .

lock: $(READY)  ## exact versions, of what pyproject.toml lists
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
		--all-extras pyproject.toml -o requirements.txt

env: $(READY)  ## the environment alone; for a machine without a GPU, in a fresh clone: make env TORCH=cpu

clean:  ## remove the environment and caches; data, models and metrics stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
ifeq ($(TORCH),)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet $(COMPILE) requirements.txt
else
	grep -vE '^(torch|torchaudio|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' requirements.txt > .venv/requirements.txt
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet $(COMPILE) .venv/requirements.txt
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet $(COMPILE) \
		$(if $(filter cpu,$(TORCH)),--torch-backend cpu $(shell grep -E '^torch(audio)?==' requirements.txt),$(TORCH))
endif
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
