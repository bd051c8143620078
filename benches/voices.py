#!/usr/bin/env python3
"""Are resynthesised and converted recordings voices? Measured by programs that are not unbraid's.

Usage: voices.py UNBRAID OUT [--corpora DIR] [--seed N] [--speechocean N] [--mini N] [--fsdd N] [--exp DIR] [--jobs N]
Needs librosa, resemblyzer, speechmos, onnxruntime and soundfile from PyPI. It runs in the repository's root.

What is in OUT already is not made again. Pairs of recordings of two speakers are drawn. Each source is resynthesised from its own features (copy) and converted to the
target's voice (--model en-16k, or --exp DIR), by Griffin-Lim and by source-filter. Of each result, against the source:

voiced  share of frames that pYIN calls voiced (50 to 500 Hz in steps of 20 cents, frames of 64 ms every 10 ms)
agree   share of frames that are voiced, or not, as in the source
f0      correlation of log F0 over frames that are voiced in both; none below 10 frames
rms     level in dB relative to the source
samples length in samples (at 16 kHz) minus the source's
mel     mean absolute difference of log-mel spectrograms (80 bands, dB, at most 60 dB below the loudest value)
source, target  cosine of Resemblyzer's embeddings with those of the two recordings
DNSMOS  overall, signal, background (P.835) and P.808
"""

import argparse
import json
import multiprocessing
import pathlib
import random
import subprocess
import warnings

import librosa
import numpy
import soundfile
from resemblyzer import VoiceEncoder, preprocess_wav
from speechmos import dnsmos

RATE = 16000
FRONT_END = "kind = 'fbank'\nnum_mel_bins = 80\ndither = 0.0\nsnip_edges = false\n"
PITCH = "snip_edges = false\n"


def tables(data, root):
    """Speaker and path of each utterance of a data directory."""
    def table(name):
        lines = (data / name).read_text().splitlines()
        return dict(line.split(None, 1) for line in lines)

    speakers, paths = table("utt2spk"), table("wav.scp")
    return {utt: (speakers[utt], root / path) for utt, path in paths.items()}


def corpora(args):
    """Name, utterances and number of pairs of each corpus."""
    yield "mini", tables(pathlib.Path("data/mini/test"), pathlib.Path()), args.mini
    if args.corpora:
        root = args.corpora / "speechocean762"
        yield "speechocean762", tables(root / "test", root), args.speechocean
        recordings = sorted((args.corpora / "fsdd/recordings").glob("*_[0-4].wav"))
        yield "fsdd", {path.stem: (path.stem.split("_")[1], path) for path in recordings}, args.fsdd


def pairs(args):
    """Sources and targets, drawn with the seed; every source once."""
    rng = random.Random(args.seed)
    for corpus, utterances, count in corpora(args):
        for source in rng.sample(sorted(utterances), count):
            speaker, path = utterances[source]
            others = [utt for utt, (other, _) in sorted(utterances.items()) if other != speaker]
            yield corpus, source, path, utterances[rng.choice(others)][1]


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


def make(args, drawn):
    """All results, as OUT/KIND/SOURCE.wav."""
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "fbank.toml").write_text(FRONT_END)
    (out / "pitch.toml").write_text(PITCH)
    (out / "wav.scp").write_text("".join(f"{source} {path}\n" for _, source, path, _ in drawn))
    lists = ["--resample", RATE, f"scp:{out}/wav.scp"]
    feats, pitch = f"{out}/feats", f"{out}/pitch"
    run(args.unbraid, "feats", "fbank", "--conf", out / "fbank.toml", *lists, f"ark,scp:{feats}.ark,{feats}.scp")
    run(args.unbraid, "feats", "pitch", "--conf", out / "pitch.toml", *lists, f"ark,scp:{pitch}.ark,{pitch}.scp")
    back = [args.unbraid, "feats", "waveform", "--conf", out / "fbank.toml"]
    for folder, more in [("copy griffin-lim", []), ("copy source-filter", ["--pitch", f"scp:{pitch}.scp"])]:
        if not (out / folder / "wav.scp").exists():
            run(*back, *more, f"scp:{feats}.scp", out / folder)
    model = ["--exp", args.exp] if args.exp else ["--model", "en-16k"]
    for generator in ["griffin-lim", "source-filter"]:
        folder = out / f"converted {generator}"
        folder.mkdir(exist_ok=True)
        for _, source, path, target in drawn:
            wav = folder / f"{source}.wav"
            if not wav.exists():
                words = ["--device", "cpu", path, target, "--generator", generator, "--out", wav]
                run(args.unbraid, "convert", *model, *words)


def audio(path):
    samples, rate = soundfile.read(path, dtype="float32")
    return librosa.resample(samples, orig_sr=rate, target_sr=RATE, res_type="soxr_vhq") if rate != RATE else samples


def pitch(samples):
    hz, voiced, _ = librosa.pyin(samples, fmin=50, fmax=500, sr=RATE, frame_length=1024, hop_length=160, resolution=0.2)
    return numpy.where(voiced, numpy.log(hz), 0.0), voiced


def log_mel(samples):
    power = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=512, hop_length=160, n_mels=80)
    return librosa.power_to_db(power, ref=1.0, amin=1e-10)


def measured(samples):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quality = dnsmos.run(numpy.clip(samples, -1, 1), sr=RATE)
    return {
        "pitch": pitch(samples),
        "mel": log_mel(samples),
        "embedding": ENCODER.embed_utterance(preprocess_wav(samples, source_sr=RATE)),
        "quality": {name: float(quality[f"{name}_mos"]) for name in ["ovrl", "sig", "bak", "p808"]},
    }


def compared(samples, made, source_samples, source, target):
    (f0, voiced), (own_f0, own_voiced) = made["pitch"], source["pitch"]
    frames = min(len(voiced), len(own_voiced))
    both = voiced[:frames] & own_voiced[:frames]
    mels = min(made["mel"].shape[1], source["mel"].shape[1])
    # Quiet places are compared as far as they are 60 dB below the loudest.
    floor = source["mel"].max() - 60
    mel, own_mel = (numpy.maximum(of["mel"][:, :mels], floor) for of in (made, source))
    power = [10 * numpy.log10(numpy.mean(numpy.square(x, dtype=float)) + 1e-12) for x in (samples, source_samples)]
    return {
        "voiced": voiced.mean(),
        "agree": (voiced[:frames] == own_voiced[:frames]).mean(),
        "f0": numpy.corrcoef(f0[:frames][both], own_f0[:frames][both])[0, 1] if both.sum() >= 10 else numpy.nan,
        "rms": power[0] - power[1],
        "samples": len(samples) - len(source_samples),
        "mel": numpy.abs(mel - own_mel).mean(),
        "source": float(made["embedding"] @ source["embedding"]),
        "target": float(made["embedding"] @ target["embedding"]),
        **{f"DNSMOS {name}": value for name, value in made["quality"].items()},
    }


def table(rows):
    """Means by corpus and kind, as Markdown."""
    columns = list(rows[0][2])
    print("| corpus | recordings | n | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 3) + "|")
    for corpus in dict.fromkeys(row[0] for row in rows):
        for kind in dict.fromkeys(row[1] for row in rows):
            those = [row[2] for row in rows if row[:2] == (corpus, kind)]
            means = (numpy.nanmean([row[column] for row in those]) for column in columns)
            cells = " | ".join(f"{mean:.1f}" if column == "samples" else f"{mean:.2f}" for column, mean in zip(columns, means))
            print(f"| {corpus} | {kind} | {len(those)} | {cells} |")


def rows_of(out, corpus, source, path, target_path):
    """Corpus, kind and measures of a source and of all that was made of it."""
    own, target = audio(path), measured(audio(target_path))
    own_measures = measured(own)
    rows = [(corpus, "source", compared(own, own_measures, own, own_measures, target))]
    for folder in ["copy griffin-lim", "copy source-filter", "converted griffin-lim", "converted source-filter"]:
        samples = audio(out / folder / f"{source}.wav")
        rows.append((corpus, folder, compared(samples, measured(samples), own, own_measures, target)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unbraid")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--corpora", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exp")
    parser.add_argument("--jobs", type=int, default=2)
    for corpus, count in [("speechocean", 20), ("mini", 12), ("fsdd", 8)]:
        parser.add_argument(f"--{corpus}", type=int, default=count)
    args = parser.parse_args()
    drawn = list(pairs(args))
    make(args, drawn)
    # A fork of loaded libraries may hang.
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        rows = sum(pool.starmap(rows_of, [(args.out, *pair) for pair in drawn], chunksize=1), [])
    (args.out / "voices.json").write_text(json.dumps(rows, default=float, indent=1))
    table(rows)


ENCODER = VoiceEncoder("cpu", verbose=False)

if __name__ == "__main__":
    main()
