#!/usr/bin/env bash
# Builds the documentation into site/, warnings as errors; nothing is fetched while it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment docs
exec "$PYTHON" -m mkdocs build --strict "$@"
