#!/usr/bin/env python3
"""Time and peak memory of the commands as a corpus grows. Makes corpora of 20 utterances a speaker (0.4 s each, at 16 kHz, as
places in one file) and runs each command on each.

Usage: corpus_size.py UNBRAID FOLDER [SPEAKERS...]        (50 500 5000 without numbers)
Prints a table: seconds, and MB of the largest process.
"""

import array
import math
import os
import pathlib
import random
import struct
import sys
import time

RATE, SAMPLES, UTTERANCES = 16000, 6400, 20

CONF = """
[data]
train = "data"
labels = "none"
crop_frames = 30
sampler = { kind = "speakers", speakers = 16, utterances = 4 }
front_end = "fbank.toml"
[method]
name = "disentangle"
model.phonetic_encoder = { channels = 32, code_dim = 16 }
model.speaker_encoder = { channels = 32, embedding_dim = 32 }
model.decoder = { kind = "conv", channels = 32 }
[train]
steps = 50
threads = 1
"""
FRONT_END = 'kind = "fbank"\nsample_frequency = 16000\nnum_mel_bins = 40\ndither = 0.0\n'


def wav(samples):
    data = array.array("h", samples).tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", len(data))
    return head + data


def asked_of(utterances):
    """Utterances of the speakers that are attacked: at most 100 speakers, since an attack compares each with each."""
    return min(utterances // 2, 100 * UTTERANCES)


def corpus(folder, speakers):
    """data/{wav.scp,utt2spk,spk2utt,trials} and audio.bin, of 100 different waveforms."""
    draw = random.Random(0)
    sine = [math.sin(2 * math.pi * at / RATE) for at in range(RATE)]
    made = []
    for tone in range(100):
        hertz = 100 + 3 * tone
        made.append(wav(int(6000 * sine[at * hertz % RATE] + draw.gauss(0, 600)) for at in range(SAMPLES)))
    data = folder / "data"
    data.mkdir(parents=True)
    names = [f"s{speaker:05}-u{utterance:02}" for speaker in range(speakers) for utterance in range(UTTERANCES)]
    with open(folder / "audio.bin", "wb") as audio, open(data / "wav.scp", "w") as wavs:
        for number, name in enumerate(names):
            waveform = made[number // UTTERANCES % 100]
            wavs.write(f"{name} audio.bin:{audio.tell()}:{len(waveform)}\n")
            audio.write(waveform)
    with open(data / "utt2spk", "w") as table:
        table.writelines(f"{name} {name[:6]}\n" for name in names)
    with open(data / "spk2utt", "w") as table:
        for speaker in range(speakers):
            own = names[speaker * UTTERANCES : (speaker + 1) * UTTERANCES]
            table.write(f"{own[0][:6]} {' '.join(own)}\n")
    for place, part in enumerate(("learn", "test")):
        (folder / part).mkdir()
        (folder / part / "utt2spk").write_text("".join(f"{name} {name[:6]}\n" for name in names[place::2]))
    asked = asked_of(len(names))
    for table, part in (("learned", names[:-asked]), ("asked", names[-asked:])):
        (data / table).write_text("".join(f"{name} {name[:6]}\n" for name in part))
    with open(data / "trials", "w") as trials:
        for _ in range(50 * len(names)):
            one = draw.randrange(len(names))
            other = draw.randrange(len(names))
            if draw.random() < 0.2:
                other = one - one % UTTERANCES + draw.randrange(UTTERANCES)
            if one != other:
                kind = "target" if names[one][:6] == names[other][:6] else "nontarget"
                trials.write(f"{names[one]} {names[other]} {kind}\n")
    (folder / "fbank.toml").write_text(FRONT_END)
    (folder / "conf.toml").write_text(CONF)


def run(unbraid, folder, arguments):
    """Seconds and MB of a command that has to succeed."""
    start = time.monotonic()
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["OMP_NUM_THREADS"] = "1"
        os.execv(unbraid, [unbraid, *arguments])
    _, status, usage = os.wait4(child, 0)
    os.close(log)
    if status != 0:
        sys.exit(f"{' '.join(arguments)}: failed: {(folder / 'log').read_text()[-500:]}")
    return time.monotonic() - start, usage.ru_maxrss / 1000


def commands():
    train = ["train", "--conf", "conf.toml"]
    wavs, feats, embeddings = (f"scp:{name}.scp" for name in ("data/wav", "data/feats", "e"))
    audio = ["--set", 'data.input="audio"', "--set", "data.speeds=[0.9, 1.0, 1.1]"]
    return [
        ("data validate", ["data", "validate", "--no-feats", "--no-text", "data"]),
        ("feats fbank", ["feats", "fbank", "--conf", "fbank.toml", wavs, "ark,scp:data/feats.ark,data/feats.scp"]),
        ("train, 50 steps of 64", [*train, "--exp", "exp"]),
        ("train from audio, 1 step", [*train, *audio, "--steps", "1", "--exp", "first"]),
        ("train from audio, 50 steps", [*train, *audio, "--exp", "audio"]),
        ("extract codes", ["extract", "--exp", "exp", "--output", "phonetic", feats, "ark,scp:z.ark,z.scp"]),
        ("extract embeddings", ["extract", "--exp", "exp", "--output", "speaker", feats, "ark,scp:e.ark,e.scp"]),
        ("verify score, 50 trials an utterance", ["verify", "score", "--trials", "data/trials", embeddings]),
        (
            "eval probe, of the speaker",
            ["eval", "probe", "learn", "test", "--target", "speaker", "--representation", "codes=z.scp,z.scp", "--seeds", "1"],
        ),
        (
            "eval attack, without encoders",
            ["eval", "attack", "data/learned", "data/asked", "--representation", "codes=z_learned.scp,z_asked.scp"]
            + ["--draws", "1", "--encoder-steps", "0"],
        ),
    ]


def main():
    unbraid, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).absolute()
    sizes = [int(size) for size in sys.argv[3:]] or [50, 500, 5000]
    rows = {}
    for speakers in sizes:
        place = folder / str(speakers)
        corpus(place, speakers)
        for name, arguments in commands():
            if arguments[:2] == ["eval", "attack"]:
                lines = (place / "z.scp").read_text().splitlines(keepends=True)
                asked = asked_of(len(lines))
                (place / "z_learned.scp").write_text("".join(lines[:-asked]))
                (place / "z_asked.scp").write_text("".join(lines[-asked:]))
            seconds, megabytes = run(unbraid, place, arguments)
            rows.setdefault(name, []).append(f"{seconds:.1f} s, {megabytes:.0f} MB")
            print(f"{speakers * UTTERANCES} utterances: {name}: {rows[name][-1]}", file=sys.stderr)
    print("| command | " + " | ".join(f"{speakers * UTTERANCES} utterances" for speakers in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, figures in rows.items():
        print(f"| {name} | " + " | ".join(figures) + " |")


if __name__ == "__main__":
    main()
