# make demo: fresh machine to a result. make test: fresh machine to tests. make check: what CI demands of a change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# make pacs-demo: PACS, viewer and the suite between them until Ctrl-C. STUDY=folder sends that instead of the samples.
.PHONY: demo pacs-demo test check lint format system-test clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet -e .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install --quiet -e .[dev]
	touch $@

$(VENV)/ready-system: $(VENV)/ready-dev
	$(BIN)/pip install --quiet -e .[system]
	touch $@

demo: $(VENV)/ready
	rm -rf demo
	$(BIN)/monai-deploy sample skull_strip demo/head
	$(BIN)/monai-deploy exec skull_strip -i demo/head -o demo/skull_strip
	$(BIN)/monai-deploy sample spine demo/spine_study
	$(BIN)/monai-deploy exec spine -i demo/spine_study -o demo/spine
	$(BIN)/monai-deploy sample lung_nodule demo/chest
	$(BIN)/monai-deploy exec lung_nodule -i demo/chest -o demo/lung_nodule
	$(BIN)/monai-deploy sample cervical_tumor demo/pelvis
	$(BIN)/monai-deploy exec cervical_tumor -i demo/pelvis -o demo/cervical_tumor
	$(BIN)/monai-deploy cohort demo -o demo/cohort.html
	@ls demo/skull_strip demo/spine demo/lung_nodule demo/cervical_tumor

pacs-demo: $(VENV)/ready
	@$(BIN)/python -m pacs $(if $(STUDY),"$(STUDY)")

# A worker for each core: threads of numpy and torch would only wait for each other. What one worker compiles the others
# and the next run read. All of tests/system is marked, which tests/test_layers.py sees to, and need not be imported.
test: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal \
		-m "not system" --ignore tests/system

system-test: $(VENV)/ready-system
	$(BIN)/python -m pytest -n auto -m system --ignore tests/system
	$(BIN)/python -m pytest -n auto --dist loadfile -m "system and not servers" tests/system
	$(BIN)/python -m pytest -m servers tests/system

lint: $(VENV)/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

format: $(VENV)/ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf demo build .viewer $(VENV)
