#!/usr/bin/env bash
# portable.sh [pytest's arguments]: every test that trains, under whatever changes how floats are added, and other seeds.
#
# Prints a table in Markdown; status 1 if one of them fails. The output of each run is kept in portable/.
set -uo pipefail
cd "$(dirname "$0")/.."
PY=${PY:-.venv/bin/python}
mkdir -p portable

modes=(
  "TCLIF_TEST_SEED=0"
  "ATEN_CPU_CAPABILITY=default"
  "ATEN_CPU_CAPABILITY=avx2"
  "MKL_CBWR=COMPATIBLE"
  "MKL_CBWR=SSE4_2"
  "MKL_CBWR=AVX2"
  "OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1"
  "OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 NUMBA_NUM_THREADS=2"
  "NUMBA_CPU_NAME=generic"
  "TCLIF_TEST_SEED=1000"
  "TCLIF_TEST_SEED=2000"
  "TCLIF_TEST_SEED=3000"
)
if grep -qw avx512f /proc/cpuinfo 2>/dev/null; then
  modes+=("ATEN_CPU_CAPABILITY=avx512" "MKL_CBWR=AVX512")
fi

echo "$(uname -m), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores;" \
  "$("$PY" -c 'import torch; print("torch", torch.__version__, "uses", torch.backends.cpu.get_cpu_capability())')"
echo
echo "| environment | tests | minutes |"
echo "|---|---|---|"
status=0
for mode in "${modes[@]}"; do
  log="portable/${mode//[^A-Za-z0-9=_.-]/,}.txt"
  begin=$SECONDS
  env $mode timeout --kill-after=60 7200 "$PY" -m pytest -q -p no:cacheprovider -m trains "$@" >"$log" 2>&1 || status=1
  printf '| `%s` | %s | %d |\n' "$mode" "$(tail -1 "$log" | sed 's/ in .*//; s/=//g' | xargs)" $(((SECONDS - begin + 30) / 60))
done
exit $status
