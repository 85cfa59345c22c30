"""``python -m skad``: compare detectors, or find the strange rows of a file."""

import sys

from skad._cli import main

if __name__ == "__main__":
    sys.exit(main())
