"""The program `unbraid`."""

import shutil
import subprocess
import sys
from pathlib import Path


def program():
    """The path of the program: beside this Python, or on PATH."""
    beside = Path(sys.executable).parent / "unbraid"
    found = str(beside) if beside.exists() else shutil.which("unbraid")
    if found is None:
        raise FileNotFoundError("unbraid: expected the program beside this Python or on PATH, found none")
    return found


def run(*arguments):
    """What the program prints. RuntimeError with its message where it fails."""
    done = subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout
