#!/usr/bin/env bash
# Install Debian's SLURM, for the tests that start one of their own (tests/loihi/test_slurm.py); as root, once.
# Where this cannot be done, those tests are skipped with a reason.
set -euo pipefail
if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v srun >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "slurm.sh: needs apt-get and root; the tests with SLURM will be skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge; }; } >/dev/null 2>&1 ||
    echo "slurm.sh: the packages could not be installed; the tests with SLURM will be skipped" >&2
