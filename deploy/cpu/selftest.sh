#!/usr/bin/env bash
# Everything that a deployment does, on this CPU: check, map and run every model by each path that it allows, and the
# conformance vectors. Needs the environment with Lava: TCLIF=.venv/bin/tclif PYTHON=.venv/bin/python deploy/cpu/selftest.sh [OUT]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
TCLIF=${TCLIF:-.venv/bin/tclif} PYTHON=${PYTHON:-.venv/bin/python}
out=${1:-$(mktemp -d)}
mkdir -p "$out"
export OMP_NUM_THREADS=1

status() { # NAME COMMAND...: runs it, keeps its output, says how it ended; a status other than those in $ALLOWED ends all
    local name=$1 found=0
    shift
    "$@" >"$out/$name.txt" 2>&1 || found=$?
    [[ " ${ALLOWED:-0} " == *" $found "* ]] || { cat "$out/$name.txt"; echo "FAILED: $name, status $found"; exit 1; }
    printf '%-40s status %s\n' "$name" "$found"
    last=$found
}

for net in models/*.net; do
    name=$(basename "$net" .net)
    for path in stock microcode; do
        ALLOWED="0 1" status "$name.$path.check" "$TCLIF" check "$net" --path "$path"
        # What no public microcode computes still runs on Lava's CPU models of it, ours.
        [ "$path" = stock ] && [ "$last" = 1 ] && continue
        status "$name.$path.map" "$TCLIF" map "$net" --path "$path"
        samples=4
        [ "$path" = stock ] && samples=1 # a run of its own per sample
        needs=
        case $name in
            smnist | smnist-lattice) needs=mnist.npz samples=1 ;; # 784 steps
            smnist* | psmnist*) needs=mnist.npz ;;
            ecg-*) needs=ecg/QTDB_test.mat samples=1 ;; # 1301 steps
        esac
        # Where a data set is missing, the run is left out.
        if [ -n "$needs" ] && [ ! -f "${TCLIF_DATA:-/nowhere}/$needs" ]; then
            echo "$name.$path: no \$TCLIF_DATA/$needs, not run"
            continue
        fi
        status "$name.$path.deploy" "$TCLIF" deploy "$net" -o "$out/$name.$path" --target cpu --path "$path" --samples "$samples"
    done
done
status conformance.write "$TCLIF" conformance write -o "$out/vectors.h5" --net models/digits-rows-lattice.net
status conformance.run "$PYTHON" deploy/loihi2/run_vectors.py "$out/vectors.h5" -o "$out/result.h5"
status conformance.verify "$TCLIF" conformance verify "$out/result.h5"
echo "all of it agrees; the output is in $out"
