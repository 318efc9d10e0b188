#!/usr/bin/env bash
# Write constraints.txt: exact versions of every dependency and extra, for all supported Pythons at once.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

new=$(mktemp constraints.XXXXXX)
trap 'rm -f "$new"' EXIT
cp constraints.txt "$new"
.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-annotate --no-header \
    --output-file "$new" pyproject.toml >/dev/null
{
    echo "# The exact versions that the tests run with, on every supported Python. Made by \`make lock\`; not edited by hand."
    cat "$new"
} >"$new.done"
chmod 644 "$new.done"
mv "$new.done" constraints.txt
