#!/bin/sh
# Make or refresh .venv from requirements.lock, every file checked against its hash. Usage: environment.sh, in the project.
set -eu
here=$(dirname "$0")

if ! .venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  python=$("$here/find-python.sh")
  echo "setting up .venv with $python; this takes about a minute"
  rm -rf .venv
  "$python" -m venv .venv
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }
pip install -q --require-hashes --only-binary :all: -r requirements.lock
pip install -q --require-hashes --only-binary :all: --no-deps -r deploy/invoice-rules.lock
# The project itself, in place; its build needs nothing that is not locked.
pip install -q --no-deps --no-build-isolation -e .

# The planning search is compiled here, for this machine, so that nobody waits for it later.
.venv/bin/python -c "from services.dispatch.planning.solve import warm_up; warm_up()" || true

# Statements are drawn with Pango, which is not a Python package.
draws='import weasyprint; weasyprint.HTML(string="é").write_pdf()'
if ! .venv/bin/python -c "$draws" >/dev/null 2>&1; then
  "$here/debian-install.sh" libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core || true
  if ! .venv/bin/python -c "$draws" >/dev/null 2>&1; then
    echo "!!" >&2
    echo "!! Pango is missing on this machine: everything works but statements as PDF." >&2
    echo "!! Please install it (Debian: libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; macOS: brew install pango)." >&2
    echo "!!" >&2
  fi
fi

# The map library of the pages, from locked npm packages.
if [ -f deploy/browser/build.py ]; then
  .venv/bin/python deploy/browser/build.py
fi

touch .venv/ready
