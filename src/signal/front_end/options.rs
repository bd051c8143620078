//! The options of all front-ends, distinguished by `kind`, and their reading from TOML.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::plan::FrontEndPlan;
use super::{FbankOptions, MelOptions, MelOutput, MfccOptions, SpectrogramOptions, WhisperOptions};
use crate::error::{Error, Result};
use crate::io::config::Document;
use crate::signal::FeatureType;

/// Options of any front-end.
///
/// ```
/// # use unbraid::signal::{FrontEnd, FrontEndOptions};
/// let options: FrontEndOptions = toml::from_str("kind = 'mfcc'\nsample_frequency = 8000.0\n").unwrap();
/// assert_eq!(FrontEnd::new(options).unwrap().dim(), 13);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FrontEndOptions {
    /// Kaldi's log mel filter banks.
    Fbank(FbankOptions),
    /// Kaldi's cepstral coefficients.
    Mfcc(MfccOptions),
    /// Kaldi's spectrograms.
    Spectrogram(SpectrogramOptions),
    /// librosa's mel spectrograms.
    Mel(MelOptions),
    /// Whisper's log mel spectrograms.
    Whisper(WhisperOptions),
}

/// Which front-end, by its name in files and as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontEndKind {
    /// Kaldi's log-mel filter banks.
    Fbank,
    /// Kaldi's cepstra.
    Mfcc,
    /// Kaldi's log power spectra.
    Spectrogram,
    /// librosa's mel spectrograms.
    Mel,
    /// Whisper's log-mel spectrograms.
    Whisper,
}

/// Defaults other than the original's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// What `torchaudio.compliance.kaldi` does where Kaldi does otherwise: see [`FbankOptions::torchaudio`].
    Torchaudio,
}

impl FrontEndKind {
    const ALL: [Self; 5] = [
        Self::Fbank,
        Self::Mfcc,
        Self::Spectrogram,
        Self::Mel,
        Self::Whisper,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fbank => "fbank",
            Self::Mfcc => "mfcc",
            Self::Spectrogram => "spectrogram",
            Self::Mel => "mel",
            Self::Whisper => "whisper",
        }
    }

    /// The original's defaults.
    pub fn defaults(self) -> FrontEndOptions {
        match self {
            Self::Fbank => FbankOptions::default().into(),
            Self::Mfcc => MfccOptions::default().into(),
            Self::Spectrogram => SpectrogramOptions::default().into(),
            Self::Mel => MelOptions::default().into(),
            Self::Whisper => WhisperOptions::default().into(),
        }
    }

    /// Other defaults.
    ///
    /// # Errors
    /// [`Error::Option`] `preset` for a front-end that has none.
    pub fn preset(self, preset: Preset) -> Result<FrontEndOptions> {
        let Preset::Torchaudio = preset;
        match self {
            Self::Fbank => Ok(FbankOptions::torchaudio().into()),
            Self::Mfcc => Ok(MfccOptions::torchaudio().into()),
            Self::Spectrogram => Ok(SpectrogramOptions::torchaudio().into()),
            Self::Mel | Self::Whisper => {
                let found = format!("torchaudio with {}", self.name());
                let expected = "a preset of fbank, mfcc or spectrogram";
                Err(Error::option("preset", expected, found))
            }
        }
    }
}

macro_rules! from_options {
    ($($variant:ident($options:ty),)*) => {
        $(impl From<$options> for FrontEndOptions {
            fn from(options: $options) -> Self {
                Self::$variant(options)
            }
        })*
    };
}

from_options! {
    Fbank(FbankOptions),
    Mfcc(MfccOptions),
    Spectrogram(SpectrogramOptions),
    Mel(MelOptions),
    Whisper(WhisperOptions),
}

impl FrontEndOptions {
    /// Which front-end they are of.
    pub fn kind(&self) -> FrontEndKind {
        match self {
            Self::Fbank(_) => FrontEndKind::Fbank,
            Self::Mfcc(_) => FrontEndKind::Mfcc,
            Self::Spectrogram(_) => FrontEndKind::Spectrogram,
            Self::Mel(_) => FrontEndKind::Mel,
            Self::Whisper(_) => FrontEndKind::Whisper,
        }
    }

    /// What the columns of its features are.
    pub fn feature_type(&self) -> FeatureType {
        match self {
            Self::Fbank(_) | Self::Mel(_) | Self::Whisper(_) => FeatureType::FilterBank,
            Self::Spectrogram(_) => FeatureType::Spectrogram,
            Self::Mfcc(_) => FeatureType::Cepstrum,
        }
    }

    /// Reads the options of a file that names its `kind`. With `preset = "torchaudio"` in it, options left out have
    /// [`Preset`]'s defaults.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Key`] for a kind that is missing or unknown; [`Error::Line`]
    /// for what is not TOML, an unknown key or a value of another type.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::of(&Document::read(path)?, &[])
    }

    /// The same of a file that is read; `others` are kinds that the error names beside these.
    pub(super) fn of(document: &Document, others: &[&str]) -> Result<Self> {
        match document.tag("kind")? {
            Some(name) => document_of(document, kind_named(document, name, others)?, None),
            None => Err(no_kind(document, "none", others)),
        }
    }

    /// As [`FrontEndOptions::read`], for a file that need not name the kind, but not name another one. A preset
    /// in the file goes before `preset`.
    ///
    /// # Errors
    /// As [`FrontEndOptions::read`]; and [`Error::Key`] for another kind.
    pub fn read_as(
        path: impl AsRef<Path>,
        kind: FrontEndKind,
        preset: Option<Preset>,
    ) -> Result<Self> {
        let document = Document::read(path)?;
        match document.tag("kind")? {
            Some(name) if kind_named(&document, name, &[])? != kind => {
                let expected = format!("\"{}\"", kind.name());
                Err(Error::key(
                    document.path(),
                    "kind",
                    expected,
                    format!("\"{name}\""),
                ))
            }
            _ => document_of(&document, kind, preset),
        }
    }

    /// The same with another factor of Kaldi's warp for vocal tract lengths.
    ///
    /// # Errors
    /// [`Error::Option`] for a front-end that has no such warp.
    pub fn with_vtln_warp(&self, factor: f64) -> Result<Self> {
        let mut warped = self.clone();
        match &mut warped {
            Self::Fbank(options) => options.vtln_warp = factor,
            Self::Mfcc(options) => options.vtln_warp = factor,
            Self::Spectrogram(_) | Self::Mel(_) | Self::Whisper(_) => {
                let found = self.kind().name();
                return Err(Error::option("vtln_warp", "kind fbank or mfcc", found));
            }
        }
        Ok(warped)
    }

    /// The same without dither.
    pub fn without_dither(&self) -> Self {
        let mut plain = self.clone();
        match &mut plain {
            Self::Fbank(options) => options.dither = 0.0,
            Self::Mfcc(options) => options.dither = 0.0,
            Self::Spectrogram(options) => options.dither = 0.0,
            Self::Mel(_) | Self::Whisper(_) => {}
        }
        plain
    }

    /// The option for which a stream waits for its end before it gives a frame, where there is one.
    pub fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::Fbank(options) => options.subtract_mean.then_some("subtract_mean"),
            Self::Mfcc(options) => options.subtract_mean.then_some("subtract_mean"),
            Self::Spectrogram(options) => options.subtract_mean.then_some("subtract_mean"),
            Self::Mel(options) if options.output == MelOutput::Linear => None,
            Self::Mel(options) if options.reference == 0.0 => Some("ref"),
            Self::Mel(options) => (options.top_db > 0.0).then_some("top_db"),
            Self::Whisper(_) => Some("kind"),
        }
    }

    /// What the front-end does, step by step.
    pub(crate) fn plan(&self) -> Result<FrontEndPlan> {
        match self {
            Self::Fbank(options) => options.plan(),
            Self::Mfcc(options) => options.plan(),
            Self::Spectrogram(options) => options.plan(),
            Self::Mel(options) => options.plan(),
            Self::Whisper(options) => options.plan(),
        }
    }
}

fn no_kind(document: &Document, found: &str, others: &[&str]) -> Error {
    let own = FrontEndKind::ALL.iter().map(|kind| kind.name());
    let names = own.chain(others.iter().copied());
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let expected = format!("a front-end, one of {}", names.join(", "));
    Error::key(document.path(), "kind", expected, found)
}

fn kind_named(document: &Document, name: &str, others: &[&str]) -> Result<FrontEndKind> {
    (FrontEndKind::ALL.into_iter())
        .find(|kind| kind.name() == name)
        .ok_or_else(|| no_kind(document, &format!("\"{name}\""), others))
}

fn document_of(
    document: &Document,
    kind: FrontEndKind,
    preset: Option<Preset>,
) -> Result<FrontEndOptions> {
    let preset = match document.tag("preset")? {
        None => preset,
        Some("torchaudio") => Some(Preset::Torchaudio),
        Some(other) => {
            let found = format!("\"{other}\"");
            return Err(Error::key(
                document.path(),
                "preset",
                "\"torchaudio\"",
                found,
            ));
        }
    };
    let base = match preset {
        None => None,
        Some(preset) => Some(kind.preset(preset)?),
    };
    Ok(match (kind, base) {
        (FrontEndKind::Fbank, Some(FrontEndOptions::Fbank(base))) => over(document, &base)?.into(),
        (FrontEndKind::Mfcc, Some(FrontEndOptions::Mfcc(base))) => over(document, &base)?.into(),
        (FrontEndKind::Spectrogram, Some(FrontEndOptions::Spectrogram(base))) => {
            over(document, &base)?.into()
        }
        (FrontEndKind::Fbank, _) => over(document, &FbankOptions::default())?.into(),
        (FrontEndKind::Mfcc, _) => over(document, &MfccOptions::default())?.into(),
        (FrontEndKind::Spectrogram, _) => over(document, &SpectrogramOptions::default())?.into(),
        (FrontEndKind::Mel, _) => over(document, &MelOptions::default())?.into(),
        (FrontEndKind::Whisper, _) => over(document, &WhisperOptions::default())?.into(),
    })
}

fn over<T: Serialize + DeserializeOwned>(document: &Document, base: &T) -> Result<T> {
    document.over(base, &["kind", "preset"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, kind: Option<FrontEndKind>) -> Result<FrontEndOptions, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let options = match kind {
            None => FrontEndOptions::read(file.path()),
            Some(kind) => FrontEndOptions::read_as(file.path(), kind, None),
        };
        let place = file.path().display().to_string();
        options.map_err(|error| error.to_string().replace(&place, "x.toml"))
    }

    #[test]
    fn a_base_is_of_the_same_kind_and_preset() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let base = "kind = \"fbank\"\npreset = \"torchaudio\"\nnum_mel_bins = 40\n";
        std::fs::write(path("base.toml"), base).unwrap();
        std::fs::write(path("own.toml"), "base = \"base.toml\"\ndither = 0.5\n").unwrap();
        let whole = format!("{base}dither = 0.5\n");
        let own = FrontEndOptions::read(path("own.toml")).unwrap();
        assert_eq!(Ok(own), read(&whole, None));
        std::fs::write(path("own.toml"), "base = \"base.toml\"\nditter = 0.5\n").unwrap();
        let error = FrontEndOptions::read(path("own.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("own.toml:2: ") && error.contains("ditter"),
            "{error}"
        );
    }

    #[test]
    fn what_is_written_comes_back() {
        for kind in FrontEndKind::ALL {
            let options = kind.defaults();
            assert_eq!(options.kind(), kind);
            let text = toml::to_string(&options).unwrap();
            assert_eq!(read(&text, None), Ok(options.clone()), "{text}");
            assert_eq!(read(&text, Some(kind)), Ok(options.clone()));
            assert_eq!(read("", Some(kind)), Ok(options));
        }
    }

    #[test]
    fn presets_are_defaults() {
        let text = "kind = 'mfcc'\npreset = 'torchaudio'\nnum_ceps = 20\ndither = 0.5\n";
        let expected = MfccOptions {
            num_ceps: 20,
            dither: 0.5,
            energy_floor: 1.0,
            full_scale: 1.0,
            allow_empty_filters: true,
            ..MfccOptions::default()
        };
        assert_eq!(read(text, None), Ok(expected.into()));
        for kind in [FrontEndKind::Mel, FrontEndKind::Whisper] {
            assert!(kind.preset(Preset::Torchaudio).is_err());
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, kind, message) in [
            (
                "num_mel_bins = 40",
                None,
                "x.toml: kind: expected a front-end, one of \"fbank\"",
            ),
            (
                "kind = 'fbanks'",
                None,
                "x.toml: kind: expected a front-end, one of",
            ),
            (
                "kind = 4",
                None,
                "x.toml: kind: expected a string, found a value of type integer",
            ),
            (
                "\nkind = 'mfcc'\nnum_cep = 2",
                None,
                "x.toml:3: expected known keys",
            ),
            (
                "\npreset = 'torchaudio'\nnum_cep = 2",
                Some(FrontEndKind::Mfcc),
                "x.toml:3: ",
            ),
            (
                "kind = 'mel'",
                Some(FrontEndKind::Fbank),
                "x.toml: kind: expected \"fbank\", found \"mel\"",
            ),
            (
                "kind = 'mfcc'\npreset = 'x'",
                None,
                "x.toml: preset: expected \"torchaudio\", found",
            ),
            (
                "kind = 'mel'\npreset = 'torchaudio'",
                None,
                "preset: expected a preset of fbank",
            ),
            ("kind = \n", None, "x.toml:1: "),
        ] {
            let error = read(text, kind).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
