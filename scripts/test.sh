#!/usr/bin/env bash
# Sets up .venv with the test extras and runs all tests, one process per core; arguments go to pytest
# (-n 0: in one process; -m "not slow": in a third of the time).
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment test
export MPLBACKEND=Agg OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# the tests of a file stay together, because they share what their fixtures made
# tests/conftest.py begins with the files that take longest, and the order stays
# a worker that dies ends the whole: its files would be waited for
exec "$PYTHON" -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 "$@"
