# `make run` and `make test` need nothing installed first. See README.md.
.PHONY: run demo test check fmt bench docs browser lock clean
PY = .venv/bin/python

.venv/.run-ready: pyproject.toml requirements.lock bin/bootstrap
	@bin/bootstrap run && touch $@

.venv/.dev-ready: pyproject.toml requirements-dev.lock bin/bootstrap
	@bin/bootstrap dev && touch $@ .venv/.run-ready

run: .venv/.run-ready
	@exec $(PY) -m aivillage_console.dev

demo: .venv/.run-ready
	@bin/demo $(ARGS)

test: .venv/.dev-ready check
	@bin/run_tests

check: .venv/.dev-ready
	@bin/check

fmt: .venv/.dev-ready
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

bench: .venv/.dev-ready
	@for name in $$(ls bench | sed -n 's/^\([a-z_]*\)\.py$$/\1/p' | grep -v harness); do $(PY) -m bench.$$name --quick; done

docs: .venv/.dev-ready
	@bin/documents

browser:
	@bin/browser

lock: .venv/.dev-ready
	@.tools/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		pyproject.toml -o requirements.lock
	@.tools/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
