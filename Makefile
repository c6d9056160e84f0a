# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[demo,train,dev]'
	touch $@

demo: $(VENV)/installed  ## translate, enlarge and colour real photographs, and say where they are
	$(BIN)/python benchmarks/demo.py

test: $(VENV)/installed  ## run the test suite
	$(BIN)/python -m pytest

lint: $(VENV)/installed  ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo build dist *.egg-info
