"""``python -m hyperscan`` is the command ``hyperscan``."""

import sys

from hyperscan.cli import main

if __name__ == "__main__":
    sys.exit(main())
