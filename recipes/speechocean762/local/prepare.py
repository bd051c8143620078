#!/usr/bin/env python3
"""prepare.py CORPUS DATA [PART...]: data directories of speechocean762, from those of the corpus, CORPUS/train and CORPUS/test.

Its test speakers stay unseen. An eighth of its training speakers, drawn at random, are held out for choosing settings
(data/all/spk2set lists them). The speakers of further PARTs are all trained on. utt2phones has the canonical phones,
without stress and without times.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_dir import Utterance, draw, need_file, need_folder, read_rows, refuse, write_sets

SEED = 0


def read_phones(path):
    """The phones of each utterance; the corpus has one line per word, `000010011.0 W_B IY0_E`."""
    what = "'UTTERANCE.WORD PHONE...' lines"
    phones = {}
    for number, (word, spelling) in read_rows(path, 2, what):
        utterance = word.rpartition(".")[0]
        found = [re.fullmatch(r"([A-Z]+)[0-2]?_[BIES]", phone) for phone in spelling.split()]
        if not utterance or None in found:
            refuse(f"{path}:{number}", what, f"'{word} {spelling}'")
        phones.setdefault(utterance, []).extend(match[1] for match in found)
    return {utterance: " ".join(found) for utterance, found in phones.items()}


def read_pairs(path, what):
    """A table of two columns."""
    return {key: value for _, (key, value) in read_rows(path, 2, what)}


def main(corpus, data, more_parts):
    need_folder(corpus, "the unpacked corpus")
    phones_file = corpus / "resource" / "text-phone"
    phones = read_phones(phones_file)
    utterances, speakers = [], {}
    for part in ["train", "test", *more_parts]:
        folder = need_folder(corpus / part, "a data directory of the corpus")
        speaker_of = read_pairs(folder / "utt2spk", "'UTTERANCE SPEAKER' lines")
        text = read_pairs(folder / "text", "'UTTERANCE WORDS' lines")
        gender = read_pairs(folder / "spk2gender", "'SPEAKER m|f' lines")
        age = read_pairs(folder / "spk2age", "'SPEAKER YEARS' lines")
        for number, (utterance, wav) in read_rows(folder / "wav.scp", 2, "'UTTERANCE FILE' lines"):
            for table, file in ((speaker_of, folder / "utt2spk"), (text, folder / "text"), (phones, phones_file)):
                if utterance not in table:
                    refuse(file, f"a line of {utterance}, as {folder}/wav.scp:{number} has one", "none")
            wav = need_file(corpus / wav, "an audio file")
            more = {"utt2phones": phones[utterance]}
            utterances.append(Utterance(utterance, speaker_of[utterance], wav, text[utterance], more))
        for speaker in set(speaker_of.values()):
            for table, name in ((gender, "spk2gender"), (age, "spk2age")):
                if speaker not in table:
                    refuse(folder / name, f"a line of {speaker}", "none")
            speakers[speaker] = {"set": part, "gender": gender[speaker].lower(), "age": age[speaker]}
    training = [name for name, speaker in speakers.items() if speaker["set"] == "train"]
    for name in draw(training, max(1, len(training) // 8), SEED):
        speakers[name]["set"] = "train_spk_dev"
    for speaker in speakers.values():
        if speaker["set"] in more_parts:
            speaker["set"] = "train"
    write_sets(data, utterances, speakers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
