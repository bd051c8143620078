//! A recording brought to a given level below full scale.

/// Samples above this are bent, so that none reaches full scale.
const KNEE: f64 = 0.7;
/// Halvings of the interval that a gain is sought in.
const STEPS: usize = 40;

/// Brings samples to the mean power `power` (of full scale 1) over all of them. Where a plain gain would leave full scale, peaks
/// are bent (`tanh` above 0.7) and the gain is as much larger. Silence stays silent; a power beyond what full scale allows is met
/// as far as it goes.
///
/// ```
/// use unbraid::signal::loudness::set_power;
///
/// let mut samples: Vec<f32> = (0..100).map(|n| if n == 50 { 0.5 } else { 0.01 }).collect();
/// set_power(&mut samples, 0.01);
/// let power = samples.iter().map(|x| x * x).sum::<f32>() / 100.0;
/// assert!((power - 0.01).abs() < 1e-4 && samples.iter().all(|x| x.abs() < 1.0));
/// ```
pub fn set_power(samples: &mut [f32], power: f64) {
    let own = mean_power(samples);
    if own == 0.0 {
        return;
    }
    let peak = samples.iter().fold(0f32, |most, x| most.max(x.abs()));
    let plain = (power / own).sqrt();
    let gain = match plain * f64::from(peak) <= KNEE {
        true => plain,
        false => {
            let (mut low, mut high) = (plain.ln(), plain.ln() + 5.0);
            for _ in 0..STEPS {
                let gain = 0.5 * (low + high);
                match power_of(samples, |x| bent(x * gain.exp())) < power {
                    true => low = gain,
                    false => high = gain,
                }
            }
            low.exp()
        }
    };
    for sample in samples {
        *sample = bent(f64::from(*sample) * gain) as f32;
    }
}

/// The mean of squares; 0 for no samples.
pub fn mean_power(samples: &[f32]) -> f64 {
    power_of(samples, |x| x)
}

fn power_of(samples: &[f32], map: impl Fn(f64) -> f64) -> f64 {
    let sum: f64 = samples.iter().map(|&x| map(f64::from(x)).powi(2)).sum();
    sum / samples.len().max(1) as f64
}

fn bent(x: f64) -> f64 {
    let above = x.abs() - KNEE;
    match above > 0.0 {
        true => x.signum() * (KNEE + (1.0 - KNEE) * (above / (1.0 - KNEE)).tanh()),
        false => x,
    }
}
