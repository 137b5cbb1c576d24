#!/bin/sh
# Everything: the quick checks, then every test; both are run, whatever the first says.
# A worker a core, each with servers of its own; few, since each starts a Kafka and a PostgreSQL.
set -u
here=$(dirname "$0")
checks=passed
tests=passed
"$here/check.sh" || checks=FAILED
.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal "$@" || tests=FAILED
echo "make test: checks $checks, tests $tests"
[ "$checks$tests" = passedpassed ]
