#!/usr/bin/env bash
# try_release.sh [3.10|3.13 ...]: build wheel and sdist, install each into a clean environment of each Python, and use it.
#
# Nothing of this checkout is on the path of what is tried. Downloads PyTorch where uv's cache has it not; needs the
# Pythons and .venv (`make env`), whose uv it uses.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
root=$PWD uv=$PWD/.venv/bin/uv
versions=("$@")
[ "${#versions[@]}" != 0 ] || versions=(3.10 3.13)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

.venv/bin/python -m hatchling build -d "$folder/dist" >/dev/null
for version in "${versions[@]}"; do
    python=$("$uv" python find --no-project "$version")
    for kind in whl tar.gz; do
        here=$folder/$version-$kind
        "$uv" venv --quiet --no-project --python "$python" "$here"
        "$uv" pip install --quiet --python "$here/bin/python" --constraint "$root/constraints.txt" \
            "$folder/dist"/*."$kind"
        (
            cd "$here"
            unset PYTHONPATH
            "bin/tclif" --version
            "bin/tclif" demo --short -o "$here/demo" >"$here/demo.txt" 2>&1 || { cat "$here/demo.txt"; exit 1; }
            "bin/python" -I -c 'import tclif_neuro as tn; assert "site-packages" in tn.__file__; tn.load_model("digits-rows")'
            [ -s demo/digits.net ]
        )
        echo "Python $version, $kind: installed, demo, load_model"
        rm -rf "$here"
    done
done
