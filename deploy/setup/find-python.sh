#!/bin/sh
# Print the newest Python from 3.13 down to 3.11 that really runs and can make virtual environments.
# Looks on PATH (where version managers leave names that run nothing), then where pyenv keeps its versions.
set -u

works() { # PROGRAM MINOR
  "$1" -c "import sys, ensurepip, sqlite3, ssl, venv; sys.exit(sys.version_info[:2] != (3, $2))" >/dev/null 2>&1
}

pyenv_roots() {
  [ -z "${PYENV_ROOT:-}" ] || echo "$PYENV_ROOT"
  [ -z "${HOME:-}" ] || echo "$HOME/.pyenv"
  echo "$PATH" | tr ':' '\n' | sed -n 's#/shims/*$##p'
}

candidates() { # MINOR
  for name in "python3.$1" python3 python; do
    command -v "$name" 2>/dev/null
  done
  # The shell finds only the first of a name; a shim that does not run may hide the system's own.
  for name in "python3.$1" python3; do
    for folder in /usr/local/bin /usr/bin /opt/homebrew/bin; do
      echo "$folder/$name"
    done
  done
  pyenv_roots | while IFS= read -r root; do
    for found in "$root"/versions/3."$1"*/bin/python; do
      echo "$found"
    done
  done
}

search() {
  for minor in 13 12 11; do
    found=$(candidates "$minor" | while IFS= read -r candidate; do
      if [ -x "$candidate" ] && works "$candidate" "$minor"; then
        echo "$candidate"
        break
      fi
    done)
    if [ -n "$found" ]; then
      echo "$found"
      return 0
    fi
  done
  return 1
}

search && exit 0
# Debian's own Python comes without the part that makes virtual environments.
"$(dirname "$0")/debian-install.sh" python3-venv >&2 && search && exit 0
echo "Tournée needs Python 3.11, 3.12 or 3.13, with its venv module; none was found that runs." >&2
exit 1
