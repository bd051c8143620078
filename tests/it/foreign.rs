//! Tables in the forms of Python's tools, as their own readers see them.

use std::fs;
use std::path::Path;

use crate::support::corpus::Corpus;
use crate::support::{fail, references, run_reference, succeed};
use ndarray::{Array1, Array2};
use unbraid::io::kaldi::{KaldiObject, ScpTable, TableReader, TableWriter};

const FORMS: [&str; 3] = ["npy:z", "safetensors:z.safetensors", "parquet:z.parquet"];

fn copy(folder: &Path, flags: &[&str], from: &str) {
    for to in FORMS.iter().chain(&["ark:z.ark"]) {
        succeed(folder, &[&["copy-feats"], flags, &[from, to]].concat());
    }
}

fn vectors(folder: &Path) {
    let path = folder.join("v.ark");
    let mut writer = TableWriter::create(&format!("ark:{}", path.display())).unwrap();
    for item in 0..7 {
        let vector = Array1::from_shape_fn(5, |i| (item * 10 + i) as f32 / 3.0);
        writer.write(&format!("v{item}"), &vector).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_python_reads_what_archives_hold() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    // More than a group of Parquet's rows.
    let corpus = Corpus {
        utterances: 40,
        frames: 400,
        ..Corpus::default()
    };
    corpus.write(dir.path());
    copy(dir.path(), &[], "scp:feats.scp");
    run_reference(&python, dir.path(), "foreign.py", &["z"]);
    vectors(dir.path());
    copy(dir.path(), &["--vector"], "ark:v.ark");
    run_reference(&python, dir.path(), "foreign.py", &["z"]);
}

#[test]
fn entries_that_a_format_cannot_represent_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for (name, bins, seed) in [("a", 3, 0), ("b", 4, 0)] {
        let corpus = Corpus {
            speakers: 1,
            utterances: 1,
            bins,
            seed,
            ..Corpus::default()
        };
        corpus.write(&folder.join(name));
        succeed(
            folder,
            &[
                "copy-feats",
                &format!("scp:{name}/feats.scp"),
                &format!("ark,t:{name}.txt"),
            ],
        );
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(
        folder.join("mixed.txt"),
        read("a.txt") + &read("b.txt").replace("s00", "s01"),
    )
    .unwrap();
    fs::write(folder.join("twice.txt"), read("a.txt").repeat(2)).unwrap();
    fs::write(folder.join("none.txt"), "").unwrap();
    fs::write(folder.join("whole.txt"), "a 1 2 3\n").unwrap();
    for (args, expected) in [
        (
            &["ark:mixed.txt", "npy:z"][..],
            "z.npy: s01-u000: expected 3 columns, as the first entry has, found 4",
        ),
        (
            &["ark:twice.txt", "parquet:z.parquet"],
            "s00-u000: expected each key once",
        ),
        (
            &["ark:none.txt", "safetensors:z.safetensors"],
            "z.safetensors: expected entries to write, found none",
        ),
        (
            &["--int-vector", "ark:whole.txt", "npy:z"],
            "found integer vector",
        ),
        (
            &["--compress", "cm", "ark:a.txt", "npy:z"],
            "expected binary matrices to compress",
        ),
        (
            &["ark:a.txt", "npy:-"],
            "'npy:-': expected the name of a file",
        ),
        (&["ark:a.txt", "npy:none/z"], "none/z.npy: "),
    ] {
        let error = fail(folder, &[&["copy-feats"], args].concat(), b"");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let left =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let left: Vec<String> = fs::read_dir(folder).unwrap().map(left).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.starts_with('z') || name.starts_with('.')),
        "{left:?}"
    );
}

fn units(folder: &Path) {
    let path = folder.join("u.ark");
    let mut writer = TableWriter::create(&format!("ark:{}", path.display())).unwrap();
    for item in 0..5 {
        let units: Vec<i32> = (0..20 + item)
            .map(|frame| frame * (item + 3) % 97)
            .collect();
        writer.write(&format!("u{item}"), &units).unwrap();
    }
    writer.finish().unwrap();
}

/// Compares an archive with another table, in order and by key, the last first.
fn compare<T: KaldiObject + PartialEq + std::fmt::Debug>(archive: &str, place: &str) {
    let mut expected: Vec<(String, T)> = TableReader::open(archive)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let found: Vec<(String, T)> = TableReader::open(place)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(found, expected, "{place}");
    let table = ScpTable::<T>::open(place).unwrap();
    while let Some((key, value)) = expected.pop() {
        table.check(&key).unwrap();
        assert_eq!(table.get(&key).unwrap(), value, "{place}: {key}");
    }
    assert!(!table.contains("other") && table.get("other").is_err());
}

const MADE_ELSEWHERE: Corpus = Corpus {
    speakers: 6,
    utterances: 4,
    frames: 30,
    bins: 20,
    seed: 0,
};

/// A folder with archives of matrices, vectors and integer vectors and the same of other programs.
fn made_elsewhere() -> tempfile::TempDir {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    MADE_ELSEWHERE.write(dir.path());
    succeed(dir.path(), &["copy-feats", "scp:feats.scp", "ark:z.ark"]);
    vectors(dir.path());
    units(dir.path());
    run_reference(&python, dir.path(), "foreign_features.py", &[]);
    dir
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_what_other_programs_wrote_is_read_to_the_last_bit() {
    let dir = made_elsewhere();
    let folder = dir.path();
    let forms = fs::read_to_string(folder.join("forms.txt")).unwrap();
    assert_eq!(forms.lines().count(), 30, "{forms}");
    succeed(folder, &["copy-feats", "npy:keys.txt", "ark:copy.ark"]);
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    assert!(read("copy.ark") == read("z.ark"));
    // Lists name their files from the working folder.
    let absolute = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let at = |line: &str| {
            let (start, file) = line
                .rsplit_once(' ')
                .map_or(("", line), |(key, file)| (key, file));
            format!("{start} {}\n", folder.join(file).display())
        };
        let lines: String = text.lines().map(at).collect();
        fs::write(folder.join(name), lines.replace("\n ", "\n").trim_start()).unwrap();
    };
    ["keys.txt", "files.txt", "npy.scp"]
        .iter()
        .for_each(|name| absolute(name));
    for line in forms.lines() {
        let [kind, form, specifier] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let (option, name) = specifier.split_once(':').unwrap();
        let place = format!("{option}:{}", folder.join(name).display());
        let archive = format!("ark:{}", folder.join(format!("{form}.ark")).display());
        match kind {
            "matrix" => compare::<Array2<f32>>(&archive, &place),
            "vector" => compare::<Array1<f32>>(&archive, &place),
            _ => compare::<Vec<i32>>(&archive, &place),
        }
    }
}

#[test]
fn what_is_written_for_python_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    Corpus::default().write(folder);
    vectors(folder);
    for (flags, from) in [(&[][..], "scp:feats.scp"), (&["--vector"], "ark:v.ark")] {
        copy(folder, flags, from);
        for form in FORMS {
            succeed(
                folder,
                &[&["copy-feats"], flags, &[form, "ark:back.ark"]].concat(),
            );
            let read = |name: &str| fs::read(folder.join(name)).unwrap();
            assert!(read("back.ark") == read("z.ark"), "{form}");
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_commands_find_the_same_in_a_tree() {
    let dir = made_elsewhere();
    let folder = dir.path();
    let commands: [&[&str]; 7] = [
        &[
            "eval",
            "probe",
            ".",
            "--target",
            "speaker",
            "--family",
            "linear",
            "--seeds",
            "1",
            "--min-steps",
            "5",
            "--epochs",
            "1",
            "--folds",
            "2",
            "--representation",
            "x=FROM",
        ],
        &["eval", "abx", ".", "--representation", "x=FROM"],
        &[
            "eval",
            "factors",
            ".",
            "--factor",
            "speaker",
            "--representation",
            "x=FROM",
        ],
        &[
            "units",
            "train",
            "FROM",
            "--clusters",
            "4",
            "--out",
            "units.ark",
        ],
        &["feats", "cmvn-stats", "FROM", "ark,t:-"],
        &[
            "plot", "map", "FROM", "--method", "pca", "--labels", "utt2spk", "--out", "map.svg",
        ],
        &[
            "data",
            "alignment",
            "--outside",
            "a",
            "--phones",
            "phones.txt",
            "phones.ctm",
            "FROM",
            "ark,t:-",
        ],
    ];
    fs::write(folder.join("phones.txt"), "a 0\n").unwrap();
    let line = |(speaker, utterance)| format!("s{speaker:02}-u{utterance:03} 1 0 0.25 a\n");
    let ctm: String = MADE_ELSEWHERE.places().map(line).collect();
    fs::write(folder.join("phones.ctm"), ctm).unwrap();
    for command in commands {
        let stream = command[0] == "units" || command[1] == "cmvn-stats";
        let with = |place: &str| {
            let place = match place {
                "feats.scp" if stream => "scp:feats.scp",
                place => place,
            };
            let args: Vec<String> = command
                .iter()
                .map(|arg| arg.replace("FROM", place))
                .collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            String::from_utf8(succeed(folder, &args)).unwrap()
        };
        let expected = with("feats.scp");
        for place in [
            "npy:tree",
            "safetensors:m.safetensors",
            "parquet:zstd.parquet",
        ] {
            assert_eq!(with(place), expected, "{command:?} {place}");
        }
    }
}

#[test]
fn what_cannot_be_read_of_other_programs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let npy = |descr: &str, shape: &str, values: &[u8]| {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        header += &" ".repeat(63 - (10 + header.len()) % 64);
        header.push('\n');
        let length = (header.len() as u16).to_le_bytes();
        [
            &b"\x93NUMPY\x01\x00"[..],
            &length,
            header.as_bytes(),
            values,
        ]
        .concat()
    };
    let whole = npy("<f4", "(2, 2)", &[0; 16]);
    for (name, bytes) in [
        ("cut/a.npy", &whole[..whole.len() - 1]),
        ("more/a.npy", &[&whole[..], b"x"].concat()),
        ("empty/a.npy", b""),
        ("text/a.npy", b"1 2 3\n"),
        ("object/a.npy", &npy("|O", "(2,)", b"x")),
        ("layers/a.npy", &npy("<f4", "(2, 3, 1)", &[0; 24])),
        ("complex/a.npy", &npy("<c8", "(1,)", &[0; 8])),
        (
            "large/a.npy",
            &npy("<i4", "(2, 1)", &[0, 0, 0, 127, 0, 0, 0, 0]),
        ),
        ("vector/a.npy", &npy("<f4", "(4,)", &[0; 16])),
        ("twice/x/a.npy", &whole),
        ("twice/y/a.npy", &whole),
        ("space/a b.npy", &whole),
        ("torch/a.pt", b"x"),
        ("nothing/readme.txt", b"x"),
        ("m.pt", b"x"),
        ("m.h5", b"x"),
        ("m.npz", b"PK\x03\x04xxxx"),
        ("m.safetensors", b"x"),
        ("m.parquet", b"PAR1xxxxPAR1"),
        ("list.txt", b"a m.wav\n"),
        ("pickles.txt", b"a m.pt\n"),
    ] {
        crate::support::put(&folder.join(name), bytes);
    }
    for (specifier, expected) in [
        (
            "npy:cut",
            "cut/a.npy: a: expected 16 bytes of numbers, found the end of the file after 15",
        ),
        (
            "npy:more",
            "more/a.npy: a: expected one array, found more after it",
        ),
        (
            "npy:empty",
            "empty/a.npy: a: expected 6 bytes of a .npy file",
        ),
        (
            "npy:text",
            "expected a .npy file, which begins with \\x93NUMPY",
        ),
        (
            "npy:object",
            "convert it with: python3 -c 'import numpy; numpy.save(\"object/a.npy\", numpy.stack(",
        ),
        ("npy:layers", "[1, frames, dims] or [dims], found [2, 3, 1]"),
        (
            "npy:complex",
            "expected floats of 16, 32 or 64 bits or integers of 8 to 64, found '<c8'",
        ),
        ("npy:large", "expected integers of at most 2^24"),
        ("npy:vector", "a: expected a matrix, found a vector"),
        (
            "npy:twice",
            "twice: a: expected one file of this name, found twice/x/a.npy and twice/y/a.npy",
        ),
        (
            "npy:space",
            "expected keys without white space, found 'a b'",
        ),
        ("npy:torch", "torch.load("),
        (
            "npy:nothing",
            "nothing: expected .npy or .npz files, found none",
        ),
        ("npy:none", "none: "),
        (
            "npy:m.pt",
            "numpy.savez(\"m.npz\", **{k: v.numpy() for k, v in torch.load(\"m.pt\"",
        ),
        ("npy:m.h5", "h5py.File("),
        ("npy:m.npz", "m.npz: expected an archive of numpy.savez"),
        ("npy:list.txt", "list.txt:1: expected 'key file' or 'file'"),
        (
            "npy:pickles.txt",
            "m.pt: expected npy, npz, safetensors or parquet; convert it",
        ),
        ("npy:-", "'npy:-': expected the name of a file or a folder"),
        ("safetensors:m.safetensors", "m.safetensors: "),
        ("parquet:m.parquet", "m.parquet: expected a Parquet table"),
        (
            "hdf5:m.h5",
            "expected ark, scp, npy, safetensors or parquet",
        ),
    ] {
        let (form, name) = specifier.split_once(':').unwrap();
        let place = match name {
            "-" => specifier.to_string(),
            name => format!("{form}:{}", folder.join(name).display()),
        };
        let read = || TableReader::<Array2<f32>>::open(&place)?.collect::<Result<Vec<_>, _>>();
        let error = read().expect_err(specifier).to_string();
        let error = error.replace(&format!("{}/", folder.display()), "");
        assert!(error.contains(expected), "{specifier}: {error}");
    }
}

#[test]
fn no_byte_of_another_programs_file_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let corpus = Corpus {
        speakers: 1,
        utterances: 2,
        frames: 3,
        bins: 2,
        seed: 0,
    };
    corpus.write(folder);
    copy(folder, &[], "scp:feats.scp");
    let file = |name: &str| folder.join(name);
    for (specifier, name) in [
        ("npy:z", "z.npy"),
        ("npy:z", "z.tsv"),
        ("npy:z.npy", "z.npy"),
        ("safetensors:z.safetensors", "z.safetensors"),
        ("parquet:z.parquet", "z.parquet"),
    ] {
        let whole = fs::read(file(name)).unwrap();
        let (form, place) = specifier.split_once(':').unwrap();
        let place = format!("{form}:{}", file(place).display());
        let read = |bytes: &[u8]| {
            fs::write(file(name), bytes).unwrap();
            // In order and by key: it ends, with neither panic nor gigabytes.
            let all = TableReader::<Array2<f32>>::open(&place).map(|table| table.flatten().count());
            if let Ok(table) = ScpTable::<Array2<f32>>::open(&place) {
                for key in table.keys() {
                    let _ = (table.read_shape(key), table.get(key));
                }
            }
            all
        };
        assert_eq!(read(&whole).unwrap(), 2, "{specifier}");
        for at in 0..whole.len() {
            for odd in [0, 4, b'(', 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = odd;
                let _ = read(&bytes);
            }
            let _ = read(&whole[..at]);
        }
        read(&whole).unwrap();
    }
}
