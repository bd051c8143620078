#!/usr/bin/env python3
"""How far `unbraid data augment` with [voice] moves pitch and formants, measured by Praat, and how like Praat's own "Change gender" it is.

voice_perturbation.py UNBRAID OUT WAV_SCP      (needs praat-parselmouth, numpy, soundfile)

Each recording is perturbed by unbraid. The factors that were drawn are in utt2aug; Praat perturbs the same recording by the same
factors. Of both: the ratio of the median pitch, and of the median of each of the first three formants over frames that are voiced
before and after, to that of the recording, over the factor (1 is exact). `voiced` is the share of frames in which Praat finds a
voice. The last column is the mean difference of log-mel energies between the two perturbed recordings, in dB, after their means.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy
import parselmouth
from parselmouth.praat import call

STEP_S = 0.01
FLOOR_HZ, CEILING_HZ = 60.0, 600.0


def measured(sound):
    """Pitch in Hz (0 without voice) and formants 1 to 3 every 10 ms."""
    pitch = sound.to_pitch_ac(time_step=STEP_S, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ)
    formants = sound.to_formant_burg(time_step=STEP_S, max_number_of_formants=5, maximum_formant=5500.0)
    times = numpy.arange(0.03, sound.duration - 0.03, STEP_S)
    hz = numpy.nan_to_num([pitch.get_value_at_time(t) for t in times])
    formant = numpy.array([[formants.get_value_at_time(n, t) for t in times] for n in (1, 2, 3)])
    return hz, formant


def mel(sound):
    spectrum = call(sound, "To MelFilter", 0.025, STEP_S, 100.0, 100.0, 0.0)
    return call(spectrum, "To Matrix").values


def of_praat(sound, formants, pitch, spread):
    """Praat's own perturbation; its pitch range is linear in Hz."""
    found = sound.to_pitch_ac(time_step=0.8 / FLOOR_HZ, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ)
    hz = found.selected_array["frequency"]
    median = float(numpy.median(hz[hz > 0]))
    return call([sound, found], "Change gender", formants, median * pitch, spread, 1.0)


def main(unbraid, out, wav_scp):
    out = pathlib.Path(out)
    rows = {"unbraid": [], "Praat": []}
    between = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "aug.toml").write_text("[voice]\n")
        source = folder / "data"
        source.mkdir()
        lines = [line.split(maxsplit=1) for line in pathlib.Path(wav_scp).read_text().splitlines()]
        (source / "wav.scp").write_text("".join(f"{key} {path}\n" for key, path in lines))
        (source / "utt2spk").write_text("".join(f"{key} {key}\n" for key, _ in lines))
        subprocess.run(
            [unbraid, "data", "augment", "--conf", folder / "aug.toml", "--prefix", "v", source, folder / "v"], check=True
        )
        drawn = dict(line.split(maxsplit=1) for line in (folder / "v/utt2aug").read_text().splitlines())
        files = dict(line.split(maxsplit=1) for line in (folder / "v/wav.scp").read_text().splitlines())
        for key, path in lines:
            factors = dict(word.split("=") for word in drawn[f"v1-{key}"].split())
            formants, pitch, spread = (float(factors[name]) for name in ("formants", "pitch", "range"))
            before = parselmouth.Sound(path)
            hz, formant = measured(before)
            sounds = {"unbraid": parselmouth.Sound(files[f"v1-{key}"]), "Praat": of_praat(before, formants, pitch, spread)}
            for name, sound in sounds.items():
                new_hz, new_formant = measured(sound)
                frames = min(len(hz), len(new_hz))
                both = (hz[:frames] > 0) & (new_hz[:frames] > 0)
                row = [numpy.mean(new_hz > 0), numpy.median(new_hz[new_hz > 0]) / numpy.median(hz[hz > 0]) / pitch]
                for old, new in zip(formant, new_formant):
                    row.append(numpy.nanmedian(new[:frames][both]) / numpy.nanmedian(old[:frames][both]) / formants)
                rows[name].append([numpy.mean(hz > 0), *row])
            one, other = (mel(sound) for sound in sounds.values())
            frames = min(one.shape[1], other.shape[1])
            difference = one[:, :frames] - other[:, :frames]
            between.append(numpy.abs(difference - difference.mean()).mean())
    table = ["| perturbed by | recordings | voiced before | voiced | pitch | F1 | F2 | F3 | to Praat's, dB |", "|---|---|---|---|---|---|---|---|---|"]
    for name, found in rows.items():
        found = numpy.array(found)
        middle = numpy.nanmedian(found, axis=0)
        last = f"{numpy.mean(between):.2f}" if name == "unbraid" else "0"
        table.append(f"| {name} | {len(found)} | " + " | ".join(f"{value:.2f}" for value in middle) + f" | {last} |")
    text = "\n".join(table) + "\n"
    out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
