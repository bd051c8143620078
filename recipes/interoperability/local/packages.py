"""The packages of a reader, or a line with the reason why it is skipped."""

import importlib
import sys


def need(*names):
    """Imports the packages of these names; where one is missing, prints so and ends the script with success."""
    try:
        return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        print(f"skipped: {sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(0)
