# make lab, make demo, make test, make fuzz: each sets up .venv first if that is needed. make lint, make clean.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup lab demo test fuzz lint clean

help:
	@echo "make lab    opens JupyterLab on the lessons"
	@echo "make demo   trains lesson 1 without a screen and writes pictures and a video to out/"
	@echo "make test   runs the unit tests and all notebooks"
	@echo "make fuzz   feeds 10,000 broken files to everything that reads files"
	@echo "make lint   checks style      make clean   removes what these commands made"

setup: .venv/installed

# The stamp is newer than the lock once everything is installed; a run that was cut short is made good.
.venv/installed: requirements.txt pyproject.toml
	@echo "Setting up .venv; the first time this downloads about 700 MB and takes a minute or two …"
ifeq ($(UV),)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v[:2] <= (3, 13) and f"{sys.executable} is Python {v[0]}.{v[1]}, but TensorFlow needs 3.11 to 3.13; say which with: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
else
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' .venv
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.txt
endif
	@touch .venv/installed

# As root JupyterLab wants to be told; without a screen it only prints its address.
LAB_FLAGS := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root) \
  $(shell [ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || echo --no-browser)

lab: setup
	$(BIN)/jupyter lab $(LAB_FLAGS) notebooks/00_start_here.ipynb

demo: setup
	$(BIN)/python -m vidgen_tf demo --out out

test: setup
	$(BIN)/python -m pytest

fuzz: setup
	$(BIN)/python tests/fuzz.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv out build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
