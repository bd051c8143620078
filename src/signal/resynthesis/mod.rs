//! Features back to a waveform: the front-end undone as far as it can be. The logarithm is taken back, and a spectrum found
//! that its filters would turn into these energies (`filters.rs`). It is an envelope without phases. A voice of a given
//! pitch is filtered by it (`source_filter.rs`), or a signal with that spectrum is sought (`griffin_lim.rs`), which takes no
//! pitch but whispers where the filters have taken the harmonics away. Pre-emphasis is then undone.

mod excitation;
mod filters;
mod griffin_lim;
mod source_filter;
mod stft;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::front_end::FrontEndOptions;
use super::front_end::plan::{FrontEndPlan, Scale, Whole};
use super::pitch::{F0Contour, FramePitch};
use crate::error::{Error, Result};
use filters::FilterInverse;
use griffin_lim::griffin_lim;
use source_filter::SourceFilter;
use stft::Stft;

/// How the spectrum behind the filters and the phases are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResynthesisOptions {
    /// Steps of the Griffin-Lim algorithm.
    pub iterations: usize,
    /// Acceleration alpha of its fast variant (Perraudin et al. 2013), 0 for the original.
    pub momentum: f64,
    /// Steps in which the spectrum behind the filters is found.
    pub filter_iterations: usize,
    /// Draws the noise of a voice, or Griffin-Lim's first phases.
    pub seed: u64,
}

impl Default for ResynthesisOptions {
    fn default() -> Self {
        Self {
            iterations: 60,
            momentum: 0.99,
            filter_iterations: 60,
            seed: 0,
        }
    }
}

/// A front-end's way back.
#[derive(Debug)]
pub struct Resynthesis {
    options: ResynthesisOptions,
    columns: usize,
    scale: Scale,
    exponent: f64,
    filters: Option<FilterInverse>,
    stft: Stft,
    gain: f64,
    preemphasis: f64,
    rate_hz: f64,
}

impl Resynthesis {
    /// For features of a front-end.
    ///
    /// # Errors
    /// [`Error::Option`] for a front-end that leaves too little (cepstra, a mean taken off, a mere energy), and what the
    /// front-end's options and the options here are refused for.
    pub fn new(front_end: &FrontEndOptions, options: ResynthesisOptions) -> Result<Self> {
        options.check()?;
        let plan = front_end.plan()?;
        check_recipe(front_end, &plan)?;
        Ok(Self {
            options,
            columns: plan.layout.columns,
            scale: plan.scale,
            exponent: plan.exponent,
            filters: plan
                .filters
                .as_ref()
                .map(|filters| FilterInverse::new(filters, options.filter_iterations)),
            stft: Stft::new(plan.grid, plan.fft_length, &plan.cut.window),
            gain: plan.cut.gain,
            preemphasis: plan.cut.preemphasis,
            rate_hz: plan.rate_hz,
        })
    }

    /// Sample rate of what comes out, in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// F0 and voicing of a recording at the front-end's rate, one value for each frame that the front-end makes of it.
    ///
    /// # Errors
    /// [`Error::Option`] for a rate that pitch is not found at, and as [`FramePitch::contour`].
    pub fn contour(&self, samples: &[f32]) -> Result<F0Contour> {
        FramePitch::of_grid(self.rate_hz, self.stft.grid(), 0)?.contour(samples)
    }

    /// A voice: features `[frames, columns]` and their pitch to samples of full scale 1 (peaks may leave it), as many as the
    /// front-end would have made these frames of.
    ///
    /// # Errors
    /// As [`Resynthesis::griffin_lim`], and for a contour of another number of frames.
    pub fn voice(&self, feats: ArrayView2<f32>, contour: &F0Contour) -> Result<Vec<f32>> {
        let energies = self.energies(feats)?;
        if contour.frames() != feats.nrows() {
            let expected = format!("{} frames, as the features", feats.nrows());
            let found = contour.frames().to_string();
            return Err(Error::option("pitch", expected, found));
        }
        let generator = SourceFilter::new(&self.stft, self.rate_hz);
        let magnitudes = self.magnitudes(&energies);
        let samples = generator.signal(&magnitudes, contour, self.options.seed);
        Ok(self.finished(match &self.filters {
            Some(filters) => self.corrected(&samples, filters, &energies),
            None => samples,
        }))
    }

    /// Scales the spectra of a signal, harmonics and phases kept, so that the front-end's energies of it come nearer to
    /// `energies`. It is one step of Griffin and Lim's alternation, with magnitudes that have the harmonics in them; further
    /// steps come nearer still, but sound worse (docs/experiments/voices.md).
    fn corrected(
        &self,
        samples: &[f64],
        filters: &FilterInverse,
        energies: &Array2<f64>,
    ) -> Vec<f64> {
        let mut found = self.stft.spectrogram(samples, energies.nrows());
        let spectra = Array2::from_shape_fn((energies.nrows(), filters.bins()), |(frame, bin)| {
            found[frame][bin].norm().powf(self.exponent)
        });
        let ratios = filters.ratios(&spectra, energies);
        for (spectrum, ratios) in found.iter_mut().zip(ratios.rows()) {
            for (value, ratio) in spectrum.iter_mut().zip(ratios) {
                *value *= ratio.powf(1.0 / self.exponent);
            }
        }
        self.stft.overlap(&found)
    }

    /// Features `[frames, columns]` to samples of full scale 1 (peaks may leave it), as many as the front-end would have made
    /// these frames of.
    ///
    /// # Errors
    /// [`Error::Option`] for other columns, no frame, or a value that is not finite.
    pub fn griffin_lim(&self, feats: ArrayView2<f32>) -> Result<Vec<f32>> {
        let magnitudes = self.magnitudes(&self.energies(feats)?);
        Ok(self.finished(griffin_lim(&self.stft, &magnitudes, &self.options)))
    }

    /// Features without their logarithm.
    fn energies(&self, feats: ArrayView2<f32>) -> Result<Array2<f64>> {
        if feats.ncols() != self.columns || feats.nrows() == 0 {
            let expected = format!("at least one frame of {} columns", self.columns);
            let found = format!("{} of {}", feats.nrows(), feats.ncols());
            return Err(Error::option("features", expected, found));
        }
        if let Some(value) = feats.iter().find(|value| !value.is_finite()) {
            return Err(Error::option(
                "features",
                "finite numbers",
                value.to_string(),
            ));
        }
        Ok(feats.mapv(|value| self.unscale(f64::from(value))))
    }

    /// Magnitudes `[frames, bins]` of the spectra behind energies.
    fn magnitudes(&self, energies: &Array2<f64>) -> Array2<f64> {
        let magnitude = |x: &f64| x.max(0.0).powf(1.0 / self.exponent);
        match &self.filters {
            Some(filters) => filters.spectrum(energies).map(magnitude),
            None => energies.map(magnitude),
        }
    }

    /// Pre-emphasis and gain undone.
    fn finished(&self, mut samples: Vec<f64>) -> Vec<f32> {
        let mut last = 0.0;
        for sample in &mut samples {
            last = *sample + self.preemphasis * last;
            *sample = last;
        }
        samples.iter().map(|x| (x / self.gain) as f32).collect()
    }

    fn unscale(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value.max(0.0),
            // Beyond this an energy is none of audio.
            Scale::Log { factor, offset, .. } => ((value + offset) / factor).min(80.0).exp(),
        }
    }
}

impl ResynthesisOptions {
    fn check(&self) -> Result<()> {
        if !(0.0..1.5).contains(&self.momentum) {
            let found = self.momentum.to_string();
            return Err(Error::option("momentum", "0 <= alpha < 1.5", found));
        }
        match self.iterations == 0 || self.filter_iterations == 0 {
            true => Err(Error::option("iterations", "at least 1", "0")),
            false => Ok(()),
        }
    }
}

fn check_recipe(front_end: &FrontEndOptions, plan: &FrontEndPlan) -> Result<()> {
    let expected = "a front-end that can be undone: filters or a spectrum, without an energy column, cosine transform or \
                    mean taken off";
    let name = front_end.kind().name();
    let found = match plan {
        FrontEndPlan {
            transform: Some(_), ..
        } => format!("{name}, which has a cosine transform"),
        FrontEndPlan {
            whole: Whole::Nothing | Whole::Floor { .. },
            layout,
            ..
        } if layout.energy.is_none() => return Ok(()),
        FrontEndPlan { layout, .. } if layout.energy.is_some() => {
            format!("{name} with an energy column")
        }
        _ => format!("{name}, which changes values by the whole recording"),
    };
    Err(Error::option("front-end", expected, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{FbankOptions, FrontEnd, MelOptions, MfccOptions};

    /// A second of a voice-like buzz whose pitch and formant move.
    fn buzz(rate: f64) -> Vec<f32> {
        let mut phase = 0.0;
        (0..rate as usize)
            .map(|n| {
                let t = n as f64 / rate;
                phase += std::f64::consts::TAU * (120.0 + 30.0 * t) / rate;
                let formant = 500.0 + 900.0 * t;
                let partials = (1..20).map(|k| {
                    let hz = 120.0 * f64::from(k);
                    let weight = 1.0 / (1.0 + ((hz - formant) / 300.0).powi(2));
                    weight * (f64::from(k) * phase).sin()
                });
                (0.1 * partials.sum::<f64>()) as f32
            })
            .collect()
    }

    fn fbank() -> FbankOptions {
        FbankOptions {
            num_mel_bins: 80,
            dither: 0.0,
            ..FbankOptions::default()
        }
    }

    /// Error of the magnitudes of features between a signal and what comes back from them, as a share of all.
    fn lost(options: FrontEndOptions, resynthesis: ResynthesisOptions) -> f64 {
        let front_end = FrontEnd::new(options.clone()).unwrap();
        let feats = front_end.compute(&buzz(16000.0)).unwrap();
        let back = Resynthesis::new(&options, resynthesis).unwrap();
        let samples = back.griffin_lim(feats.view()).unwrap();
        let again = front_end.compute(&samples).unwrap();
        assert_eq!(again.dim(), feats.dim());
        let [again, feats] = [again, feats].map(|log| log.mapv(|x| (0.5 * f64::from(x)).exp()));
        (&again - &feats).mapv(f64::abs).sum() / feats.sum()
    }

    #[test]
    fn features_come_back() {
        let quick = ResynthesisOptions {
            iterations: 30,
            ..Default::default()
        };
        let found = lost(fbank().into(), quick);
        assert!(found < 0.2, "{found}");
        let linear = MelOptions {
            sr: 16000.0,
            n_fft: 512,
            hop_length: 128,
            n_mels: 80,
            ..MelOptions::default()
        };
        let front_end = FrontEnd::new(FrontEndOptions::from(linear.clone())).unwrap();
        let feats = front_end.compute(&buzz(16000.0)).unwrap();
        let back = Resynthesis::new(&linear.into(), quick).unwrap();
        let again = front_end
            .compute(&back.griffin_lim(feats.view()).unwrap())
            .unwrap();
        let (gap, whole) = ((&again - &feats).mapv(f32::abs).sum(), feats.sum());
        assert!(gap / whole < 0.3, "{gap} of {whole}");
    }

    /// A buzz comes back as a voice of its pitch, with its features.
    #[test]
    fn voices_come_back() {
        let options = FrontEndOptions::from(FbankOptions {
            snip_edges: false,
            ..fbank()
        });
        let back = Resynthesis::new(&options, ResynthesisOptions::default()).unwrap();
        let front_end = FrontEnd::new(options).unwrap();
        let feats = front_end.compute(&buzz(16000.0)).unwrap();
        let contour = back.contour(&buzz(16000.0)).unwrap();
        assert!(contour.voiced().iter().all(|&voiced| voiced));
        let made = back.voice(feats.view(), &contour).unwrap();
        assert_eq!(made.len(), 16000);
        let again = back.contour(&made).unwrap();
        let voiced = again.voiced().iter().filter(|&&voiced| voiced).count();
        assert!(voiced >= 95, "{voiced}");
        for frame in 3..97 {
            let apart = again.hz(frame) / contour.hz(frame) - 1.0;
            assert!(apart.abs() < 0.02, "{frame}: {apart}");
        }
        let found = front_end.compute(&made).unwrap();
        let [found, feats_of] =
            [&found, &feats].map(|log| log.mapv(|x| (0.5 * f64::from(x)).exp()));
        let gap = (&found - &feats_of).mapv(f64::abs).sum() / feats_of.sum();
        assert!(gap < 0.3, "{gap}");
        let none = F0Contour::unvoiced(99);
        let error = back.voice(feats.view(), &none).unwrap_err().to_string();
        assert_eq!(
            error,
            "pitch: expected 100 frames, as the features, found 99"
        );
        let short = back.contour(&[0.1; 100]).unwrap();
        assert_eq!(short, F0Contour::unvoiced(1));
    }

    #[test]
    fn more_steps_and_momentum_come_nearer() {
        let of = |iterations, momentum| {
            let options = ResynthesisOptions {
                iterations,
                momentum,
                ..Default::default()
            };
            lost(fbank().into(), options)
        };
        let (few, many, fast) = (of(2, 0.0), of(30, 0.0), of(30, 0.99));
        assert!(many < few && fast < many, "{few} {many} {fast}");
    }

    #[test]
    fn front_ends_that_cannot_be_inverted_are_refused() {
        let options = ResynthesisOptions::default();
        let refused = |front_end: FrontEndOptions| {
            let error = Resynthesis::new(&front_end, options).unwrap_err();
            error.to_string()
        };
        let energy = FbankOptions {
            use_energy: true,
            ..fbank()
        };
        let mean = FbankOptions {
            subtract_mean: true,
            ..fbank()
        };
        for (front_end, found) in [
            (MfccOptions::default().into(), "mfcc, which has a cosine"),
            (energy.into(), "fbank with an energy column"),
            (mean.into(), "fbank, which changes values"),
        ] {
            let error = refused(front_end);
            assert!(error.contains(found), "{error}");
        }
        let back = Resynthesis::new(&fbank().into(), options).unwrap();
        for (feats, found) in [
            (Array2::zeros((0, 80)), "found 0 of 80"),
            (Array2::zeros((5, 79)), "found 5 of 79"),
            (Array2::from_elem((5, 80), f32::NAN), "found NaN"),
        ] {
            let error = back.griffin_lim(feats.view()).unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        }
        let none = ResynthesisOptions {
            iterations: 0,
            ..options
        };
        assert!(Resynthesis::new(&fbank().into(), none).is_err());
    }
}
