#!/usr/bin/env python3
"""Panels of training curves out of pages of `unbraid report`, as one SVG.

curves.py OUT.svg PANEL[,PANEL...] NAME=report.html...: a row per page, a column per panel, as 'speaker adversary accuracy'.
"""

import re
import sys

WIDTH, HEIGHT, MARGIN, HEAD = 320, 214, 10, 24


def panels(path):
    """The inside of each panel of a page by its network and term."""
    with open(path, encoding="utf-8") as page:
        text = page.read()
    found = {}
    form = r'<svg [^>]*viewBox="0 0 320 214"[^>]*aria-label="(.*?) of (.*?) over [^"]*"[^>]*>(.*?)</svg>'
    for term, network, inside in re.findall(form, text, flags=re.S):
        found[f"{network} {term}"] = inside
    return found


def main():
    out, wanted, *pages = sys.argv[1:]
    wanted = wanted.split(",")
    width, height = len(wanted) * (WIDTH + MARGIN), len(pages) * (HEIGHT + HEAD)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="DejaVu Sans,Verdana,sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for row, page in enumerate(pages):
        name, path = page.split("=", 1)
        top = row * (HEIGHT + HEAD)
        parts.append(f'<text x="6" y="{top + 16}" font-size="14" font-weight="bold" fill="#222">{name}</text>')
        found = panels(path)
        for column, panel in enumerate(wanted):
            if panel not in found:
                sys.exit(f"{path}: expected the panel '{panel}', found {', '.join(found)}")
            parts.append(f'<g transform="translate({column * (WIDTH + MARGIN)} {top + HEAD})">{found[panel]}</g>')
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(parts + ["</svg>"]) + "\n")


if __name__ == "__main__":
    main()
