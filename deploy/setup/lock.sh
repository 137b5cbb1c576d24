#!/bin/sh
# pyproject.toml -> requirements.lock: one version of everything for Python 3.11 to 3.13, with hashes, naming no host.
set -eu
UV=0.13.9
[ -x .servers/uv/bin/uv ] || .venv/bin/python -m venv .servers/uv
.servers/uv/bin/pip install -q --disable-pip-version-check "uv==$UV"
.servers/uv/bin/uv pip compile -q pyproject.toml --extra dev --extra osrm --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header "$@" -o requirements.lock
# The image carries what the services run on and nothing of what tests them: the same versions, fewer of them.
echo setuptools | .servers/uv/bin/uv pip compile -q pyproject.toml - --extra osrm -c requirements.lock --python-version 3.13 \
  --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -o deploy/requirements.lock
# The peers of the planning benchmark live in an environment of their own.
.servers/uv/bin/uv pip compile -q bench/peers/requirements.in --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header -o bench/peers/requirements.txt
