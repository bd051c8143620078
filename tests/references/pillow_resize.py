"""Golden file of Pillow's bilinear resizing, for src/dataset/images/resize.rs.

Usage: pillow_resize.py FILE, with FILE tests/golden/pillow_resize.json and `pip install pillow==13.0.0`.
Images are noise that resize.rs draws again.
"""

import json
import sys

from PIL import Image

# (height, width) before and after.
CASES = [
    ((6, 5), (9, 8)),
    ((16, 16), (28, 28)),
    ((28, 28), (10, 10)),
    ((16, 16), (7, 7)),
    ((12, 3), (1, 1)),
    ((7, 9), (7, 4)),
    ((9, 7), (20, 3)),
]


def noise(count):
    state, values = 1, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(state >> 24)
    return bytes(values)


def case(source, target):
    image = Image.frombytes("L", source[::-1], noise(source[0] * source[1]))
    resized = image.resize(target[::-1], Image.Resampling.BILINEAR)
    return {"from": source, "to": target, "pixels": list(resized.tobytes())}


with open(sys.argv[1], "w") as file:
    cases = [json.dumps(case(*sides), separators=(",", ":")) for sides in CASES]
    file.write("[\n" + ",\n".join(cases) + "\n]\n")
