#!/bin/sh
# The quick half of the tests: each check is run, also after another has failed, and the last line says how many did.
set -u
PATH="$PWD/.venv/bin:$PATH"
passed=0
failed=""

check() { # NAME COMMAND...
  name=$1
  shift
  if out=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed="$failed, $name"
    echo "FAILED  $name: $*"
    echo "$out"
  fi
}

check "format" ruff format --check
check "lint" ruff check
check "types" mypy
check "import rules" lint-imports --no-cache --no-logo
check "events: style" buf lint proto
check "events: nothing breaks" buf breaking proto --against proto/released.binpb
check "events: generated code and AsyncAPI document are up to date" python deploy/proto/generate.py --check

if [ -n "$failed" ]; then
  echo "checks: $passed passed, failed: ${failed#, }"
  exit 1
fi
echo "checks: all $passed passed"
