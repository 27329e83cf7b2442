#!/usr/bin/env bash
# Pictures of docs/index.md and README.md, from a run of the sample study: bash scripts/pictures.sh out/demo_eeg_growth
# Needs Chromium (or Chrome) and the environment of scripts/demo.sh.
set -euo pipefail
run=$(realpath "${1:?name the folder of a run}")
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
take() {
  "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --hide-scrollbars \
    --disable-background-networking --disable-component-update --user-data-dir="$(mktemp -d)" \
    --window-size="$3" --screenshot="docs/images/$1" "file://$run/$2" 2>/dev/null
}
# as high as the growth figure with its caption, and as the heads with their matrix: nothing is cut in the middle
take report.png report.html 1000,1500
"${HYPERSCAN:-.venv/bin/hyperscan}" view "$run" >/dev/null
take view.png "view.html#dyad=D02&session=5" 1000,1825
