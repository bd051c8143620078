#!/usr/bin/env python3
"""How many sentences does a recogniser of other people find in converted recordings?

Usage: sentences.py UNBRAID OUT SPEECHOCEAN762 [--seed N] [--count N] [--exp DIR]
SPEECHOCEAN762 is the corpus, unpacked (OpenSLR 101). It needs Python with soundfile and pocketsphinx 5 (pip install
pocketsphinx), whose package has a model of American English. It runs anywhere.

Sources are --count recordings of adults of the corpus's test part, each with a sentence of five words or more that no other source
has. The target of each is a source of another speaker. Both are drawn with the seed. The recogniser chooses among the sentences of
all sources (a grammar), so chance is one of --count. Each source is converted to its target (--model en-16k, or --exp DIR), by
Griffin-Lim and by source-filter.

right   share of recordings of which exactly the sentence is recognised, with Wilson's 95 % interval
target  share of which the target's sentence is recognised: it leaks through the speaker embedding
"""

import argparse
import pathlib
import random
import subprocess
import sys

import soundfile
from digits import interval
from pocketsphinx import Decoder

GENERATORS = ["griffin-lim", "source-filter"]


def table(path):
    return dict(line.rstrip("\n").split(None, 1) for line in open(path))


def drawn(corpus, count, seed, decoder):
    """Name, file and sentence of the sources, each with the name of its target."""
    test = corpus / "test"
    text, files, speakers, ages = (table(test / name) for name in ("text", "wav.scp", "utt2spk", "spk2age"))
    draw, sentences = random.Random(seed), {}
    names = sorted(name for name in text if int(ages[speakers[name]]) >= 18)
    for name in draw.sample(names, len(names)):
        words = text[name].lower().split()
        if len(words) >= 5 and all(decoder.lookup_word(word) for word in words):
            sentences.setdefault(" ".join(words), name)
    chosen = [(name, corpus / files[name], sentence) for sentence, name in sentences.items()][:count]
    for name, path, sentence in chosen:
        others = [other for other, _, _ in chosen if speakers[other] != speakers[name]]
        yield name, path, sentence, draw.choice(others)


def recogniser(sentences):
    """A decoder that chooses among sentences."""
    decoder = Decoder(lm=None, samprate=16000, loglevel="FATAL")
    decoder.add_jsgf_string("sentences", f"#JSGF V1.0; grammar sentences; public <sentence> = {' | '.join(sentences)};")
    decoder.activate_search("sentences")
    return decoder


def recognised(decoder, path):
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000, f"{path}: expected 16000 Hz, found {rate}"
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found else ""


def converted(args, generator, path, target, name):
    wav = args.out / generator / f"{name}.wav"
    if not wav.exists():
        wav.parent.mkdir(parents=True, exist_ok=True)
        model = ["--exp", args.exp] if args.exp else ["--model", "en-16k"]
        command = [args.unbraid, "convert", *model, "--device", "cpu", path, target, "--generator", generator, "--out", wav]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return wav


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unbraid")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--exp")
    args = parser.parse_args()
    sources = list(drawn(args.corpus, args.count, args.seed, Decoder(lm=None, loglevel="FATAL")))
    files = {name: path for name, path, _, _ in sources}
    said = {name: sentence for name, _, sentence, _ in sources}
    decoder = recogniser(sorted(said.values()))
    print("| recordings | n | right | interval | target |")
    print("|---|---|---|---|---|")
    for kind in ["source", *GENERATORS]:
        right = leaked = 0
        for name, path, sentence, target in sources:
            heard = recognised(decoder, path if kind == "source" else converted(args, kind, path, files[target], name))
            right += heard == sentence
            leaked += heard == said[target]
        count = len(sources)
        low, high = interval(right, count)
        print(f"| {kind} | {count} | {right / count:.2f} | {low:.2f}-{high:.2f} | {leaked / count:.2f} |")


if __name__ == "__main__":
    main()
