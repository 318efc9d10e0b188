#!/usr/bin/env bash
# Install the Debian packages that some tests start: SLURM (tests/loihi/test_slurm.py), Chromium (tests/page) and HDF5
# for C (tests/docs); as root, once. Where this cannot be done, those tests are skipped with a reason; with
# TCLIF_REQUIRE_BROWSER=1 a missing Chromium is an error.
set -euo pipefail
wanted=()
command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v srun >/dev/null ||
    wanted+=(slurmctld slurmd slurm-client munge)
command -v h5cc >/dev/null || wanted+=(gcc libc6-dev libhdf5-dev)
command -v chromium >/dev/null || wanted+=(chromium fonts-dejavu-core)
if [ "${#wanted[@]}" = 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "test_packages.sh: needs apt-get and root to install ${wanted[*]}; the tests with them will be skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get install -y -q --no-install-recommends "${wanted[@]}" ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "${wanted[@]}"; }; } >/dev/null 2>&1 ||
    echo "test_packages.sh: ${wanted[*]} could not be installed; the tests with them will be skipped" >&2
