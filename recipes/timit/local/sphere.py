"""NIST SPHERE audio to WAV: a text header of `name -type value` lines, then samples.

In: 16-bit PCM of one channel, uncompressed, of either byte order. Out: a WAV file that is whole or not there.
"""

import array
import os
import sys
import wave
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_dir import refuse

MAGIC = b"NIST_1A\n"


def is_sphere(path):
    """Whether a file begins as SPHERE does."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_sphere(path):
    """Sample rate in Hz and samples."""
    content = path.read_bytes()
    size = content[len(MAGIC) :].split(b"\n", 1)[0].strip()
    if not size.isdigit() or not 16 < int(size) <= len(content):
        refuse(path, "the size of the SPHERE header on its second line", repr(size.decode("ascii", "replace")))
    header = content[: int(size)].decode("ascii", "replace")
    fields = {line.split()[0]: line.split()[-1] for line in header.splitlines()[2:] if len(line.split()) == 3}
    wanted = {"sample_coding": "pcm", "sample_n_bytes": "2", "channel_count": "1"}
    for name, value in wanted.items():
        # Old headers do without a coding, which is then PCM.
        if fields.get(name, value) != value:
            refuse(path, f"SPHERE audio with {name} {value}", fields[name])
    count, rate = fields.get("sample_count", ""), fields.get("sample_rate", "")
    if not count.isdigit() or not rate.isdigit() or int(rate) == 0:
        refuse(path, "sample_count and sample_rate in the SPHERE header", f"'{count}' and '{rate}'")
    body = content[int(size) : int(size) + 2 * int(count)]
    if len(body) != 2 * int(count):
        refuse(path, f"{count} samples", str(len(body) // 2))
    samples = array.array("h", body)
    if fields.get("sample_byte_format", "01") == ("10" if sys.byteorder == "little" else "01"):
        samples.byteswap()
    return int(rate), samples


def write_wav(path, rate, samples):
    """A WAV file of 16-bit samples."""
    if sys.byteorder == "big":
        samples.byteswap()
    half = path.with_name(f".{path.name}.half")
    with wave.open(str(half), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    os.replace(half, path)
