# SPDX-License-Identifier: Apache-2.0
# make run    start everything (the first time: install, migrate, demo tenant)
# make test   the tests          make check   style, types, layers
# make demo   two real phones    make bench   measure      make lock   renew the pinned dependencies

VENV ?= .venv
CONFIG ?= config.yaml
PYTHON ?=
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES = $(wildcard billing billing_client ivr media prompts softswitch switch)

.DEFAULT_GOAL := help
.PHONY: help run up test check demo bench lock install install-test clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run up: install
	@exec $(BIN)/softswitch --config $(CONFIG) up

test: install-test
	$(BIN)/python -m pytest -n 3 --maxschedchunk 2 $(TESTS)

check: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) tests $(wildcard bench)
	$(BIN)/lint-imports

demo: install-test
	@$(BIN)/python -m softswitch.phone.demo

bench: install-test
	@$(BIN)/python -m bench

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/.made:
	@PYTHON="$(PYTHON)" sh packaging/make-venv.sh $(VENV)
	@touch $@

# Stamps: a start without a change of the locks goes straight to work.
$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.made
	@echo "Installing the pinned dependencies ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index --config-settings editable_mode=compat -e .
	@touch $@

$(VENV)/.installed-test: requirements-test.lock $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@

# The locks hold for every Python from 3.11 on and for every platform, and name no index and no host.
COMPILE = $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --annotation-style line
lock:
	@test -x $(VENV)-lock/bin/uv || { sh packaging/make-venv.sh $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv; }
	$(COMPILE) requirements.in -o requirements.lock
	$(COMPILE) -c requirements.lock requirements.in requirements-test.in -o requirements-test.lock
	@if grep -nE '://|--(extra-)?index|--find-links' *.lock; then echo "a lock names a host" >&2; exit 1; fi

clean:
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
