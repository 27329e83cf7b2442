#!/usr/bin/env bash
# Speed side by side with the peers, in an environment of its own (benchmarks/.venv); writes benchmarks/RESULTS.md.
#   bash scripts/bench.sh            full size, about twenty minutes
#   bash scripts/bench.sh --small    two minutes; writes benchmarks/RESULTS.small.md
#   bash scripts/bench.sh --only plv   one topic; prints only
#   bash scripts/bench.sh --resume   go on where a stopped run ended
set -euo pipefail
cd "$(dirname "$0")/.."
venv=benchmarks/.venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
wanted=$(cat pyproject.toml requirements.lock | cksum)
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing hyperscan, hypyp and pycwt into $venv (once) ..." >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[bench]" numba
  echo "$wanted" > "$venv/.installed"
fi
export MPLBACKEND=Agg
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
cd benchmarks
exec .venv/bin/python run.py "$@"
