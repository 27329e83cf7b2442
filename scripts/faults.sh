#!/usr/bin/env bash
# Break runs on purpose and write what came of it to docs/reliability/RESULTS.md. --small: under a minute, for CI.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS=1
exec "${PYTHON:-python}" scripts/faults.py "$@"
