//! What Kaldi's front-ends share: options of frames and of mel filters, by Kaldi's names and defaults.

use super::frames::{FrameGrid, ms_to_samples};
use super::plan::{Cut, Energy};
use super::window::WindowType;
use crate::error::{Error, Result};

/// Kaldi works on the scale of 16-bit integers; a [`crate::io::audio::Waveform`] has full scale at 1.
pub(super) const INT16_SCALE: f64 = 32768.0;
/// Kaldi's floor of energies before a logarithm: the machine epsilon of f32.
pub(super) const EPSILON: f64 = f32::EPSILON as f64;

/// Declares an options struct of its own fields and those of framing.
macro_rules! kaldi_options {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $default:expr,)*
    } $(torchaudio { $($preset:ident: $preset_value:expr,)* })?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Sample rate of the audio in Hz; audio of another rate is refused.
            pub sample_frequency: f64,
            /// What a sample of full scale becomes: 32768 as in Kaldi, 1 as torchaudio leaves what it has loaded.
            pub full_scale: f64,
            /// Frame length in ms.
            pub frame_length: f64,
            /// Frame shift in ms.
            pub frame_shift: f64,
            /// Deviation of the noise added to samples, in units of scaled samples; 0 for none.
            pub dither: f64,
            /// Seed of the dither; each utterance begins anew from it.
            pub seed: u64,
            /// Coefficient of the pre-emphasis, 0 to 1.
            pub preemphasis_coefficient: f64,
            /// Whether each frame loses its mean.
            pub remove_dc_offset: bool,
            /// Shape of the window.
            pub window_type: $crate::signal::front_end::window::WindowType,
            /// Constant of the Blackman window.
            pub blackman_coeff: f64,
            /// Whether frames are padded to a power of two.
            pub round_to_power_of_two: bool,
            /// Whether only whole frames are given; else the ends are mirrored.
            pub snip_edges: bool,
            /// Whether each column loses its mean over the utterance. A stream then gives its frames at the end.
            pub subtract_mean: bool,
            /// Floor of the frame's energy (not of its logarithm), where that is a column; 0 for none.
            pub energy_floor: f64,
            /// Whether that energy is taken before pre-emphasis and window.
            pub raw_energy: bool,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    sample_frequency: 16000.0,
                    full_scale: $crate::signal::front_end::kaldi::INT16_SCALE,
                    frame_length: 25.0,
                    frame_shift: 10.0,
                    dither: 1.0,
                    seed: 0,
                    preemphasis_coefficient: 0.97,
                    remove_dc_offset: true,
                    window_type: $crate::signal::front_end::window::WindowType::Povey,
                    blackman_coeff: 0.42,
                    round_to_power_of_two: true,
                    snip_edges: true,
                    subtract_mean: false,
                    energy_floor: 0.0,
                    raw_energy: true,
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            /// What differs in `torchaudio.compliance.kaldi`: no dither, and an energy floor of 1 in place of 0; filters
            /// may be empty. The samples are taken as they are given there; loaded audio has full scale at 1, where Kaldi has
            /// it at 32768, so that `full_scale` is 1 here.
            pub fn torchaudio() -> Self {
                Self {
                    full_scale: 1.0,
                    dither: 0.0,
                    energy_floor: 1.0,
                    $($($preset: $preset_value,)*)?
                    ..Self::default()
                }
            }

            fn frames(&self) -> $crate::signal::front_end::kaldi::KaldiFrames {
                $crate::signal::front_end::kaldi::KaldiFrames {
                    sample_frequency: self.sample_frequency,
                    full_scale: self.full_scale,
                    frame_length: self.frame_length,
                    frame_shift: self.frame_shift,
                    dither: self.dither,
                    seed: self.seed,
                    preemphasis_coefficient: self.preemphasis_coefficient,
                    remove_dc_offset: self.remove_dc_offset,
                    window_type: self.window_type,
                    blackman_coeff: self.blackman_coeff,
                    round_to_power_of_two: self.round_to_power_of_two,
                    snip_edges: self.snip_edges,
                    energy_floor: self.energy_floor,
                    raw_energy: self.raw_energy,
                }
            }
        }
    };
}

/// As [`kaldi_options`], with the fields of mel filters.
macro_rules! kaldi_mel_options {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $default:expr,)*
    }) => {
        $crate::signal::front_end::kaldi::kaldi_options! {
            $(#[$meta])*
            pub struct $name {
                /// Number of filters.
                pub num_mel_bins: usize = 23,
                /// Lower edge of the filters in Hz.
                pub low_freq: f64 = 20.0,
                /// Upper edge in Hz; 0 or below counts from the Nyquist frequency.
                pub high_freq: f64 = 0.0,
                /// Where the warp for a vocal tract's length bends, in Hz.
                pub vtln_low: f64 = 100.0,
                /// Its upper bend in Hz; below 0 it counts from the Nyquist frequency.
                pub vtln_high: f64 = -500.0,
                /// The warp's factor, 1 for none; commands can set it by utterance or speaker.
                pub vtln_warp: f64 = 1.0,
                /// Whether a filter may be so narrow that no bin of the FFT falls into it: its energy is 0 then, its
                /// logarithm that of the floor, as torchaudio has it. Kaldi refuses such filters.
                pub allow_empty_filters: bool = false,
                $($(#[$field_meta])* pub $field: $type = $default,)*
            }
            torchaudio {
                allow_empty_filters: true,
            }
        }

        impl $name {
            fn band(&self) -> $crate::signal::front_end::mel::MelBand {
                $crate::signal::front_end::mel::MelBand {
                    bins: self.num_mel_bins,
                    low_hz: self.low_freq,
                    high_hz: self.high_freq,
                    vtln_low_hz: self.vtln_low,
                    vtln_high_hz: self.vtln_high,
                    vtln_warp: self.vtln_warp,
                    empty: self.allow_empty_filters,
                }
            }
        }
    };
}

pub(super) use {kaldi_mel_options, kaldi_options};

/// The fields that Kaldi's front-ends share, as [`kaldi_options`] documents them.
pub(super) struct KaldiFrames {
    pub sample_frequency: f64,
    pub full_scale: f64,
    pub frame_length: f64,
    pub frame_shift: f64,
    pub dither: f64,
    pub seed: u64,
    pub preemphasis_coefficient: f64,
    pub remove_dc_offset: bool,
    pub window_type: WindowType,
    pub blackman_coeff: f64,
    pub round_to_power_of_two: bool,
    pub snip_edges: bool,
    pub energy_floor: f64,
    pub raw_energy: bool,
}

impl KaldiFrames {
    /// Where frames lie, and the length of their FFT.
    ///
    /// # Errors
    /// [`Error::Option`] for values outside what each field documents.
    pub(super) fn grid(&self) -> Result<(FrameGrid, usize)> {
        let rate_hz = self.sample_frequency;
        in_range("sample_frequency", rate_hz, 100.0, 1e6)?;
        let length = ms_to_samples("frame_length", self.frame_length, rate_hz, 2)?;
        let shift = ms_to_samples("frame_shift", self.frame_shift, rate_hz, 1)?;
        if !self.round_to_power_of_two && length % 2 == 1 {
            let expected = "an even number of samples where round_to_power_of_two is false";
            return Err(Error::option("frame_length", expected, length.to_string()));
        }
        let fft_length = match self.round_to_power_of_two {
            true => length.next_power_of_two(),
            false => length,
        };
        Ok((FrameGrid::kaldi(length, shift, self.snip_edges), fft_length))
    }

    /// What happens to the samples of a frame of `length`; its energy is wanted or not.
    ///
    /// # Errors
    /// [`Error::Option`] for values outside what each field documents.
    pub(super) fn cut(&self, length: usize, energy: bool) -> Result<Cut> {
        in_range("full_scale", self.full_scale, 1e-6, 1e6)?;
        in_range("dither", self.dither, 0.0, 32768.0)?;
        let preemphasis = self.preemphasis_coefficient;
        in_range("preemphasis_coefficient", preemphasis, 0.0, 1.0)?;
        in_range("blackman_coeff", self.blackman_coeff, 0.0, 0.5)?;
        in_range("energy_floor", self.energy_floor, 0.0, f64::MAX)?;
        let floor = self.energy_floor;
        Ok(Cut {
            gain: self.full_scale,
            dither: self.dither,
            seed: self.seed,
            remove_mean: self.remove_dc_offset,
            preemphasis,
            window: self.window_type.symmetric(length, self.blackman_coeff),
            energy: match (energy, self.raw_energy) {
                (false, _) => Energy::None,
                (true, true) => Energy::Raw { floor },
                (true, false) => Energy::Windowed { floor },
            },
        })
    }
}

/// Checks that an option lies within its range.
///
/// # Errors
/// [`Error::Option`] naming it.
pub(super) fn in_range(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    let expected = match high == f64::MAX {
        true => format!("a finite number from {low}"),
        false => format!("a number from {low} to {high}"),
    };
    Err(Error::option(name, expected, value.to_string()))
}
