#!/usr/bin/env bash
# Prepares a study as a SLURM job array, one dyad per task, then finishes it in one job.
# usage: sbatch --array=1-N scripts/slurm_array.sh STUDY OUT        N = number of dyads; prepares
#        sbatch --dependency=afterok:JOBID scripts/slurm_array.sh STUDY OUT finish
#SBATCH --job-name=hyperscan
#SBATCH --cpus-per-task=1
#SBATCH --mem=8G
#SBATCH --time=02:00:00
set -euo pipefail
study=${1:?STUDY is missing} out=${2:?OUT is missing} step=${3:-prepare}
# one job, one thread: dyads run side by side
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
if [ "$step" = finish ]; then
  exec hyperscan run "$study" -o "$out" --jobs "${SLURM_CPUS_PER_TASK:-1}"
fi
task=${SLURM_ARRAY_TASK_ID:?submit with --array=1-N}
column=$(head -n 1 "$study/dyads.tsv" | tr '\t' '\n' | grep -nx dyad | cut -d: -f1)
dyad=$(tail -n +2 "$study/dyads.tsv" | cut -f"$column" | sort -u | sed -n "${task}p")
[ -n "$dyad" ] || { echo "there is no dyad number $task in $study/dyads.tsv" >&2; exit 2; }
exec hyperscan run "$study" -o "$out" --dyad-label "$dyad"
