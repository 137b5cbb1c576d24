#!/bin/sh
# Everything: the quick checks, then every test; both are run, whatever the first says.
set -u
here=$(dirname "$0")
checks=passed
tests=passed
"$here/check.sh" || checks=FAILED
.venv/bin/python -m pytest "$@" || tests=FAILED
echo "make test: checks $checks, tests $tests"
[ "$checks$tests" = passedpassed ]
