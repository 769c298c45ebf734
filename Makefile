# make demo | test | test-slow | lint | bench | zoo | results | notebooks | clean
#
# Everything runs in a virtual environment of its own, .venv, made with the Python named here.

PYTHON ?= python3
EXTRAS ?= test
VENV   := .venv
BIN    := $(VENV)/bin
comma  := ,
# A file in .venv marks what is installed; a changed setup.cfg makes it old.
STAMP   = $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))

.DELETE_ON_ERROR:
.PHONY: demo test test-slow lint bench zoo results notebooks clean

demo: $(VENV)/installed
	rm -rf runs/demo
	$(BIN)/python train.py gpt-shakespeare --train.minutes 1 --out runs/demo
	$(BIN)/python generate.py runs/demo "ROMEO:" --seed 1
	$(BIN)/python evaluate.py runs/demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed-test-parity
	$(BIN)/python bench/speed.py

zoo: $(VENV)/installed
	$(BIN)/python bench/zoo.py

results: $(VENV)/installed
	$(BIN)/python bench/results.py

notebooks: $(STAMP)
	$(BIN)/python notebooks/execute.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-%: $(VENV)/bin/python setup.cfg
	$(BIN)/python -m pip install --quiet --editable ".[$(subst -,$(comma),$*)]"
	touch $@ $(VENV)/installed
