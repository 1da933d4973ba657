.PHONY: test quality lint format benchmarks

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
