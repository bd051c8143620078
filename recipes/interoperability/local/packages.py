"""What a reader needs, or a line that says why it is skipped."""

import importlib
import sys


def need(*names):
    """The packages of these names; the script ends well, and says so, where one is not installed."""
    try:
        return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        print(f"skipped: {sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(0)
