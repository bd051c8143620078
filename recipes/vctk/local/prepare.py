#!/usr/bin/env python3
"""prepare.py CORPUS DATA: data directories of VCTK 0.92, from its first microphone.

Ten speakers, drawn at random, stay unseen, and ten more are for choosing settings (of a smaller corpus a tenth each;
data/all/spk2set lists them). p315 has no text and is left out. Recordings without text and texts without a recording
(p362) are left out too, and their numbers are printed.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_dir import Utterance, draw, need_file, need_folder, need_some, read_rows, read_text, refuse, write_sets

SEED = 0
MOST_HELD_OUT = 10
WITHOUT_TEXT = "p315"


def read_speakers(path):
    """Gender and age of each speaker, from `ID AGE GENDER ACCENTS REGION COMMENTS` rows below a header."""
    what = "'ID AGE GENDER ...' lines"
    speakers = {}
    for number, (name, age, gender, _) in ((n, f) for n, f in read_rows(path, 4, what) if f[0] != "ID"):
        if not age.isdigit() or gender not in ("F", "M"):
            refuse(f"{path}:{number}", what, f"'{name} {age} {gender}'")
        # Early releases name speakers without their letter.
        speakers[name if name[0].isalpha() else f"p{name}"] = {"gender": gender.lower(), "age": age}
    return speakers


def read_speaker(corpus, speaker):
    """The speaker's utterances that have both audio and text, and how many have only one."""
    folder = corpus / "wav48_silence_trimmed" / speaker
    audio = {file.name.removesuffix("_mic1.flac"): file for file in folder.glob(f"{speaker}_*_mic1.flac")}
    texts = need_folder(corpus / "txt" / speaker, f"transcripts of {speaker}, which has audio")
    text = {file.stem: file for file in texts.glob(f"{speaker}_*.txt")}
    both = sorted(audio.keys() & text.keys())
    need_some(both, texts, f"transcripts of the recordings in {folder}")
    utterances = []
    for key in both:
        words = " ".join(need_some(read_text(text[key], "a transcript").split(), text[key], "words"))
        utterances.append(Utterance(key, speaker, need_file(audio[key], "an audio file"), words))
    return utterances, len(audio.keys() ^ text.keys())


def main(corpus, data):
    need_folder(corpus, "the unpacked corpus")
    known = read_speakers(corpus / "speaker-info.txt")
    folder = need_folder(corpus / "wav48_silence_trimmed", "the recordings of VCTK 0.92")
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and re.fullmatch(r"[ps]\d+", f.name))
    utterances, speakers, left_out = [], {}, []
    for name in need_some(names, folder, "folders of speakers"):
        if name == WITHOUT_TEXT:
            left_out.append(f"{name}, whose text the corpus lacks")
            continue
        if name not in known:
            refuse(corpus / "speaker-info.txt", f"a line of {name}", "none")
        own, alone = read_speaker(corpus, name)
        if alone:
            left_out.append(f"{alone} of {name} with text or a recording only")
        utterances += own
        speakers[name] = {"set": "train", **known[name]}
    count = max(1, min(MOST_HELD_OUT, len(speakers) // 10))
    for index, name in enumerate(draw_in_order(speakers, 2 * count)):
        speakers[name]["set"] = "test" if index < count else "train_spk_dev"
    write_sets(data, utterances, speakers)
    for what in left_out:
        print(f"left out: {what}", file=sys.stderr)


def draw_in_order(speakers, count):
    """Draws as many women as men, where there are enough; both halves of the result have the same proportion."""
    half = (count + 1) // 2
    women, men = (
        draw([name for name, speaker in speakers.items() if speaker["gender"] == gender], half, SEED)
        for gender in ("f", "m")
    )
    pairs = [name for pair in zip(women, men) for name in pair]
    rest = [name for name in draw(speakers, len(speakers), SEED) if name not in pairs]
    return (pairs + rest)[:count]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
