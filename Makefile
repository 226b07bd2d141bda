# Every target does its own set-up: a fresh machine needs python3 (3.11 or newer) with venv, make, and
# a C compiler for the kernels (without one everything runs on the slower reference kernels).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
NATIVE := $(wildcard _native/*.c _native/*.h _native/build.py)
CODE := diskimage tests _native examples benchmarks setup.py

.PHONY: demo test lint types contracts sanitize fuzz bench wheel clean help
.DEFAULT_GOAL := help

help:
	@echo "demo       a mixed-mode disc becomes an ISO: convert, list, read a file, copy with its hash"
	@echo "test       all tests; what needs a tool that is not installed skips and names it"
	@echo "lint       ruff          types  mypy --strict          contracts  import-linter"
	@echo "sanitize   the C kernels under ASan and UBSan          fuzz  the same under libFuzzer (clang)"
	@echo "bench      the benchmarks, beside the tools that are installed"
	@echo "wheel      a wheel and a source distribution in dist/  clean  remove what was made"

# The environment is made again in place when the settings or the C sources change. A compiler that
# is absent or fails does not stop it: the last line says which kernels are in use.
$(STAMP): pyproject.toml setup.py $(NATIVE)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --editable '.[cli,speed,hash,crypto,apple,audio]' --group dev
	@$(BIN)/python -W ignore -c 'from diskimage.kernels import extension as e; \
		print("kernels:", "native" if e.NATIVE else f"reference ({e.reason})")'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

test: $(STAMP)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check $(wildcard $(CODE))

types: $(STAMP)
	@$(BIN)/mypy

contracts: $(STAMP)
	@$(BIN)/lint-imports --no-cache

sanitize:
	@$(MAKE) --no-print-directory -C _native check

fuzz:
	@$(MAKE) --no-print-directory -C _native fuzz

bench: $(STAMP)
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

wheel: $(STAMP)
	@$(BIN)/python -m build --outdir dist

clean:
	rm -rf $(VENV) build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f diskimage/_kernels*.so diskimage/_kernels.c
	find diskimage tests _native -name __pycache__ -prune -exec rm -rf {} +
