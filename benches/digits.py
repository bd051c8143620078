#!/usr/bin/env python3
"""How many digits does a recogniser of real speech get right in resynthesised and converted recordings?

Usage: digits.py UNBRAID OUT FSDD [--seed N] [--takes N] [--steps N] [--exp DIR]
FSDD is the folder of the Free Spoken Digit Dataset. It needs nothing but Python. It runs anywhere.

What is in OUT already is not made again. A recogniser of words (unbraid asr train, 8 kHz) learns takes 5 to 49 of all six
speakers, the official training set. Sources are takes 0 to 4, --takes of each speaker and digit. The target of each is a
recording of another digit by another speaker, of these takes too. Both are drawn with the seed. So the recogniser knows all
voices, but none of the recordings. Each source is resynthesised from its own features (copy) and converted to its target
(--model en-16k, or --exp DIR), by Griffin-Lim and by source-filter.

right   share of recordings of which exactly the digit is recognised, with Wilson's 95 % interval
target  share of which the target's digit is recognised: it leaks through the speaker embedding
"""

import argparse
import math
import pathlib
import random
import subprocess
import sys

DIGITS = "zero one two three four five six seven eight nine".split()
FRONT_END = "kind = 'fbank'\nnum_mel_bins = {}\nsample_frequency = {}.0\nhigh_freq = 0.0\ndither = 0.0\nsnip_edges = false\n"
KINDS = ["copy griffin-lim", "copy source-filter", "converted griffin-lim", "converted source-filter"]


def digit(recording):
    """The word of a recording of the corpus."""
    return DIGITS[int(recording.stem.split("_")[0])]


def utterance(recording):
    """Its name in data directories."""
    return "{1}-{0}-{2}".format(*recording.stem.split("_"))


def drawn(recordings, args):
    """Sources, each with its target."""
    rng = random.Random(args.seed)
    test = sorted(path for path in recordings.glob("*.wav") if int(path.stem.split("_")[2]) < 5)
    parts = {path: path.stem.split("_")[:2] for path in test}
    for number, speaker in sorted(set(map(tuple, parts.values()))):
        takes = [path for path in test if parts[path] == [number, speaker]]
        others = [path for path in test if parts[path][0] != number and parts[path][1] != speaker]
        for source in rng.sample(takes, args.takes):
            yield source, rng.choice(others)


class Bench:
    def __init__(self, args):
        self.args, self.out = args, args.out

    def run(self, *words):
        words = [str(word) for word in (self.args.unbraid, *words)]
        subprocess.run(words, check=True, stdout=sys.stderr)

    def features(self, name, bins, rate, folder):
        """Features of the recordings of a folder's wav.scp, as folder/name.scp."""
        if not (folder / f"{name}.scp").exists():
            conf = folder / f"{name}.toml"
            conf.write_text(FRONT_END.format(bins, rate))
            target = f"ark,scp:{folder}/{name}.ark,{folder}/{name}.scp"
            self.run("feats", "fbank", "--conf", conf, "--resample", rate, f"scp:{folder}/wav.scp", target)

    def data(self, name, recordings):
        """A data directory of recordings, by the names of their originals."""
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = sorted((utterance(original), original, path) for original, path in recordings)
        (folder / "wav.scp").write_text("".join(f"{key} {path}\n" for key, _, path in rows))
        (folder / "utt2spk").write_text("".join(f"{key} {key.split('-')[0]}\n" for key, _, _ in rows))
        (folder / "text").write_text("".join(f"{key} {digit(original)}\n" for key, original, _ in rows))
        self.features("feats", 40, 8000, folder)
        return folder

    def train(self, recordings):
        """The recogniser."""
        paths = [path for path in recordings.glob("*.wav") if int(path.stem.split("_")[2]) >= 5]
        train = self.data("train", [(path, path) for path in paths])
        options = ["--subsampling", 2, "--cmvn", "utterance", "--steps", self.args.steps, "--seed", self.args.seed, "--resume"]
        self.run("asr", "train", train, "--exp", self.out / "recogniser", *options)

    def make(self, pairs):
        """Copies and conversions, as OUT/KIND/wav/SOURCE.wav."""
        source = self.data("source", [(source, source) for source, _ in pairs])
        self.features("wide", 80, 16000, source)
        conf, pitch = source / "pitch.toml", f"{source}/pitch"
        conf.write_text("snip_edges = false\n")
        target = f"ark,scp:{pitch}.ark,{pitch}.scp"
        self.run("feats", "pitch", "--conf", conf, "--resample", 16000, f"scp:{source}/wav.scp", target)
        for kind, more in zip(KINDS, [[], ["--pitch", f"scp:{pitch}.scp"]]):
            if not (self.out / kind / "wav").exists():
                back = ["feats", "waveform", "--conf", source / "wide.toml", *more]
                self.run(*back, f"scp:{source}/wide.scp", self.out / kind / "wav")
        model = ["--exp", self.args.exp] if self.args.exp else ["--model", "en-16k"]
        for kind in KINDS[2:]:
            (self.out / kind / "wav").mkdir(parents=True, exist_ok=True)
            for source, target in pairs:
                wav = self.made(kind, source)
                if not wav.exists():
                    generator = kind.split()[1]
                    self.run("convert", *model, "--device", "cpu", source, target, "--generator", generator, "--out", wav)

    def made(self, kind, source):
        return source if kind == "source" else self.out / kind / "wav" / f"{utterance(source)}.wav"

    def recognised(self, folder):
        """The words of each utterance."""
        hypotheses = folder / "recognised"
        self.run("asr", "decode", "--exp", self.out / "recogniser", "--device", "cpu", "--out", hypotheses, f"scp:{folder}/feats.scp")
        lines = (line.split() for line in hypotheses.read_text().splitlines())
        return {name: words for name, *words in lines}


def interval(right, count):
    """Wilson's, of 95 % (Wilson 1927)."""
    z, share = 1.96, right / count
    middle, width = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return [(middle + sign * width) / (1 + z * z / count) for sign in (-1, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unbraid")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--exp")
    args = parser.parse_args()
    recordings, bench = args.corpus / "recordings", Bench(args)
    pairs = list(drawn(recordings, args))
    bench.train(recordings)
    bench.make(pairs)
    print("| recordings | n | right | interval | target |")
    print("|---|---|---|---|---|")
    for kind in ["source", *KINDS]:
        found = bench.recognised(bench.data(kind, [(source, bench.made(kind, source)) for source, _ in pairs]))
        right = sum(found[utterance(source)] == [digit(source)] for source, _ in pairs)
        leaked = sum(found[utterance(source)] == [digit(target)] for source, target in pairs)
        low, high = interval(right, len(pairs))
        print(f"| {kind} | {len(pairs)} | {right / len(pairs):.2f} | {low:.2f}-{high:.2f} | {leaked / len(pairs):.2f} |")


if __name__ == "__main__":
    main()
