//! Preparations of the recipes, on small trees of each corpus's own layout, whole and broken.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{names, put, references, root, succeed};

/// A WAV file of a tenth of a second of a tone.
pub fn tone(hz: f64) -> Vec<u8> {
    let samples: Vec<u8> = (0..1600)
        .map(|n| (8000.0 * (std::f64::consts::TAU * hz * f64::from(n) / 16000.0).sin()) as i16)
        .flat_map(i16::to_le_bytes)
        .collect();
    let length = samples.len() as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    wav
}

/// The same samples with a SPHERE header, the high byte first.
fn sphere(wav: &[u8]) -> Vec<u8> {
    let samples = &wav[44..];
    let mut header = format!(
        "NIST_1A\n   1024\nsample_rate -i 16000\nchannel_count -i 1\nsample_n_bytes -i 2\n\
         sample_byte_format -s2 10\nsample_coding -s3 pcm\nsample_count -i {}\nend_head\n",
        samples.len() / 2
    )
    .into_bytes();
    header.resize(1024, b' ');
    header.extend(samples.chunks(2).flat_map(|pair| [pair[1], pair[0]]));
    header
}

/// Real audio of the bundled speech, which is FLAC.
pub fn flac() -> Vec<u8> {
    let audio = root().join("data/mini/audio");
    let first = names(&audio)
        .into_iter()
        .find(|name| name.ends_with(".flac"));
    fs::read(audio.join(first.unwrap())).unwrap()
}

/// Runs a recipe's preparation.
fn prepare(recipe: &str, corpus: &Path, data: &Path) -> Output {
    Command::new("python3")
        .arg(root().join("recipes").join(recipe).join("local/prepare.py"))
        .args([corpus, data])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap()
}

const SETS: [&str; 8] = [
    "all",
    "dev",
    "test",
    "test_learn",
    "test_probe",
    "train",
    "train_probe",
    "train_spk_dev",
];

/// Prepares a corpus; every set has to be valid. The folder that holds `data`.
pub fn prepared(recipe: &str, corpus: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = prepare(recipe, corpus, &data);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    for set in SETS {
        let set = data.join(set).display().to_string();
        succeed(dir.path(), &["data", "validate", "--no-feats", &set]);
    }
    for (a, b) in [
        ("train", "test"),
        ("train", "train_spk_dev"),
        ("test", "train_spk_dev"),
    ] {
        let speakers = |set: &str| column(&data.join(set).join("spk2utt"), 0);
        let (a, b) = (speakers(a), speakers(b));
        assert!(a.iter().all(|speaker| !b.contains(speaker)), "{a:?} {b:?}");
    }
    let test = column(&data.join("test/utt2spk"), 0);
    let pairs = test.len() * (test.len() - 1) / 2;
    assert_eq!(column(&data.join("test/trials"), 0).len(), pairs);
    dir
}

pub fn column(table: &Path, index: usize) -> Vec<String> {
    let text = fs::read_to_string(table).unwrap();
    let word = |line: &str| line.split(' ').nth(index).unwrap().to_string();
    text.lines().map(word).collect()
}

/// What is done to a corpus, the place that has to be named, and part of the message.
type Case<'a> = (&'a dyn Fn(&Path), &'a str, &'a str);

/// Breaks a copy of a corpus in each way; the preparation has to name the place, in one line, and to write nothing.
fn refuses(recipe: &str, build: fn(&Path), cases: &[Case]) {
    for (spoil, place, message) in cases {
        let dir = tempfile::tempdir().unwrap();
        let corpus = dir.path().join("corpus");
        build(&corpus);
        spoil(&corpus);
        let data = dir.path().join("data");
        let output = prepare(recipe, &corpus, &data);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        let start = corpus.join(place).display().to_string();
        assert!(
            error.starts_with(&start) && error.contains(message),
            "{error}"
        );
        assert!(!data.exists(), "{recipe} left something: {error}");
    }
}

fn remove(path: &'static str) -> impl Fn(&Path) {
    move |corpus| fs::remove_file(corpus.join(path)).unwrap()
}

fn empty(path: &'static str) -> impl Fn(&Path) {
    move |corpus| fs::write(corpus.join(path), "").unwrap()
}

fn replace(path: &'static str, old: &'static str, new: &'static str) -> impl Fn(&Path) {
    move |corpus| {
        let text = fs::read_to_string(corpus.join(path)).unwrap();
        assert!(text.contains(old), "{path}: {old}");
        fs::write(corpus.join(path), text.replacen(old, new, 1)).unwrap();
    }
}

pub fn librispeech(corpus: &Path) {
    let mut speakers = ";ID  |SEX| SUBSET           |MINUTES| NAME\n".to_string();
    for (part, first) in [
        ("train-clean-100", 10),
        ("dev-clean", 200),
        ("test-clean", 3000),
    ] {
        for speaker in first..first + 2 {
            speakers += &format!("{speaker} | F | {part} | 25.03 | A | Reader\n");
            let chapter = corpus.join(format!("{part}/{speaker}/77"));
            let mut transcript = String::new();
            for number in 0..8 {
                let id = format!("{speaker}-77-{number:04}");
                put(&chapter.join(format!("{id}.flac")), flac());
                transcript += &format!("{id} IT'S SAID {number}\n");
            }
            put(&chapter.join(format!("{speaker}-77.trans.txt")), transcript);
        }
    }
    put(&corpus.join("SPEAKERS.TXT"), speakers);
}

#[test]
fn librispeech_becomes_data_directories() {
    let dir = tempfile::tempdir().unwrap();
    librispeech(dir.path());
    let made = prepared("librispeech", dir.path());
    let data = made.path().join("data");
    assert_eq!(column(&data.join("train/utt2spk"), 0).len(), 2 * 6);
    assert_eq!(
        column(&data.join("train_spk_dev/spk2gender"), 1),
        ["f", "f"]
    );
    assert_eq!(column(&data.join("test_probe/text"), 1), ["IT'S"; 4]);
}

#[test]
fn a_broken_librispeech_is_refused() {
    refuses(
        "librispeech",
        librispeech,
        &[
            (&remove("SPEAKERS.TXT"), "SPEAKERS.TXT: ", "found none"),
            (
                &replace("SPEAKERS.TXT", "10 | F", "10 | X"),
                "SPEAKERS.TXT:2: ",
                "'10 | X",
            ),
            (
                &replace("SPEAKERS.TXT", "11 |", "12 |"),
                "SPEAKERS.TXT: ",
                "a line of speaker 11",
            ),
            (
                &remove("dev-clean/200/77/200-77.trans.txt"),
                "dev-clean/200/77/200-77.trans.txt: ",
                "found none",
            ),
            (
                &replace(
                    "test-clean/3000/77/3000-77.trans.txt",
                    "3000-77-0003 IT'S SAID 3\n",
                    "",
                ),
                "test-clean/3000/77/3000-77.trans.txt: ",
                "a line of 3000-77-0003",
            ),
            (
                &remove("train-clean-100/10/77/10-77-0001.flac"),
                "train-clean-100/10/77/10-77-0001.flac: ",
                "found none",
            ),
            (
                &empty("train-clean-100/10/77/10-77-0001.flac"),
                "train-clean-100/10/77/10-77-0001.flac: ",
                "found an empty file",
            ),
            (
                &|corpus: &Path| fs::remove_dir_all(corpus.join("test-clean")).unwrap(),
                "test-clean: ",
                "found none",
            ),
        ],
    );
}

pub fn vctk(corpus: &Path) {
    let mut info = "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \n".to_string();
    for speaker in ["p225", "p226", "p227", "p280", "p315", "s5"] {
        let gender = if speaker < "p227" { "F" } else { "M" };
        info += &format!("{speaker}  23  {gender}    English    Southern  England\n");
        for number in 1..=8 {
            let id = format!("{speaker}_{number:03}");
            let audio = corpus.join("wav48_silence_trimmed").join(speaker);
            put(&audio.join(format!("{id}_mic1.flac")), flac());
            if speaker != "p280" && speaker != "p315" {
                put(&audio.join(format!("{id}_mic2.flac")), flac());
            }
            if speaker != "p315" {
                put(
                    &corpus.join(format!("txt/{speaker}/{id}.txt")),
                    "Please call\tStella. \n",
                );
            }
        }
    }
    put(
        &corpus.join("txt/p226/p226_370.txt"),
        "Said, but not recorded.\n",
    );
    put(&corpus.join("speaker-info.txt"), info);
}

#[test]
fn vctk_becomes_data_directories() {
    let dir = tempfile::tempdir().unwrap();
    vctk(dir.path());
    let made = prepared("vctk", dir.path());
    let data = made.path().join("data");
    let speakers = column(&data.join("all/spk2utt"), 0);
    assert_eq!(speakers, ["p225", "p226", "p227", "p280", "s5"]);
    assert_eq!(column(&data.join("all/text"), 2)[0], "call");
    assert_eq!(column(&data.join("all/utt2spk"), 0).len(), 5 * 8);
    assert!(
        fs::read_to_string(data.join("all/wav.scp"))
            .unwrap()
            .contains("p280_001_mic1.flac")
    );
    // The same speakers again.
    let again = prepared("vctk", dir.path());
    let split = |folder: &Path| fs::read(folder.join("data/all/spk2set")).unwrap();
    assert_eq!(split(made.path()), split(again.path()));
}

#[test]
fn a_broken_vctk_is_refused() {
    refuses(
        "vctk",
        vctk,
        &[
            (
                &remove("speaker-info.txt"),
                "speaker-info.txt: ",
                "found none",
            ),
            (
                &replace("speaker-info.txt", "p226", "p999"),
                "speaker-info.txt: ",
                "a line of p226",
            ),
            (
                &replace("speaker-info.txt", "p226  23", "p226  F"),
                "speaker-info.txt:3: ",
                "p226 F",
            ),
            (
                &|corpus: &Path| fs::remove_dir_all(corpus.join("txt/p227")).unwrap(),
                "txt/p227: ",
                "transcripts of p227",
            ),
            (
                &empty("txt/p227/p227_004.txt"),
                "txt/p227/p227_004.txt: ",
                "found an empty file",
            ),
            (
                &empty("wav48_silence_trimmed/s5/s5_002_mic1.flac"),
                "wav48_silence_trimmed/s5/s5_002_mic1.flac: ",
                "found an empty file",
            ),
            (
                &|corpus: &Path| fs::write(corpus.join("txt/s5/s5_001.txt"), [0xff, 0x20]).unwrap(),
                "txt/s5/s5_001.txt: ",
                "UTF-8",
            ),
        ],
    );
}

/// Names in capitals, as on the disc; half of the audio with SPHERE headers.
fn timit(corpus: &Path) {
    for (region, speakers) in [
        ("TRAIN/DR1", &["FCJF0", "MDAC0"][..]),
        (
            "TEST/DR1",
            &["MDAB0", "FELC0", "FAKS0", "FDAC1", "MSJS1"][..],
        ),
    ] {
        for speaker in speakers {
            let folder = corpus.join(region).join(speaker);
            for sentence in ["SA1", "SI648", "SI1027", "SX37", "SX127", "SX217"] {
                let wav = tone(440.0);
                let wav = if speaker.starts_with('F') {
                    sphere(&wav)
                } else {
                    wav
                };
                put(&folder.join(format!("{sentence}.WAV")), wav);
                put(
                    &folder.join(format!("{sentence}.TXT")),
                    "0 1600 She had, it's said.\n",
                );
                put(
                    &folder.join(format!("{sentence}.PHN")),
                    "0 400 h#\n400 800 sh\n800 1000 q\n1000 1600 ix\n",
                );
            }
        }
    }
}

#[test]
fn timit_becomes_data_directories() {
    let dir = tempfile::tempdir().unwrap();
    timit(dir.path());
    let made = prepared("timit", dir.path());
    let data = made.path().join("data");
    assert_eq!(column(&data.join("test/spk2utt"), 0), ["FELC0", "MDAB0"]);
    assert_eq!(
        column(&data.join("train_spk_dev/spk2utt"), 0),
        ["FAKS0", "FDAC1"]
    );
    assert!(
        !fs::read_to_string(data.join("all/text"))
            .unwrap()
            .contains("SA1")
    );
    let line = |file: &str| {
        fs::read_to_string(data.join(file))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_string()
    };
    assert_eq!(line("test/utt2phones"), "FELC0-SI1027 sil sh ih");
    assert_eq!(line("test/text"), "FELC0-SI1027 she had it's said");
    let ctm = fs::read_to_string(data.join("all/phones.ctm")).unwrap();
    assert!(ctm.contains("FELC0-SI1027 1 0.0625 0.0375 ih\n"), "{ctm}");
    assert_eq!(column(&data.join("all/phones.txt"), 0).len(), 39);
    // SPHERE files are read as WAV files are.
    let text = |utterance: &str| {
        fs::write(made.path().join("one"), format!("{utterance}\n")).unwrap();
        let subset = ["data", "subset", "--utt-list", "one", "data/test", "part"];
        let _ = fs::remove_dir_all(made.path().join("part"));
        succeed(made.path(), &subset);
        let args = [
            "fbank",
            "--set",
            "dither=0.0",
            "scp:part/wav.scp",
            "ark,t:-",
        ];
        let text = String::from_utf8(succeed(made.path(), &args)).unwrap();
        text.replace(utterance, "")
    };
    assert_eq!(text("FELC0-SI1027"), text("MDAB0-SI1027"));
}

#[test]
fn timit_in_small_letters_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (large, small) = (dir.path().join("large"), dir.path().join("small"));
    timit(&large);
    lower(&large, &small);
    let tables = |corpus: &Path| {
        let made = prepared("timit", corpus);
        let read = |file: &str| fs::read(made.path().join("data/all").join(file)).unwrap();
        ["utt2spk", "text", "utt2phones", "spk2set", "phones.ctm"].map(read)
    };
    assert_eq!(tables(&large), tables(&small));
}

fn lower(from: &Path, to: &Path) {
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(name.to_lowercase()));
        if from.is_dir() {
            lower(&from, &to);
        } else {
            put(&to, fs::read(&from).unwrap());
        }
    }
}

#[test]
fn a_broken_timit_is_refused() {
    const PHN: &str = "TRAIN/DR1/MDAC0/SX37.PHN";
    refuses(
        "timit",
        timit,
        &[
            (&remove(PHN), "TRAIN/DR1/MDAC0/SX37.PHN: ", "found none"),
            (
                &remove("TEST/DR1/FELC0/SI648.TXT"),
                "TEST/DR1/FELC0/SI648.TXT: ",
                "found none",
            ),
            (
                &empty("TEST/DR1/MDAB0/SI648.WAV"),
                "TEST/DR1/MDAB0/SI648.WAV: ",
                "an empty file",
            ),
            (
                &replace(PHN, "800 1000 q", "800 1000 qq"),
                "TRAIN/DR1/MDAC0/SX37.PHN:3: ",
                "'800 1000 qq'",
            ),
            (
                &replace(PHN, "400 800", "800 400"),
                "TRAIN/DR1/MDAC0/SX37.PHN:2: ",
                "'800 400 sh'",
            ),
            (
                &|corpus: &Path| fs::remove_dir_all(corpus.join("TEST")).unwrap(),
                "TEST: ",
                "expected a folder, found none",
            ),
        ],
    );
}

fn speechocean(corpus: &Path) {
    let mut phones = String::new();
    for (part, first) in [("train", 1), ("test", 50)] {
        let mut tables = [(); 5].map(|()| String::new());
        for speaker in first..first + 4 {
            for number in 0..8 {
                let id = format!("0{speaker:04}{number:04}");
                let audio = format!("WAVE/SPEAKER{speaker:04}/{id}.WAV");
                put(&corpus.join(&audio), tone(300.0));
                tables[0] += &format!("{id}\t{audio}\n");
                tables[1] += &format!("{id}\t{speaker:04}\n");
                tables[2] += &format!("{id}\tCALL IT\n");
                phones += &format!("{id}.0\tK_B AO1_I L_E\n{id}.1\tIH0_B T_E\n");
            }
            tables[3] += &format!("{speaker:04}\tm\n");
            tables[4] += &format!("{speaker:04}\t6\n");
        }
        for (name, table) in ["wav.scp", "utt2spk", "text", "spk2gender", "spk2age"]
            .iter()
            .zip(tables)
        {
            put(&corpus.join(part).join(name), table);
        }
    }
    put(&corpus.join("resource/text-phone"), phones);
}

#[test]
fn speechocean762_becomes_data_directories() {
    let dir = tempfile::tempdir().unwrap();
    speechocean(dir.path());
    let made = prepared("speechocean762", dir.path());
    let data = made.path().join("data");
    assert_eq!(column(&data.join("train/spk2utt"), 0).len(), 3);
    let phones = fs::read_to_string(data.join("test/utt2phones")).unwrap();
    assert!(phones.starts_with("000500000 K AO L IH T\n"), "{phones}");
    assert_eq!(column(&data.join("test/spk2age"), 1), ["6"; 4]);
}

#[test]
#[ignore = "needs UNBRAID_CORPORA"]
fn with_corpora_speechocean762_as_published_has_the_speakers_it_says() {
    let corpora = references::corpora();
    let made = prepared("speechocean762", &corpora.join("speechocean762"));
    let speakers = |set: &str| column(&made.path().join("data").join(set).join("spk2utt"), 0).len();
    assert_eq!(
        (
            speakers("train"),
            speakers("train_spk_dev"),
            speakers("test")
        ),
        (110, 15, 20)
    );
}

#[test]
fn a_broken_speechocean762_is_refused() {
    refuses(
        "speechocean762",
        speechocean,
        &[
            (
                &remove("resource/text-phone"),
                "resource/text-phone: ",
                "found none",
            ),
            (
                &replace("resource/text-phone", "K_B", "K"),
                "resource/text-phone:1: ",
                "found '000010000.0 K AO1_I",
            ),
            (
                &replace("train/text", "000010003\tCALL IT\n", ""),
                "train/text: ",
                "a line of 000010003",
            ),
            (
                &replace("test/spk2age", "0051\t6\n", ""),
                "test/spk2age: ",
                "a line of 0051",
            ),
            (
                &empty("WAVE/SPEAKER0001/000010003.WAV"),
                "WAVE/SPEAKER0001/000010003.WAV: ",
                "found an empty file",
            ),
            (
                &remove("WAVE/SPEAKER0050/000500000.WAV"),
                "WAVE/SPEAKER0050/000500000.WAV: ",
                "found none",
            ),
        ],
    );
}
