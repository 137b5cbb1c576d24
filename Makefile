# The two commands are `make run` and `make test`; everything they need is set up by themselves.

.PHONY: run test check format proto lock demo bench clean
.DEFAULT_GOAL := run
VENV := .venv/bin

# Made again when the lock, the project's own metadata or the map's packages change.
.venv/ready: requirements.lock deploy/invoice-rules.lock pyproject.toml $(wildcard deploy/setup/*.sh deploy/browser/package-lock.json deploy/browser/build.py)
	@sh deploy/setup/environment.sh

run: .venv/ready  ## a demo city in one process
	@exec $(VENV)/tournee serve --demo

test: .venv/ready  ## everything: check, then every test
	@sh deploy/setup/test.sh

check: .venv/ready  ## the quick half: format, types, import rules, events
	@sh deploy/setup/check.sh

format: .venv/ready  ## put the code into our form
	@$(VENV)/ruff check --fix -q; $(VENV)/ruff format

proto: .venv/ready  ## proto/ -> services/contracts and proto/asyncapi.yaml
	@$(VENV)/python deploy/proto/generate.py

lock: .venv/ready  ## pyproject.toml -> requirements.lock, the one version of everything
	@sh deploy/setup/lock.sh

demo: .venv/ready  ## a month on a simulated clock, with a printed account
	@exec $(VENV)/tournee demo

bench: .venv/ready  ## what we measure, beside a peer or a limit
	@exec $(VENV)/python -m bench

clean:  ## forget what was set up and fetched
	rm -rf .venv .servers build dist *.egg-info services/dispatch/static/vendor deploy/browser/node_modules
