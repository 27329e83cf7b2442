#!/usr/bin/env bash
# Sets up .venv with the test extras and runs all tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment test
export MPLBACKEND=Agg OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec "$PYTHON" -m pytest "$@"
