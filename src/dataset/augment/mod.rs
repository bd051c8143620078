//! Augmentation of waveforms by a configuration, at random for each utterance and copy, and of whole data directories.

mod directory;
mod feats;
mod sources;
#[cfg(test)]
mod tests;

pub(super) use directory::file_name;
pub use directory::{AugmentJob, Augmented, augment};
pub use feats::FeatAugmentOptions;
pub use sources::AudioPool;

use std::borrow::Cow;
use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::io::audio::{Pipes, Waveform};
use crate::signal::augment::voice::VoiceFactors;
use crate::signal::augment::{
    CodecOptions, EqualiserOptions, NoiseOptions, ReverbOptions, SpeedOptions, VoiceOptions,
    VolumeOptions, add_noise, change_speed, change_voice, change_volume, happens, reverberate,
    telephone,
};

/// Augmentations of waveforms, in this order; those without a table are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentOptions {
    /// Seed of all random numbers: the same seed gives the same bytes, whatever the number of threads.
    pub seed: u64,
    /// Noise recordings for `noise`: a folder with a `wav.scp`, or of audio files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_folder: Option<PathBuf>,
    /// Room impulse responses for `reverb`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rir_folder: Option<PathBuf>,
    /// Change of speed.
    pub speed: Option<SpeedOptions>,
    /// Another voice: formants and pitch.
    pub voice: Option<VoiceOptions>,
    /// Reverberation.
    pub reverb: Option<ReverbOptions>,
    /// Additive noise.
    pub noise: Option<NoiseOptions>,
    /// A random equaliser.
    pub equaliser: Option<EqualiserOptions>,
    /// Telephone codec.
    pub codec: Option<CodecOptions>,
    /// Change of volume.
    pub volume: Option<VolumeOptions>,
}

impl AugmentOptions {
    /// Checks every value. A folder is needed if its table is there, and refused otherwise.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key; no step at all.
    pub fn check(&self) -> Result<()> {
        let Self {
            seed: _,
            noise_folder,
            rir_folder,
            speed,
            voice,
            reverb,
            noise,
            equaliser,
            codec,
            volume,
        } = self;
        let checks = [
            speed.as_ref().map(SpeedOptions::check),
            voice.as_ref().map(VoiceOptions::check),
            reverb.as_ref().map(ReverbOptions::check),
            noise.as_ref().map(NoiseOptions::check),
            equaliser.as_ref().map(EqualiserOptions::check),
            codec.as_ref().map(CodecOptions::check),
            volume.as_ref().map(VolumeOptions::check),
        ];
        if checks.iter().all(Option::is_none) {
            let expected = "a table: speed, voice, reverb, noise, equaliser, codec or volume";
            return Err(Error::option("augmentation", expected, "none"));
        }
        check_folder("noise_folder", "noise", noise.is_some(), noise_folder)?;
        check_folder("rir_folder", "reverb", reverb.is_some(), rir_folder)?;
        checks.into_iter().flatten().collect()
    }
}

/// Refuses a table without its folder, and the reverse.
fn check_folder(key: &str, table: &str, requested: bool, folder: &Option<PathBuf>) -> Result<()> {
    let expected = match (requested, folder) {
        (true, None) => format!("a folder for the table [{table}]"),
        (false, Some(_)) => format!("a table [{table}] beside it"),
        _ => return Ok(()),
    };
    Err(Error::option(key, expected, "none"))
}

/// The steps of a configuration, with their noises and impulse responses.
pub struct AugmentChain {
    options: AugmentOptions,
    noises: Option<AudioPool>,
    rirs: Option<AudioPool>,
}

/// An augmented waveform, with a description.
#[derive(Debug, Clone, PartialEq)]
pub struct Variation {
    /// The samples, at most full scale.
    pub waveform: Waveform,
    /// As `speed=0.9 rir=rir2 noise=rain-1 snr=5 volume=1.25`, without the steps that were left out.
    pub description: String,
}

impl AugmentChain {
    /// Checks the options, and lists noises and impulse responses.
    ///
    /// # Errors
    /// As [`AugmentOptions::check`] and [`AudioPool::read`].
    pub fn new(options: AugmentOptions, pipes: Pipes) -> Result<Self> {
        options.check()?;
        let pool = |folder: &Option<PathBuf>| {
            let folder = folder.as_deref();
            folder
                .map(|folder| AudioPool::read(folder, pipes))
                .transpose()
        };
        Ok(Self {
            noises: pool(&options.noise_folder)?,
            rirs: pool(&options.rir_folder)?,
            options,
        })
    }

    /// Whether utterances keep their length, so that tables by frame still apply.
    pub fn keeps_time(&self) -> bool {
        self.options.speed.is_none()
    }

    /// Augments an utterance; the same `copy` gives the same result. A result above full scale is scaled down as a whole, so that
    /// nothing is clipped.
    ///
    /// # Errors
    /// [`Error::Format`] or [`Error::Io`] for a noise or an impulse response that cannot be read; [`Error::Option`] for
    /// silence, to which no noise can be added at a signal-to-noise ratio.
    pub fn vary(&self, utterance: &str, copy: u64, speech: &Waveform) -> Result<Variation> {
        let mut rng = generator(self.options.seed, copy, utterance);
        let rate = speech.sample_rate_hz;
        let mut samples = Cow::from(&speech.samples);
        let mut taken = Vec::new();
        if let Some(speed) = &self.options.speed {
            let factor = speed.draw(&mut rng);
            samples = change_speed(&samples, rate, factor)?.into();
            taken.push(format!("speed={factor}"));
        }
        if let Some(voice) = &self.options.voice
            && happens(voice.probability, &mut rng)
        {
            let factors = voice.draw(&mut rng);
            samples = change_voice(&samples, rate, factors)?.into();
            let VoiceFactors {
                formants,
                pitch,
                range,
            } = factors;
            taken.push(format!(
                "formants={formants:.4} pitch={pitch:.4} range={range:.4}"
            ));
        }
        if let (Some(reverb), Some(rirs)) = (&self.options.reverb, &self.rirs)
            && happens(reverb.probability, &mut rng)
        {
            let (name, rir) = rirs.draw(rate, &mut rng)?;
            let sounded = reverberate(&samples, &rir);
            samples = sounded.map_err(|error| named(error, name))?.into();
            taken.push(format!("rir={name}"));
        }
        if let (Some(noise), Some(noises)) = (&self.options.noise, &self.noises)
            && happens(noise.probability, &mut rng)
        {
            let snr_db = noise.draw(&mut rng);
            let (name, noise) = noises.draw(rate, &mut rng)?;
            let added = add_noise(samples.to_mut(), &noise, snr_db, &mut rng);
            added.map_err(|error| named(error, name))?;
            taken.push(format!("noise={name} snr={snr_db}"));
        }
        if let Some(equaliser) = &self.options.equaliser
            && happens(equaliser.probability, &mut rng)
        {
            let bands = equaliser.draw(&mut rng);
            equaliser.apply(samples.to_mut(), rate, &bands);
            taken.push("equaliser=random".to_string());
        }
        if let Some(codec) = &self.options.codec
            && happens(codec.probability, &mut rng)
        {
            samples = telephone(&samples, rate, codec)?.into();
            taken.push("codec=telephone".to_string());
        }
        if let Some(volume) = &self.options.volume {
            let factor = volume.draw(&mut rng);
            change_volume(samples.to_mut(), factor);
            taken.push(format!("volume={factor:.4}"));
        }
        if taken.is_empty() {
            taken.push("none".to_string());
        }
        let mut samples = samples.into_owned();
        within_full_scale(&mut samples);
        Ok(Variation {
            waveform: Waveform {
                samples,
                sample_rate_hz: rate,
            },
            description: taken.join(" "),
        })
    }
}

/// The error of a noise or an impulse response with its name.
fn named(error: Error, name: &str) -> Error {
    match error {
        Error::Option {
            option,
            expected,
            found,
        } if !option.starts_with("speech") => {
            Error::option(format!("{option} '{name}'"), expected, found)
        }
        other => other,
    }
}

/// A generator for one copy of one utterance, seeded by 64-bit FNV-1a of their names.
fn generator(seed: u64, copy: u64, utterance: &str) -> ChaCha8Rng {
    let named = [
        &seed.to_le_bytes(),
        &copy.to_le_bytes(),
        utterance.as_bytes(),
    ]
    .concat();
    let hash = named.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ChaCha8Rng::seed_from_u64(hash)
}

/// Scales a signal down to full scale of 16 bits, if it is above.
fn within_full_scale(samples: &mut [f32]) {
    const MOST: f32 = 32767.0 / 32768.0;
    let peak = samples
        .iter()
        .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    if peak > MOST {
        change_volume(samples, f64::from(MOST) / f64::from(peak));
    }
}
