"""Make sample_data/ again from the package's own simulator: three small studies with known truth."""

import shutil
import sys
from pathlib import Path

from hyperscan import simulate_study

STUDIES = {
    "eeg_growth": {"scenario": "growth", "modality": "eeg", "seed": 1},
    "eeg_none": {"scenario": "none", "modality": "eeg", "seed": 2},
    "fnirs_growth": {"scenario": "growth", "modality": "fnirs", "seed": 3},
}


def main() -> None:
    dest = Path(sys.argv[1] if len(sys.argv) > 1 else "sample_data")
    for name, arguments in STUDIES.items():
        shutil.rmtree(dest / name, ignore_errors=True)
        print(simulate_study(dest / name, **arguments))


if __name__ == "__main__":
    main()
