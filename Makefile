# Each target makes its environment in .venv once. You need python3 (3.11 or later, with venv) and git.

.PHONY: demo test lint docs dist lock bench
.DELETE_ON_ERROR:

# Publish examples/hello to an emulator, and install it from there.
demo: .venv/demo.stamp
	.venv/bin/gar-publish demo

# Run the tests, with three workers: two would leave two cores idle for a fifth of the time. Without a Docker engine, the
# tests that need it are skipped, or fail if REQUIRE_DOCKER=1. PYTEST='-m thorough' runs the tests that repeat others.
test: .venv/dev.stamp
	.venv/bin/python -m pytest --numprocesses=3 --no-loadscope-reorder $(PYTEST)

# Check style, format, types, layers, Dockerfiles, workflows, actions, and the documents' links, anchors and tables,
# all without a network.
lint: .venv/dev.stamp
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile examples/*/*Dockerfile
	.venv/bin/jactionlint $(JACTIONLINT) .github/dependabot.yml $(WORKFLOWS)
	.venv/bin/jactionlint $(JACTIONLINT) --profile=correctness --ignore=workflow-run-names $(EXAMPLES)
	.venv/bin/zizmor $(ZIZMOR) .github $(ACTIONS)
	.venv/bin/zizmor $(ZIZMOR) --config=examples/zizmor.yml examples
	.venv/bin/check-jsonschema --builtin-schema=vendor.github-workflows $(WORKFLOWS) $(EXAMPLES)
	.venv/bin/check-jsonschema --builtin-schema=vendor.github-actions $(ACTIONS)
	.venv/bin/check-jsonschema --builtin-schema=vendor.dependabot .github/dependabot.yml
	.venv/bin/check-jsonschema --builtin-schema=vendor.cloudbuild examples/*/cloudbuild.yaml
	.venv/bin/python -m pytest --quiet tests/unit/test_docs.py -k "anchor or links or tables"

ACTIONS = action.yml setup/action.yml
WORKFLOWS = .github/workflows/*.yml
EXAMPLES = examples/*/.github/workflows/*.yml
JACTIONLINT = --shellcheck= --pyflakes=
ZIZMOR = --offline --persona=pedantic --strict-collection --no-progress --quiet

# Write the inputs of both actions, their types, and the tables in README.md and docs/jobs.md.
docs: .venv/dev.stamp
	.venv/bin/python docs/tables.py

# Build the distributions for PyPI: gar-publish and gar-emulator.
dist: .venv/uv.stamp
	rm -rf dist
	.venv/bin/hatchling build -d dist
	cd emulator && ../.venv/bin/hatchling build -d ../dist

# Compare the speed of gar-publish and other tools, and write bench/results.json and docs/benchmarks.md with its charts.
# BENCH="--repository FOLDER" measures a checkout of a real repository, too.
bench: .venv/dev.stamp .venv-bench/stamp
	.venv/bin/python -m bench.speed $(BENCH)

# Update every lock file to the newest compatible versions that are at least a week old.
lock: .venv/uv.stamp
	cd emulator && ../.venv/bin/hatchling build -t wheel -d ../.venv/emulator
	.venv/bin/uv $(COMPILE) --upgrade pyproject.toml requirements/dev.in requirements/build.in --all-extras -o requirements/dev.txt
	.venv/bin/uv $(COMPILE) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	.venv/bin/uv $(COMPILE) -c requirements/dev.txt requirements/bench.in -o requirements/bench.txt
	.venv/bin/uv $(COMPILE) -c requirements/dev.txt pyproject.toml --extra emulator -o requirements/demo.txt
	.venv/bin/uv $(COMPILE) -c requirements/dev.txt pyproject.toml --extra action \
		--excludes requirements/action-excludes.txt -o requirements/action.txt
	.venv/bin/uv $(COMPILE) --upgrade -c requirements/dev.txt requirements/backends.in \
		--excludes requirements/backends-excludes.txt -o requirements/backends.txt

# The lock files must not contain index URLs, local wheels or settings of this machine.
COMPILE = pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --exclude-newer="7 days" \
	--find-links .venv/emulator --no-emit-package gar-emulator

.venv/uv.stamp: requirements/build.txt
	python3 -m venv --clear .venv
	.venv/bin/python -m pip --quiet install --require-hashes -r requirements/build.txt
	touch $@

.venv/demo.stamp: .venv/uv.stamp requirements/demo.txt pyproject.toml emulator/pyproject.toml
	.venv/bin/uv pip install --python .venv --quiet --no-deps --require-hashes -r requirements/demo.txt
	.venv/bin/uv pip install --python .venv --quiet --no-deps --no-build-isolation -e ./emulator -e .
	touch $@

.venv/dev.stamp: .venv/demo.stamp requirements/dev.txt
	.venv/bin/uv pip install --python .venv --quiet --no-deps --require-hashes -r requirements/dev.txt
	touch $@

# The other tools have a separate environment with pip, as on a runner.
.venv-bench/stamp: .venv/uv.stamp requirements/bench.txt
	python3 -m venv --clear .venv-bench
	.venv/bin/uv pip install --python .venv-bench --quiet --no-deps --require-hashes --compile-bytecode \
		-r requirements/bench.txt
	touch $@
