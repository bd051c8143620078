//! Experiments on bundled speech.

use std::path::{Path, PathBuf};

use super::{names, put, root, succeed};

pub const FBANK: &str = "kind = 'fbank'\nnum_mel_bins = 40\ndither = 0.0\n";

/// What a table may be put behind: all networks, tiny, and two steps.
pub const CONF: &str = "device = 'cpu'
[data]
train = 'data'
front_end = 'fbank.toml'
sampler = { kind = 'speakers', speakers = 2, utterances = 2 }
[method]
name = 'disentangle'
model.phonetic_encoder = { channels = 8, code_dim = 4 }
model.speaker_encoder = { channels = 8, embedding_dim = 4 }
model.decoder = { kind = 'conv', channels = 8 }
[train]
steps = 2
threads = 1
";

/// Two speakers with two recordings each in `data`, their features, and an experiment `exp` by `conf`.
pub fn workplace(fbank: &str, conf: &str) -> tempfile::TempDir {
    let dir = data();
    put(&dir.path().join("fbank.toml"), fbank);
    put(&dir.path().join("conf.toml"), conf);
    let to = "ark,scp:data/feats.ark,data/feats.scp";
    succeed(
        dir.path(),
        &["fbank", "--conf=fbank.toml", "scp:data/wav.scp", to],
    );
    succeed(dir.path(), &["train", "--conf=conf.toml", "--exp=exp"]);
    dir
}

/// A folder with two speakers with two recordings each in `data`.
pub fn data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let audio = root().join("data/mini/audio");
    let all = names(&audio);
    let (mut wav_scp, mut utt2spk) = (String::new(), String::new());
    let speakers = [
        all[0].split('-').next().unwrap(),
        all[all.len() - 1].split('-').next().unwrap(),
    ];
    for speaker in speakers {
        for name in all.iter().filter(|name| name.starts_with(speaker)).take(2) {
            let id = name.split('.').next().unwrap();
            wav_scp += &format!("{id} {}\n", audio.join(name).display());
            utt2spk += &format!("{id} {speaker}\n");
        }
    }
    put(&dir.path().join("data/wav.scp"), wav_scp);
    put(&dir.path().join("data/utt2spk"), utt2spk);
    dir
}

/// Names and files of the recordings, in order.
pub fn recordings(dir: &Path) -> Vec<(String, PathBuf)> {
    let list = std::fs::read_to_string(dir.join("data/wav.scp")).unwrap();
    list.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, path)| (name.to_string(), path.into()))
        .collect()
}
