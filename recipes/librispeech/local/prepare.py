#!/usr/bin/env python3
"""prepare.py CORPUS DATA: data directories of LibriSpeech, as unpacked (PART/SPEAKER/CHAPTER/*.flac).

Every train-* part that is there is for training. The speakers of dev-clean are for choosing settings, those of test-clean
stay unseen. A speaker is a reader, over all chapters.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_dir import Utterance, need_file, need_folder, need_some, read_rows, read_text, refuse, write_sets

SET_OF = {"dev-clean": "train_spk_dev", "test-clean": "test"}


def read_genders(path):
    """The gender of each speaker, m or f; rows of the corpus's table are `ID | SEX | PART | MINUTES | NAME`."""
    what = "'ID | F|M | PART | MINUTES | NAME' lines"
    genders = {}
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        if line.startswith(";") or not line.strip():
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 5 or fields[1] not in ("F", "M"):
            refuse(f"{path}:{number}", what, f"'{line}'")
        genders[fields[0]] = fields[1].lower()
    return need_some(genders, path, what)


def read_chapter(folder):
    """The utterances of a chapter, with their words."""
    speaker, chapter = folder.parent.name, folder.name
    transcript = folder / f"{speaker}-{chapter}.trans.txt"
    text = {key: words for _, (key, words) in read_rows(transcript, 2, "'UTTERANCE WORDS' lines")}
    audio = {file.stem for file in folder.glob("*.flac")}
    for utterance in sorted(audio ^ set(text)):
        if utterance in audio:
            refuse(transcript, f"a line of {utterance}, which has audio", "none")
        refuse(folder / f"{utterance}.flac", "an audio file, as the transcript has a line", "none")
    return [
        Utterance(key, speaker, need_file(folder / f"{key}.flac", "an audio file"), words) for key, words in text.items()
    ]


def main(corpus, data):
    need_folder(corpus, "the unpacked corpus")
    genders = read_genders(corpus / "SPEAKERS.TXT")
    parts = sorted(folder.name for folder in corpus.iterdir() if re.fullmatch(r"train-\w+-\d+", folder.name))
    need_some(parts, corpus, "a part such as train-clean-100")
    utterances, speakers = [], {}
    for part in [*parts, *SET_OF]:
        folder = need_folder(corpus / part, "a part of the corpus")
        for chapter in need_some(sorted(folder.glob("*/*/")), folder, "folders SPEAKER/CHAPTER"):
            speaker = chapter.parent.name
            if speaker not in genders:
                refuse(corpus / "SPEAKERS.TXT", f"a line of speaker {speaker}, of {part}", "none")
            speakers[speaker] = {"set": SET_OF.get(part, "train"), "gender": genders[speaker]}
            utterances += read_chapter(chapter)
    write_sets(data, utterances, speakers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
