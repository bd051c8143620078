#!/usr/bin/env python3
"""Efficiency of data-parallel training with N ranks, computed and not measured: a step of T ms, then a ring all-reduce of the
gradient that nothing hides, 2 (N - 1) / N of its bytes over the link and 2 (N - 1) times its latency.
Usage: scaling.py [MILLION_WEIGHTS STEP_MS]..."""

import sys

LINKS = {  # GB/s and microseconds
    "10 Gb/s Ethernet": (1.25, 30.0),
    "100 Gb/s Ethernet": (12.5, 20.0),
    "NVLink": (400.0, 5.0),
}
RANKS = (8, 16, 32, 64, 128, 256)


def efficiency(weights, step_ms, ranks, link):
    gigabytes_s, latency_us = LINKS[link]
    bytes_sent = 2 * (ranks - 1) / ranks * 4 * weights
    sum_ms = bytes_sent / gigabytes_s / 1e6 + 2 * (ranks - 1) * latency_us / 1e3
    return step_ms / (step_ms + sum_ms)


def main():
    given = [float(value) for value in sys.argv[1:]] or [1.15, 7.0, 1.15, 100.0, 20.0, 100.0]
    print("| weights | step | link | " + " | ".join(f"{ranks}" for ranks in RANKS) + " |")
    print("|---" * (len(RANKS) + 3) + "|")
    for millions, step_ms in zip(given[::2], given[1::2]):
        for link in LINKS:
            values = (efficiency(millions * 1e6, step_ms, ranks, link) for ranks in RANKS)
            row = " | ".join(f"{value:.2f}" for value in values)
            print(f"| {millions:g} million | {step_ms:g} ms | {link} | {row} |")


if __name__ == "__main__":
    main()
