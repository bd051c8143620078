#!/usr/bin/env python3
"""prepare.py CORPUS DATA: data directories of TIMIT, names in capitals or not.

The 24 speakers of the core test set stay unseen. The usual 50 of the rest of the test set are for choosing settings. The
other test speakers are left out, and so are the two SA sentences, which every speaker reads. The 61 phones are mapped to
39 (local/phones.map, Lee and Hon 1989, through their 48); DATA/all has phones.ctm and phones.txt. Audio files are not
converted: unbraid reads SPHERE.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_dir import Utterance, need_file, need_folder, need_some, read_rows, refuse, write_sets

HERE = Path(__file__).resolve().parent
RATE = 16000


def in_folder(folder):
    """The entries of a folder by their names in capitals."""
    return {path.name.upper(): path for path in sorted(folder.iterdir())}


def read_map():
    """Maps each of the 61 phones to one of the 39; q, a glottal stop, to None."""
    return {row[0]: row[2] if len(row) == 3 else None for row in map(str.split, open(HERE / "phones.map"))}


def read_list(name):
    return set((HERE / name).read_text().split())


def read_phones(path, fold):
    """Folded phones with first and last second, from `FIRST LAST PHONE` lines in samples."""
    what = "'FIRST LAST PHONE' lines"
    phones = []
    for number, (first, last, phone) in read_rows(path, 3, what):
        if not (first.isdigit() and last.isdigit() and int(first) < int(last)) or phone not in fold:
            refuse(f"{path}:{number}", what, f"'{first} {last} {phone}'")
        if fold[phone]:
            phones.append((int(first) / RATE, int(last) / RATE, fold[phone]))
    return phones


def read_sentence(utterance, files, fold):
    """One utterance and its phones."""
    speaker, name = utterance.split("-")
    found = {}
    for kind in ("WAV", "PHN", "TXT"):
        if f"{name}.{kind}" not in files:
            beside = next(path for key, path in files.items() if key.startswith(name + "."))
            refuse(beside.with_suffix(f".{kind}"), f"a file, as {beside.name} is there", "none")
        found[kind] = need_file(files[f"{name}.{kind}"], "a file of the sentence")
    # The first two columns are where it begins and ends.
    words = read_rows(found["TXT"], 3, "'FIRST LAST WORDS'")[0][1][2]
    phones = read_phones(found["PHN"], fold)
    more = {"utt2phones": " ".join(phone for _, _, phone in phones)}
    return Utterance(utterance, speaker, found["WAV"], " ".join(re.findall(r"[a-z']+", words.lower())), more), phones


def read_speakers(corpus, core, choosing):
    """`(set, dialect region, speaker, folder)` of every speaker that is used."""
    parts = in_folder(need_folder(corpus, "the unpacked corpus"))
    for part in ("TRAIN", "TEST"):
        if part not in parts:
            refuse(corpus / part, "a folder", "none")
        regions = [path for name, path in in_folder(parts[part]).items() if re.fullmatch(r"DR[1-8]", name)]
        for region in need_some(regions, parts[part], "folders DR1 to DR8"):
            for speaker, folder in in_folder(region).items():
                if part == "TRAIN" and re.fullmatch(r"[FM][A-Z]{3}\d", speaker):
                    yield "train", region.name[2], speaker, folder
                elif part == "TEST" and speaker in core | choosing:
                    yield "test" if speaker in core else "train_spk_dev", region.name[2], speaker, folder


def main(corpus, data):
    core, choosing, fold = read_list("core_test.txt"), read_list("dev.txt"), read_map()
    utterances, speakers, ctm = [], {}, []
    for chosen, region, speaker, folder in read_speakers(corpus, core, choosing):
        speakers[speaker] = {"set": chosen, "gender": speaker[0].lower(), "region": region}
        files = in_folder(folder)
        names = sorted({name.split(".")[0] for name in files if re.fullmatch(r"S[IX]\d+\.\w+", name)})
        for name in need_some(names, folder, "sentences SI*, SX*"):
            utterance, phones = read_sentence(f"{speaker}-{name}", files, fold)
            utterances.append(utterance)
            ctm += [f"{utterance.id} 1 {first:.4f} {last - first:.4f} {phone}" for first, last, phone in phones]
    write_sets(data, utterances, speakers)
    symbols = sorted({phone for phone in fold.values() if phone})
    (data / "all" / "phones.txt").write_text("".join(f"{phone} {n}\n" for n, phone in enumerate(symbols)))
    (data / "all" / "phones.ctm").write_text("\n".join(ctm) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
