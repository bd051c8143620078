#!/usr/bin/env python3
"""Attacks the program from outside: files with mutations through every command that reads one, and kills.

    fuzz/campaign.py mutate [--seconds 600] [--seed 0] [--unbraid target/release/unbraid]
    fuzz/campaign.py kill   [--seconds 600] [--seed 0] [--unbraid target/release/unbraid]

`mutate` damages one input of a command (bytes flipped, pieces cut, doubled or exchanged, numbers made huge or not finite, the
end cut off) and reports panics, aborts, signals, hangs, more than one line for one damaged file, outputs that are not finite
and files left unfinished. `kill` ends commands that write at random moments and reports outputs that are neither those
before nor those after, and trainings that end with other weights when they are resumed.

What is found is kept in fuzz/campaign/found/NUMBER with the command that shows it; the exit code is 1 then. Standard
library only; audio, speakers and configurations are the bundled ones.
"""

import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACE = ROOT / "fuzz" / "campaign"
HANG_S = 60
NOT_FINITE = re.compile(rb"(?i)\b(nan|inf|infinity)\b")

CONF = """seed = 1
device = "cpu"
[data]
train = "train"
valid = "valid"
labels = "text"
crop_frames = 40
front_end = "fbank.toml"
sampler = { kind = "speakers", speakers = 3, utterances = 2 }
[method]
name = "disentangle"
label_weight = 0.5
[method.model]
phonetic_encoder = { channels = 8, code_dim = 4 }
speaker_encoder = { channels = 8, embedding_dim = 8 }
decoder = { kind = "conv", channels = 8 }
[train]
steps = 24
log_every = 4
validate_every = 8
checkpoint_every = 4
threads = 1
"""


class Workplace:
    """A folder with data, an experiment and the other files that commands read."""

    def __init__(self, program):
        self.program = str(pathlib.Path(program).resolve())
        self.folder = PLACE / "work"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def run(self, words, **options):
        return subprocess.run(
            [self.program, *words.split()],
            cwd=self.folder,
            env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=HANG_S,
            **options,
        )

    def made(self, *lines):
        for words in lines:
            done = self.run(words)
            if done.returncode:
                sys.exit(f"campaign.py: {words}: expected success, found {done.stderr.decode()}")

    def prepare(self):
        write = lambda name, text: (self.folder / name).write_text(text)
        write("conf.toml", CONF)
        shutil.copy(ROOT / "recipes/mini/conf/fbank.toml", self.folder / "fbank.toml")
        self.data()
        for part in ("train", "valid"):
            self.made(f"feats fbank --conf fbank.toml scp:{part}/wav.scp ark,scp:{part}/feats.ark,{part}/feats.scp")
        extract = "extract --device cpu --exp exp"
        self.made(
            "train --conf conf.toml --exp exp",
            f"{extract} --output phonetic scp:train/feats.scp ark,scp:z.ark,z.scp",
            f"{extract} --output speaker scp:train/feats.scp ark,scp:s.ark,s.scp",
            "export --exp exp --output phonetic phonetic.pt",
            "units train scp:z.scp --clusters 3 --out units.ark",
            "units apply scp:z.scp --model units.ark --out units.txt",
            "feats cmvn-stats --spk2utt train/spk2utt scp:train/feats.scp ark:cmvn.ark",
        )
        pairs = [line.split() for line in (self.folder / "train/utt2spk").read_text().splitlines()]
        kind = lambda a, b: "target" if a[1] == b[1] else "nontarget"
        write("trials", "".join(f"{a[0]} {b[0]} {kind(a, b)}\n" for a in pairs for b in pairs if a < b))
        self.made(
            "verify score --trials trials --scores scores scp:s.scp",
            "verify backend train scp:s.scp --utt2spk train/utt2spk --lda-dim 2 --smoothing 0.5 --out plda.json",
            "verify calibrate train --trials trials --scores scores --out calibration.json",
        )
        self.keep()
        # Each command succeeds on undamaged files.
        for words, _ in COMMANDS:
            self.made(words)
            self.restore()

    def data(self):
        """Three speakers of the bundled speech, cut to a few utterances each."""
        bundle = ROOT / "data" / "mini"
        listed = {}
        for line in (bundle / "train/utt2spk").read_text().splitlines():
            utterance, speaker = line.split()
            listed.setdefault(speaker, []).append(utterance)
        audio = dict(line.split(maxsplit=1) for line in (bundle / "train/wav.scp").read_text().splitlines())
        text = dict(line.split(maxsplit=1) for line in (bundle / "train/text").read_text().splitlines())
        for part, place in (("train", slice(0, 4)), ("valid", slice(4, 6))):
            chosen = [(u, s) for s in sorted(listed)[:4] for u in listed[s][place]]
            folder = self.folder / part
            folder.mkdir()
            speakers = {}
            for utterance, speaker in chosen:
                speakers.setdefault(speaker, []).append(utterance)
            tables = {
                "utt2spk": [f"{u} {s}" for u, s in chosen],
                "spk2utt": [f"{s} {' '.join(us)}" for s, us in speakers.items()],
                "text": [f"{u} {text[u].split()[0]}" for u, _ in chosen],
                "wav.scp": [f"{u} {part}/{u}.flac" for u, _ in chosen],
            }
            for name, lines in tables.items():
                (folder / name).write_text("\n".join(sorted(lines)) + "\n")
            for utterance, _ in chosen:
                shutil.copy(bundle / audio[utterance].split("/", 2)[-1], folder / f"{utterance}.flac")

    def keep(self):
        """Saves the folder for `restore`, links as links."""
        shutil.rmtree(PLACE / "whole", ignore_errors=True)
        shutil.copytree(self.folder, PLACE / "whole", symlinks=True)

    def restore(self):
        shutil.rmtree(self.folder)
        shutil.copytree(PLACE / "whole", self.folder, symlinks=True)


# Every command that reads a file, and the files that it reads.
EXTRACT = "extract --device cpu --exp exp --output"
COMMANDS = [
    ("data validate --no-feats train", ["train/utt2spk", "train/text", "train/wav.scp", "train/spk2utt"]),
    ("data fix valid", ["valid/utt2spk", "valid/text"]),
    ("data subset --first 2 train sub", ["train/utt2spk", "train/wav.scp"]),
    ("feats fbank --conf fbank.toml scp:train/wav.scp ark,t:out", ["fbank.toml", "train/wav.scp", "train/@.flac"]),
    ("feats pitch scp:train/wav.scp ark,t:out", ["train/@.flac"]),
    ("feats copy scp:train/feats.scp ark,t:out", ["train/feats.scp", "train/feats.ark"]),
    ("feats apply-cmvn --utt2spk train/utt2spk ark:cmvn.ark scp:train/feats.scp ark,t:out", ["cmvn.ark", "train/feats.ark"]),
    ("train --conf conf.toml --exp new --set train.steps=2", ["conf.toml", "train/feats.scp", "train/feats.ark", "train/utt2spk", "train/text"]),
    ("train --conf conf.toml --exp exp --resume", ["exp/last/state.json", "exp/last/weights.safetensors", "exp/last/optimiser.safetensors", "exp/inventory.json", "exp/log.jsonl", "exp/conf.toml"]),
    (f"{EXTRACT} phonetic scp:train/feats.scp ark,t:out", ["exp/last/weights.safetensors", "exp/inventory.json", "exp/conf.toml", "train/feats.ark"]),
    (f"{EXTRACT} speaker --wav scp:train/wav.scp ark,t:out", ["exp/front_end.toml", "train/@.flac"]),
    ("extract --device cpu --module phonetic.pt scp:train/feats.scp ark,t:out", ["phonetic.pt"]),
    ("eval conversion --device cpu --exp exp train out", ["exp/last/weights.safetensors", "train/feats.scp"]),
    ("eval probe train valid --target speaker --representation x=train/feats.scp,valid/feats.scp --epochs 1 --min-steps 1 --seeds 1", ["valid/feats.ark", "valid/utt2spk"]),
    ("eval abx train --representation z=z.scp", ["z.ark", "z.scp", "train/text", "train/utt2spk"]),
    ("units apply scp:z.scp --model units.ark --out out", ["units.ark", "z.ark"]),
    ("verify score --trials trials --scores out scp:s.scp", ["trials", "s.ark", "s.scp"]),
    ("verify score --trials trials --backend plda.json --scores out scp:s.scp", ["plda.json", "s.ark"]),
    ("verify calibrate apply --calibration calibration.json --scores scores --out out", ["calibration.json", "scores"]),
    ("verify backend train scp:s.scp --utt2spk train/utt2spk --lda-dim 2 --smoothing 0.5 --out out", ["s.ark", "train/utt2spk"]),
    ("plot map --method pca --labels train/text --out out.svg z.scp", ["z.ark", "train/text"]),
    ("report --exp exp --out out.html", ["exp/log.jsonl", "exp/conf.toml", "exp/inventory.json"]),
]

NUMBERS = [b"nan", b"inf", b"-1", b"0", b"1e30", b"9223372036854775807", b"18446744073709551616", b"1e999"]


def mutated(content, draw):
    """Content with one to three random changes."""
    content = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content) + 1)
        piece = content[at : at + draw.choice([1, 4, 40, 400])]
        numbers = [match.span() for match in re.finditer(rb"-?\d+(\.\d+)?", content[:4096])]
        kind = draw.choice(["flip", "cut", "double", "end", "random", "number", "number"])
        if kind == "flip" and piece:
            content[at] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            del content[at : at + len(piece)]
        elif kind == "double":
            content[at:at] = piece
        elif kind == "end":
            del content[at:]
        elif kind == "random":
            content[at : at + len(piece)] = draw.randbytes(len(piece))
        elif kind == "number" and numbers:
            start, end = draw.choice(numbers)
            content[start:end] = draw.choice(NUMBERS)
    return bytes(content)


def fault_of(place, done):
    """What is wrong with how a command ended, or None."""
    error = done.stderr.decode(errors="replace")
    if done.returncode < 0 or done.returncode > 2:
        return f"ended with {done.returncode}"
    if "panicked" in error or "RUST_BACKTRACE" in error:
        return "panic"
    if any(ord(c) < 32 and c not in "\n" for c in error):
        return "control characters in a message"
    if done.returncode == 0:
        outputs = [done.stdout] + [p.read_bytes() for p in place.folder.glob("out*") if p.is_file() and p.suffix != ".html"]
        if any(NOT_FINITE.search(output) for output in outputs):
            return "success with numbers that are not finite"
    elif not error.strip():
        return "failure without a message"
    if list(place.folder.rglob(".unbraid-*")):
        return "unfinished files left behind"
    return None


class Findings:
    def __init__(self):
        self.count = 0
        self.folder = PLACE / "found"
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, place, words, why, error=b""):
        target = self.folder / str(self.count)
        shutil.copytree(place.folder, target, symlinks=True)
        (target / "COMMAND").write_text(f"unbraid {words}\n{why}\n{error.decode(errors='replace')}\n")
        print(f"{target.relative_to(ROOT)}: unbraid {words}: {why}", flush=True)
        self.count += 1


def mutate(place, draw, until, findings):
    runs = 0
    while time.monotonic() < until:
        words, files = draw.choice(COMMANDS)
        name = draw.choice(files)
        path = draw.choice(sorted(place.folder.glob(name.replace("@", "*"))))
        path.write_bytes(mutated(path.read_bytes(), draw))
        try:
            done = place.run(words)
            why, error = fault_of(place, done), done.stderr
        except subprocess.TimeoutExpired:
            why, error = f"still running after {HANG_S} s", b""
        if why:
            findings.add(place, words, f"{path.relative_to(place.folder)}: {why}", error)
        runs += 1
        place.restore()
    print(f"{runs} runs with mutations, {findings.count} findings")


# Two commands that write the same output, and one that reads it.
WRITERS = [
    ("feats copy ark:NEW.ark ark,scp:out.ark,out.scp", "feats copy ark:OLD.ark ark,scp:out.ark,out.scp", "feats copy scp:out.scp ark,t:-"),
    (f"{EXTRACT} phonetic scp:valid/feats.scp ark,scp:out.ark,out.scp", f"{EXTRACT} phonetic scp:train/feats.scp ark,scp:out.ark,out.scp", "feats copy scp:out.scp ark,t:-"),
    ("data subset --first 3 train out", "data subset --per-spk 1 train out", "data validate --no-feats out"),
]


def read(place, words):
    done = place.run(words)
    return done.stdout if done.returncode == 0 else None


def killed(place, words, draw, longest):
    child = subprocess.Popen(
        [place.program, *words.split()],
        cwd=place.folder,
        env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        child.wait(draw.uniform(0.0, longest))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def kill(place, draw, until, findings):
    runs = 0
    order = ["NEW.ark", "OLD.ark"]
    for part, name in zip(("valid", "train"), order):
        place.made(f"feats copy scp:{part}/feats.scp ark:{name}")
    place.keep()
    began = time.monotonic()
    place.made("train --conf conf.toml --exp straight")
    duration = time.monotonic() - began
    weights = (place.folder / "straight/last/weights.safetensors").read_bytes()
    while time.monotonic() < until:
        if draw.random() < 0.5:
            words, before, reader = draw.choice(WRITERS)
            place.made(before)
            old = read(place, reader)
            place.made(words)
            new = read(place, reader)
            place.made(before)
            killed(place, words, draw, 1.0)
            found = read(place, reader)
            if found not in (old, new, None):
                findings.add(place, words, "an output that is neither the old one nor the new one")
        else:
            words = "train --conf conf.toml --exp killed"
            for _ in range(draw.randint(1, 4)):
                started = (place.folder / "killed").exists() and any((place.folder / "killed").glob("step_*"))
                killed(place, words + " --resume" * started, draw, duration)
            done = place.run(words + " --resume")
            last = place.folder / "killed/last/weights.safetensors"
            if done.returncode or last.read_bytes() != weights:
                findings.add(place, words, "other weights after kills", done.stderr)
        runs += 1
        place.restore()
    print(f"{runs} runs with kills, {findings.count} findings")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=["mutate", "kill"])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unbraid", default=ROOT / "target/release/unbraid")
    args = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    place = Workplace(args.unbraid)
    place.prepare()
    findings = Findings()
    campaign = {"mutate": mutate, "kill": kill}[args.campaign]
    campaign(place, random.Random(args.seed), time.monotonic() + args.seconds, findings)
    sys.exit(1 if findings.count else 0)


if __name__ == "__main__":
    main()
