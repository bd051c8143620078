#!/usr/bin/env python3
"""Makes the bundled speech of data/mini: `python3 data/mini/make.py` from the repository root.

Needs libespeak-ng 1.51 (Debian: espeak-ng libespeak-ng1), the program `flac` 1.4 and numpy. Everything that
it writes follows from this file, sentences.txt and those versions; README.md tells what it is.
"""

import collections
import ctypes
import math
import pathlib
import shutil
import subprocess
import tempfile
import wave

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
RATE_HZ = 16000
SILENCE_S = 0.12  # before and after each sentence
PEAK = 4096  # of 32767: a careful level, and fewer bits for FLAC to keep
SENTENCES_A_VOICE = 10
SEEN_SENTENCES = 32  # the first so many are spoken by training voices, the rest by unseen voices alone

# Voice: espeak-ng's variant, pitch (0 to 99, 50 is the variant's own), words a minute. No variant is used
# twice, so that an unseen voice differs from every training voice in its formants and not in pitch alone.
TRAIN = [
    ("f01", "f1", 50, 165), ("f02", "f2", 56, 180), ("f03", "f4", 44, 150), ("f04", "f5", 38, 160),
    ("f05", "Annie", 52, 170), ("f06", "belinda", 42, 155), ("f07", "steph", 58, 185), ("f08", "Andrea", 55, 158),
    ("f09", "anika", 49, 178), ("f10", "Alicia", 65, 162), ("f11", "zac", 40, 172),
    ("m01", "m1", 50, 160), ("m02", "m3", 58, 150), ("m03", "m5", 62, 166), ("m04", "m7", 54, 176),
    ("m05", "m8", 46, 182), ("m06", "klatt4", 44, 162), ("m07", "Lee", 52, 154), ("m08", "quincy", 48, 170),
    ("m09", "antonio", 40, 156), ("m10", "boris", 60, 180), ("m11", "travis", 45, 164), ("m12", "rob", 56, 172),
    ("m13", "gustave", 36, 168),
]  # fmt: skip
TEST = [
    ("f51", "f3", 50, 172), ("f52", "linda", 54, 160), ("f53", "shelby", 58, 152), ("f54", "grandma", 46, 168),
    ("m51", "david", 50, 170), ("m52", "norbert", 56, 158), ("m53", "pablo", 44, 176), ("m54", "Diogo", 52, 164),
]  # fmt: skip

# From the IPA of espeak-ng's en-us phonemes to ARPABET. A vowel with its r is one sound of the synthesiser
# and has no boundary inside: it stays one phone, named with a final R.
ARPABET = {
    "ɑː": "AA", "ɑ": "AA", "æ": "AE", "ʌ": "AH", "ə": "AX", "ɐ": "AX", "ɔː": "AO", "ɔ": "AO", "ɒ": "AO", "oː": "AO", "aʊ": "AW",
    "aɪ": "AY", "b": "B", "tʃ": "CH", "d": "D", "ð": "DH", "ɾ": "DX", "ɛ": "EH", "ɜː": "ER", "ɚ": "ER",
    "eɪ": "EY", "f": "F", "ɡ": "G", "h": "HH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "iː": "IY", "dʒ": "JH",
    "k": "K", "l": "L", "ɫ": "L", "əl": "AXL", "m": "M", "n": "N", "ŋ": "NG", "oʊ": "OW", "ɔɪ": "OY",
    "p": "P", "ɹ": "R", "s": "S", "ʃ": "SH", "t": "T", "ʔ": "T", "θ": "TH", "ʊ": "UH", "u": "UW", "uː": "UW",
    "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH", "ɑːɹ": "AAR", "ɔːɹ": "AOR", "oːɹ": "AOR", "ɛɹ": "EHR", "ɪɹ": "IHR",
    "ʊɹ": "UHR", "aɪɚ": "AYR", "aɪə": "AYX", "iə": "IYX",
}  # fmt: skip

Phone = collections.namedtuple("Phone", "name start_s end_s")


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


class Synthesiser:
    """libespeak-ng, called synchronously, with the sample at which each phoneme begins."""

    LIST_TERMINATED, PHONEME = 0, 7  # espeak_EVENT_TYPE
    SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT
    PHONEME_EVENTS, PHONEME_IPA = 1, 2  # options of espeak_Initialize
    RATE, PITCH = 1, 3  # espeak_PARAMETER
    UTF8 = 1

    def __init__(self):
        self.libc = ctypes.CDLL(None)
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.lib.espeak_Info.restype = ctypes.c_char_p
        self.version = self.lib.espeak_Info(None).decode()
        if not self.version.startswith("1.51"):
            raise SystemExit(f"make.py: expected libespeak-ng 1.51, found {self.version}")
        options = self.PHONEME_EVENTS | self.PHONEME_IPA
        self.rate_hz = self.lib.espeak_Initialize(self.SYNCHRONOUS, 0, None, options)
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self.callback = kind(self._collect)  # kept, since the library holds a bare pointer to it
        self.lib.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count, events):
        if samples:
            self.samples.extend(samples[:count])
        index = 0
        while events[index].type != self.LIST_TERMINATED:
            if events[index].type == self.PHONEME:
                self.phonemes.append((events[index].sample, events[index].id.string.decode()))
            index += 1
        return 0

    def speak(self, variant, pitch, rate, text):
        """Gives samples (float64, 16-bit scale) and [(first sample, IPA)]; "" stands for a pause."""
        self.samples, self.phonemes = [], []
        self.libc.srand(1)  # its breath noise draws from rand(): each utterance begins anew
        if self.lib.espeak_SetVoiceByName(f"en-us+{variant}".encode()) != 0:
            raise SystemExit(f"make.py: libespeak-ng has no voice en-us+{variant}")
        self.lib.espeak_SetParameter(self.RATE, rate, 0)
        self.lib.espeak_SetParameter(self.PITCH, pitch, 0)
        encoded = text.encode()
        self.lib.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, self.UTF8, None, None)
        return np.array(self.samples, dtype=np.float64), self.phonemes


def resample(samples, from_hz, to_hz, taps=32):
    """Windowed sinc, band-limited a little below the new Nyquist frequency."""
    cutoff = 0.95 * min(1.0, to_hz / from_hz)
    length = math.floor(len(samples) * to_hz / from_hz)
    centre = np.arange(length) * from_hz / to_hz
    first = np.floor(centre).astype(int) - taps + 1
    padded = np.pad(samples, taps + 1)
    output = np.zeros(length)
    for tap in range(2 * taps):
        distance = centre - (first + tap)
        window = 0.5 + 0.5 * np.cos(np.pi * np.clip(distance / taps, -1, 1))
        output += padded[first + tap + taps + 1] * cutoff * np.sinc(cutoff * distance) * window
    return output


def utterance(synthesiser, voice, text):
    """Gives int16 samples and their phones, pauses as SIL, without a gap from 0 to the end."""
    _, variant, pitch, rate = voice
    samples, phonemes = synthesiser.speak(variant, pitch, rate, text)
    begin, end = phonemes[0][0], len(samples)
    while phonemes[-1][1] == "":  # the pause at the end is made anew below
        end = phonemes.pop()[0]
    speech = resample(samples[begin:end], synthesiser.rate_hz, RATE_HZ)
    speech *= PEAK / np.abs(speech).max()
    silence = np.zeros(round(SILENCE_S * RATE_HZ))
    padded = np.concatenate([silence, speech, silence])
    # A noise floor of one bit, so that no frame is digital zero.
    noise = np.random.Generator(np.random.PCG64(7)).integers(-1, 2, len(padded))
    aligned = phones(phonemes, (begin, end), synthesiser.rate_hz, len(padded))
    return (np.round(padded) + noise).astype("<i2"), aligned


def phones(phonemes, span, rate_hz, length):
    """Phones from 0 to the `length` of the padded audio; `span` is the speech in the synthesiser's samples."""
    begin, end = span
    starts = [sample for sample, _ in phonemes] + [end]
    found = [Phone("SIL", 0.0, SILENCE_S)]
    for (start, ipa), stop in zip(phonemes, starts[1:]):
        name = ARPABET[ipa] if ipa else "SIL"
        times = (SILENCE_S + (at - begin) / rate_hz for at in (start, stop))
        if stop > start:
            found.append(Phone(name, *times))
    found.append(Phone("SIL", found[-1].end_s, length / RATE_HZ))
    return found


def write_flac(path, samples):
    with tempfile.TemporaryDirectory() as folder:
        wav = pathlib.Path(folder) / "a.wav"
        with wave.open(str(wav), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(samples.tobytes())
        command = ["flac", "--silent", "--best", "--no-padding", "-f", "-o", path, wav]
        subprocess.run([str(part) for part in command], check=True)


def chosen(index, unseen):
    """Sentences of one voice: spread over the pool; an unseen voice takes half of them from the unseen."""
    stride = 11  # prime to both pool sizes
    if not unseen:
        return sorted((index * 5 + k * stride) % SEEN_SENTENCES for k in range(SENTENCES_A_VOICE))
    half = SENTENCES_A_VOICE // 2
    seen = [(index * 5 + k * stride) % SEEN_SENTENCES for k in range(half)]
    return sorted(seen) + sorted(SEEN_SENTENCES + (index + k) % 8 for k in range(half))


def make_set(name, voices, unseen, synthesiser, sentences, inventory):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tables = collections.defaultdict(list)
    for index, voice in enumerate(voices):
        keys = []
        for number in chosen(index, unseen):
            key = f"{voice[0]}-s{number + 1:02}"
            keys.append(key)
            samples, aligned = utterance(synthesiser, voice, sentences[number])
            write_flac(HERE / "audio" / f"{key}.flac", samples)
            tables["wav.scp"].append(f"{key} data/mini/audio/{key}.flac")
            tables["utt2spk"].append(f"{key} {voice[0]}")
            tables["text"].append(f"{key} {sentences[number]}")
            for phone in aligned:
                inventory.add(phone.name)
                times = f"{phone.start_s:.4f} {phone.end_s - phone.start_s:.4f}"
                tables["phones.ctm"].append(f"{key} 1 {times} {phone.name}")
        tables["spk2utt"].append(" ".join([voice[0], *keys]))
        tables["spk2gender"].append(f"{voice[0]} {voice[0][0]}")
    for table, lines in tables.items():
        (folder / table).write_text("".join(line + "\n" for line in lines))


def main():
    sentences = (HERE / "sentences.txt").read_text().split("\n")[:-1]
    shutil.rmtree(HERE / "audio", ignore_errors=True)
    (HERE / "audio").mkdir()
    synthesiser = Synthesiser()
    inventory = set()
    make_set("train", TRAIN, False, synthesiser, sentences, inventory)
    make_set("test", TEST, True, synthesiser, sentences, inventory)
    order = ["SIL", *sorted(inventory - {"SIL"})]
    (HERE / "phones.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(order)))


if __name__ == "__main__":
    main()
