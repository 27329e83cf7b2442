#!/usr/bin/env bash
# From a clone to a verdict: sets up .venv, analyses the sample study with growth, says where the report is.
# usage: bash scripts/demo.sh [STUDY]     STUDY: eeg_growth (default), eeg_none or fnirs_growth
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment
study="${1:-eeg_growth}"
echo "analysing sample_data/$study: some minutes on two cores; each step says how far it is" >&2
hyperscan run "sample_data/$study" -o "out/demo_$study" --jobs 2
