//! `method.model.pitch`: a decoder that reads the pitch of an utterance, in training, in conversion, and where it has none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ndarray::Array2;
use unbraid::io::kaldi::{TableReader, TableWriter};

use crate::support::speech;
use crate::support::training::{
    RESUME, Running, TRAIN, assert_same, edit, gap_of_weights, newest_step, outcome,
};
use crate::support::{fail, put, succeed};

/// Frames of features and pitch have the same middles.
const FBANK: &str = "kind = 'fbank'\nnum_mel_bins = 20\ndither = 0.0\nsnip_edges = false\n";

/// All that decodes in training: reconstruction, consistency losses, the discriminator.
const CONF: &str = "seed = 3
device = 'cpu'
[data]
train = 'data'
valid = 'data'
front_end = 'fbank.toml'
crop_frames = 40
sampler = { kind = 'speakers', speakers = 2, utterances = 2 }
[method]
name = 'disentangle'
consistency = { cross_speaker = 0.5, content = 0.5 }
model.pitch = true
model.phonetic_encoder = { channels = 8, code_dim = 4 }
model.speaker_encoder = { channels = 8, embedding_dim = 4 }
model.decoder = { kind = 'conv', channels = 8 }
conversion_discriminator = { weight = { weight = 0.1 }, network = { channels = 8, batch_norm = false } }
[train]
steps = 40
validate_every = 10
checkpoint_every = 7
threads = 1
";

/// Two speakers with two recordings each, `feats.scp` and `pitch.scp`.
fn workplace(conf: &str) -> tempfile::TempDir {
    let dir = speech::data();
    put(&dir.path().join("fbank.toml"), FBANK);
    put(&dir.path().join("pitch.toml"), "snip_edges = false\n");
    put(&dir.path().join("conf.toml"), conf);
    for (kind, name) in [("fbank", "feats"), ("pitch", "pitch")] {
        let conf = format!("--conf={kind}.toml");
        let to = format!("ark,scp:data/{name}.ark,data/{name}.scp");
        succeed(dir.path(), &["feats", kind, &conf, "scp:data/wav.scp", &to]);
    }
    dir
}

/// The matrices of an archive in the folder.
fn matrices(dir: &Path, archive: &str) -> Vec<(String, Array2<f32>)> {
    let place = dir.join(archive).display().to_string();
    let entries = TableReader::open(&format!("ark:{place}")).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

/// Replaces the pitch of the utterances by what `change` makes of the one that was computed.
fn change_pitch(dir: &Path, change: impl Fn(&mut Array2<f32>)) {
    let place = |name: &str| dir.join("data").join(name).display().to_string();
    let target = format!("ark,scp:{},{}", place("other.ark"), place("pitch.scp"));
    let mut writer = TableWriter::create(&target).unwrap();
    for (key, mut pitch) in matrices(dir, "data/pitch.ark") {
        change(&mut pitch);
        writer.write(&key, &pitch).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn stored_computed_and_resumed_are_the_same_run() {
    let dir = workplace(CONF);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);

    fs::remove_dir_all(&exp).unwrap();
    for least in [7, 21] {
        let reached = || newest_step(&exp).is_some_and(|step| step >= least);
        let run = Running::start(dir.path(), &RESUME);
        run.stop(libc::SIGKILL, Duration::ZERO, reached);
    }
    succeed(dir.path(), &RESUME);
    assert_same(&outcome(&exp), &expected);

    fs::remove_dir_all(&exp).unwrap();
    // Windows of recordings are drawn by their own length.
    let whole = ["--set", "data.crop_frames=0", "--steps", "10"];
    succeed(dir.path(), &[&TRAIN[..], &whole].concat());
    let expected = outcome(&exp);
    fs::remove_dir_all(&exp).unwrap();
    for name in ["feats.scp", "pitch.scp"] {
        fs::remove_file(dir.path().join("data").join(name)).unwrap();
    }
    let audio = ["--set", "data.input=\"audio\""];
    succeed(dir.path(), &[&TRAIN[..], &whole, &audio].concat());
    assert_same(&outcome(&exp), &expected);
}

/// Without what compares utterances: losses of speakers, batch normalisation of a speaker encoder that learns.
#[test]
fn two_ranks_are_one_larger_batch() {
    let dir = workplace(CONF);
    let conf = dir.path().join("conf.toml");
    let discriminator = CONF.lines().find(|line| line.contains("discriminator"));
    edit(
        &conf,
        discriminator.unwrap(),
        "optimiser.kind = 'sgd'\nspeaker_from_other_utterance = false\nspeaker_weight = 0",
    );
    edit(
        &conf,
        "consistency = { cross_speaker = 0.5, content = 0.5 }",
        "",
    );
    edit(&conf, "steps = 40", "steps = 6");
    edit(
        &conf,
        "kind = 'conv', channels = 8",
        "kind = 'conv', channels = 8, instance_norm = false",
    );
    succeed(dir.path(), &TRAIN);
    let run = |exp: &str, batch: usize, more: &[&str]| {
        let sampler = format!("data.sampler={{ kind = \"utterances\", batch = {batch} }}");
        succeed(
            dir.path(),
            &[&TRAIN[..4], &[exp, "--set", &sampler], more].concat(),
        );
    };
    let init = [
        "--init",
        "exp",
        "--set",
        "method.freeze=['speaker_encoder']",
    ];
    run("ranks", 2, &[&init[..], &["--ranks", "2"]].concat());
    run("whole", 4, &init);
    run("short", 2, &init);
    let gap = |other| gap_of_weights(dir.path(), ["whole", other]);
    assert!(gap("ranks") < 1e-5, "{}", gap("ranks"));
    assert!(gap("short") > 1e-4, "{}", gap("short"));
}

/// How high a voice is does not reach the decoder; how it moves does.
#[test]
fn conversions_follow_the_movement_of_the_source() {
    let dir = workplace(CONF);
    succeed(dir.path(), &TRAIN);
    let converted = |out: &str| -> Vec<Array2<f32>> {
        let args = [
            "eval",
            "conversion",
            "--exp=exp",
            "--device=cpu",
            "data",
            out,
        ];
        succeed(dir.path(), &args);
        let feats = matrices(dir.path(), &format!("{out}/feats.ark"));
        feats.into_iter().map(|(_, feats)| feats).collect()
    };
    let apart = |a: &[Array2<f32>], b: &[Array2<f32>]| {
        let gaps = a.iter().zip(b).flat_map(|(a, b)| (a - b).mapv(f32::abs));
        gaps.fold(0f32, f32::max)
    };
    let own = converted("own");
    change_pitch(dir.path(), |pitch| {
        pitch.column_mut(1).mapv_inplace(|hz| hz * 1.7)
    });
    let higher = converted("higher");
    assert!(apart(&own, &higher) < 1e-3, "{}", apart(&own, &higher));
    change_pitch(dir.path(), |pitch| {
        pitch.column_mut(1).mapv_inplace(|hz| 30000.0 / hz)
    });
    let mirrored = converted("mirrored");
    assert!(apart(&own, &mirrored) > 0.05, "{}", apart(&own, &mirrored));

    // Recordings need no pitch.scp.
    fs::remove_file(dir.path().join("data/pitch.scp")).unwrap();
    let audio: Vec<_> = speech::recordings(dir.path())
        .into_iter()
        .map(|(_, path)| path.display().to_string())
        .collect();
    let args = [
        "convert",
        "--exp=exp",
        "--device=cpu",
        &audio[0],
        &audio[3],
        "--out=made.wav",
    ];
    succeed(dir.path(), &args);
    let error = fail(
        dir.path(),
        &["eval", "conversion", "--exp=exp", "data", "none"],
        b"",
    );
    assert!(error.contains("data/pitch.scp: No such file"), "{error}");
    assert!(!dir.path().join("none/utt2spk").exists());

    // Codes and embeddings take no pitch; a reconstruction of features alone has none.
    let extract = |output: &'static str| {
        let output = ["extract", "--exp=exp", "--device=cpu", "--output", output];
        [&output[..], &["scp:data/feats.scp", "ark,scp:x.ark,x.scp"]].concat()
    };
    succeed(dir.path(), &extract("phonetic"));
    succeed(dir.path(), &extract("speaker"));
    fs::remove_file(dir.path().join("x.ark")).unwrap();
    let error = fail(dir.path(), &extract("reconstruction"), b"");
    assert_eq!(
        error,
        "unbraid: method.model.pitch: expected false where features are decoded without their pitch, found true"
    );
    assert!(!dir.path().join("x.ark").exists() && !dir.path().join("x.ark.parts").exists());
}

/// Words of one length, and one code for each.
#[test]
fn pooled_codes_are_decoded_with_pitch() {
    let dir = workplace(CONF);
    let conf = dir.path().join("conf.toml");
    edit(&conf, "crop_frames = 40\n", "");
    edit(&conf, "steps = 40", "steps = 4");
    edit(&conf, "code_dim = 4", "code_dim = 4, pool = true");
    edit(
        &conf,
        "kind = 'conv', channels = 8",
        "kind = 'recurrent', channels = 8",
    );
    edit(
        &conf,
        "[method]",
        "[normalisation]\nfixed_frames = 32\n[method]",
    );
    succeed(dir.path(), &TRAIN);
    succeed(
        dir.path(),
        &["eval", "conversion", "--exp=exp", "data", "made"],
    );
}

#[test]
fn pitch_that_does_not_fit_is_refused_in_one_line() {
    let dir = workplace(CONF);
    let scp = dir.path().join("data/pitch.scp");
    let whole = fs::read_to_string(&scp).unwrap();
    let (first, others) = whole.split_once('\n').unwrap();
    let key = first.split(' ').next().unwrap();
    let refused = |expected: &str| {
        let error = fail(dir.path(), &TRAIN, b"");
        assert!(error.contains(expected), "{error}");
        assert!(!dir.path().join("exp/conf.toml").exists());
    };
    put(&scp, others);
    refused(&format!("data/pitch.scp: {key}: expected"));
    put(&scp, format!("{first}[0:9]\n{others}"));
    refused(&format!("data/pitch.scp: {key}: expected "));
    refused("frames, as the features have (by their frame_shift and snip_edges), found 10");
    put(&scp, format!("{first}[:,0:0]\n{others}"));
    refused("('unbraid feats pitch' without --post), found 1 columns");
    fs::remove_file(&scp).unwrap();
    refused(
        "data/pitch.scp: No such file or directory (os error 2); make it with 'unbraid feats pitch scp:data/wav.scp",
    );
    put(&scp, &whole);
    change_pitch(dir.path(), |pitch| pitch[[3, 1]] = f32::NAN);
    let error = fail(dir.path(), &TRAIN, b"");
    assert!(
        error.contains("data/pitch.scp: ") && error.ends_with("and NaN in frame 3"),
        "{error}"
    );
}
