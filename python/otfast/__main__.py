"""``python -m otfast`` is the command ``otfast``."""

import sys

from otfast.cli import main

if __name__ == "__main__":
    sys.exit(main())
