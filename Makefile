# `make demo` and `make test` need Python 3.11 or newer, nothing else.
# Another build of torch:  make test TORCH="torch==2.13.0 --index-url URL-OF-THE-WHEELS"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH  ?= torch==2.13.0
VENV   ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage lint typecheck docs bench eval certify clean

help:  ## Say what each target does
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# Torch goes first and on its own: left to the other packages' wishes, pip may fetch gigabytes of GPU libraries.
# The stamp is named after the build, so that another TORCH= is installed over the first.
TORCH_STAMP := $(VENV)/.torch-$(shell printf '%s' '$(TORCH)' | cksum | cut -d ' ' -f 1)

$(TORCH_STAMP): | $(BIN)/python
	$(PIP) --upgrade pip
	$(PIP) $(TORCH)
	@rm -f $(VENV)/.torch-* $(VENV)/.installed-*
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(TORCH_STAMP)
	$(PIP) --editable '.[$*]'
	@touch $@

install: $(VENV)/.installed-demo  ## Make the virtual environment and install the project

demo: $(VENV)/.installed-demo  ## Label real Chinese shopping reviews with a few-shot prompt
	@echo 'The demo uses Gemma 3 270M. By continuing you accept the Gemma Terms of Use (https://ai.google.dev/gemma/terms).'
	$(BIN)/fewshot-llm models pull gemma3-270m --accept-licence
	$(BIN)/fewshot-llm demo --report out/demo

test: $(VENV)/.installed-test  ## Run all tests; tests of the real model are skipped when it cannot be fetched
	-$(BIN)/fewshot-llm models pull smollm2-135m
	$(BIN)/python -m pytest

coverage: $(VENV)/.installed-test  ## Run all tests and fail where less than 90 % of the package's lines were run
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(VENV)/.installed-dev  ## Check style and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.installed-dev  ## Check types
	$(BIN)/mypy

docs: $(VENV)/.installed-docs  ## Build the documentation, in English and Chinese, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.installed-test  ## Time the scorer against other ways of doing the same work (FEWSHOT_DATA: where the data sets are)
	$(BIN)/python -m eval.speed

eval: $(VENV)/.installed-test  ## Measure accuracy on the small suite and compare with the committed baseline
	$(BIN)/fewshot-llm suite small --out out/eval-small --overwrite --baseline eval/baselines/small.json

certify: $(VENV)/.installed-test  ## Check that real servers answer as the toolkit does
	$(BIN)/python -m pytest -m server

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

VLLM_VENV ?= .venv-vllm
ADAPTER ?= adapters/intents
SUITE ?= bitext_intents
RESULT ?= eval/baselines/serving-bitext_intents.json

.PHONY: certify-vllm
certify-vllm: $(VENV)/.installed-test  ## The same on vLLM (CPU, 3.4 GB): ADAPTER=folder SUITE=name RESULT=file
	test -d $(VLLM_VENV) || PYTHON=$(BIN)/python sh eval/certify/make_vllm_env.sh $(VLLM_VENV)
	$(BIN)/python -m eval.certify.run $(ADAPTER) --suite $(SUITE) --servers vllm:peft,vllm:merged \
	  --vllm-python $(abspath $(VLLM_VENV))/bin/python --out $(RESULT)
