.PHONY: test quality lint format benchmarks oldest newest audit

test:
	pytest

quality:
	pytest -m quality

lint:
	ruff check .
	ruff format --check .
	mypy

format:
	ruff check --fix .
	ruff format .

benchmarks:
	python -m tests.benchmarks own

oldest newest:
	python -m tests.versions $@

audit:
	pip-audit --skip-editable --progress-spinner off
