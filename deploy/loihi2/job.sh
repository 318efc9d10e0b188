#!/usr/bin/env bash
# For sites where a job must run on the board's own node: sbatch --partition P job.sh NET DIR
# (elsewhere Intel's driver calls srun itself, from a Python on the login node, and this is not needed).
#SBATCH --job-name=tclif
#SBATCH --ntasks=1
#SBATCH --time=30
set -euo pipefail
exec tclif deploy "$1" -o "$2" --target loihi2 --partition "$SLURM_JOB_PARTITION" --json
