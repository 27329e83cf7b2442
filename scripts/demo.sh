#!/usr/bin/env bash
# From a clone to a verdict: sets up .venv, analyses the sample study with growth, says where the report is.
# usage: bash scripts/demo.sh [STUDY]     STUDY: eeg_growth (default), eeg_none or fnirs_growth
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment
study="${1:-eeg_growth}"
hyperscan run "sample_data/$study" -o "out/demo_$study" --jobs 2
