//! Noise that keeps logarithms of digital silence finite, as Kaldi adds it to every frame.

use super::lanes::LANES;

/// Samples whose noise is made at once: each lane makes two.
const BLOCK: usize = 2 * LANES;
/// The golden ratio's fraction of 2^32, odd: its multiples are spread evenly (Weyl's sequence).
const GOLDEN: u32 = 0x9e37_79b9;

/// Gaussian noise. A frame's noise is a function of seed and place alone, so that the same samples give the same
/// features in any order, whole or streamed, and on every thread. It is made by a generator that has no state but the
/// sample's number, so that samples lie side by side in vectors.
#[derive(Debug, Clone)]
pub(super) struct Dither {
    deviation: f32,
    seed: u64,
}

impl Dither {
    /// Noise of a standard deviation in units of the samples (full scale 1); none for 0.
    pub(super) fn new(deviation: f32, seed: u64) -> Option<Self> {
        let seed = mixed(seed);
        (deviation > 0.0).then_some(Self { deviation, seed })
    }

    /// Writes `frame`, number `index` of its signal, with its noise into `noisy` of the same length.
    #[inline(always)]
    pub(super) fn add(&self, index: usize, frame: &[f32], noisy: &mut [f32]) {
        let mut noise = Noise::new(mixed(self.seed.wrapping_add(index as u64)), self.deviation);
        let (blocks, rest) = frame.as_chunks::<BLOCK>();
        let (noisy_blocks, noisy_rest) = noisy.as_chunks_mut::<BLOCK>();
        for (to, from) in noisy_blocks.iter_mut().zip(blocks) {
            *to = noise.onto(*from);
        }
        if !rest.is_empty() {
            let mut last = [0.0; BLOCK];
            last[..rest.len()].copy_from_slice(rest);
            noisy_rest.copy_from_slice(&noise.onto(last)[..rest.len()]);
        }
    }
}

/// The noise of a frame, block after block.
struct Noise {
    deviation: f32,
    key: u32,
    places: [u32; LANES],
}

impl Noise {
    #[inline(always)]
    fn new(key: u64, deviation: f32) -> Self {
        let mut places = [key as u32; LANES];
        for (lane, place) in places.iter_mut().enumerate() {
            *place = place.wrapping_add(GOLDEN.wrapping_mul(lane as u32));
        }
        Self {
            deviation,
            key: (key >> 32) as u32,
            places,
        }
    }

    /// The next samples with their noise. All steps are over arrays of lanes, of which each is one vector.
    #[inline(always)]
    fn onto(&mut self, samples: [f32; BLOCK]) -> [f32; BLOCK] {
        let mut noise = [[0.0; LANES]; 2];
        for (lane, &place) in self.places.iter().enumerate() {
            let [one, other] = gaussians(hashed(place, self.key), self.deviation);
            noise[0][lane] = one;
            noise[1][lane] = other;
        }
        for place in &mut self.places {
            *place = place.wrapping_add(GOLDEN.wrapping_mul(LANES as u32));
        }
        let mut noisy = samples;
        for (half, noise) in noise.iter().enumerate() {
            for lane in 0..LANES {
                noisy[half * LANES + lane] += noise[lane];
            }
        }
        noisy
    }
}

/// The finalisation of SplitMix64 (Steele, Lea and Flood 2014), a bijection whose result looks random.
#[inline(always)]
fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The same for 32 bits, two rounds with a key between them. Multipliers and shifts are of C. Wellons' search for
/// hashes of little bias (lowbias32, in the public domain).
#[inline(always)]
fn hashed(mut x: u32, key: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_add(key);
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Two independent normal numbers of 32 random bits (Box and Muller 1958), up to 5.8 deviations. The polynomials are exact to
/// 2e-4 of their value, which no histogram shows, and have no branch.
#[inline(always)]
fn gaussians(random: u32, deviation: f32) -> [f32; 2] {
    // One decides the radius and the other the angle: 2^32 points of a lattice in the unit square.
    let (for_radius, for_angle) = (random >> 8, random.wrapping_mul(0xadb4_a92d));
    let radius = deviation * radius(for_radius + 1);
    // Within a quarter of a turn to both sides; the last bit turns by half a turn.
    let turn = ((for_angle as i32) >> 8) as f32 * (1.0 / 8_388_608.0);
    let radius = f32::from_bits(radius.to_bits() ^ (for_angle << 31));
    let square = turn * turn;
    let sine = turn * (1.570_657_4 + square * (-0.643_457_8 + square * 0.072_934_65));
    let cosine =
        0.999_993_2 + square * (-1.233_482_8 + square * (0.252_575_77 - square * 0.019_092_76));
    [radius * cosine, radius * sine]
}

/// `sqrt(-2 ln u)` of `u = number / 2^24`, from 1 to 2^24: with `number = 2^e m` and `m` in `[sqrt(1/2), sqrt(2))`, the
/// logarithm of `m` is a polynomial that is 0 at 1.
#[inline(always)]
fn radius(number: u32) -> f32 {
    /// sqrt(1/2), as bits.
    const HALF_ROOT: u32 = 0x3f35_04f3;
    /// `-2 ln(1 + f) / f`, highest power first.
    const POLYNOMIAL: [f32; 4] = [0.540_204_6, -0.673_375_6, 0.999_004_2, -1.999_924_3];
    let bits = (number as i32 as f32).to_bits();
    let exponent = (bits.wrapping_sub(HALF_ROOT) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32)) - 1.0;
    let mut sum = -0.346_972_63;
    for coefficient in POLYNOMIAL {
        sum = sum * f + coefficient;
    }
    (f * sum + (24 - exponent) as f32 * (2.0 * std::f32::consts::LN_2)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(deviation: f32, seed: u64, index: usize, length: usize) -> Vec<f32> {
        let mut frame = vec![0.0; length];
        let dither = Dither::new(deviation, seed).unwrap();
        dither.add(index, &vec![0.0; length], &mut frame);
        frame
    }

    #[test]
    fn noise_is_a_function_of_seed_and_place() {
        let first = noise(2.0, 3, 5, 400);
        assert_eq!(first, noise(2.0, 3, 5, 400));
        assert_ne!(first, noise(2.0, 3, 6, 400));
        assert_ne!(first, noise(2.0, 4, 5, 400));
        for length in [1, 7, 16, 17, 399] {
            assert_eq!(noise(2.0, 3, 5, length), first[..length]);
        }
        let doubled: Vec<f32> = noise(1.0, 3, 5, 400).iter().map(|x| 2.0 * x).collect();
        assert_eq!(doubled, first);
        assert!(Dither::new(0.0, 1).is_none());
    }

    /// A million numbers of frames as fbank cuts them: moments, shares of the normal distribution, and no relation
    /// between samples that are close, one above the other in a vector, or in neighbouring frames.
    #[test]
    fn noise_is_gaussian_and_white() {
        let all: Vec<f64> = (0..2500)
            .flat_map(|frame| noise(1.0, 1, frame, 400))
            .map(f64::from)
            .collect();
        let count = all.len() as f64;
        let mean = |of: &dyn Fn(f64) -> f64| all.iter().map(|&x| of(x)).sum::<f64>() / count;
        // Four deviations of each.
        for (found, expected, variance) in [
            (mean(&|x| x), 0.0, 1.0),
            (mean(&|x| x * x), 1.0, 2.0),
            (mean(&|x| x.powi(3)), 0.0, 15.0),
            (mean(&|x| x.powi(4)), 3.0, 96.0),
            (mean(&|x| x.powi(6)), 15.0, 10_170.0),
        ] {
            let bound = 4.0 * f64::sqrt(variance / count);
            assert!(
                (found - expected).abs() < bound,
                "{found}: {expected} +- {bound}"
            );
        }
        for (size, share) in [
            (0.5, 0.382_925),
            (1.0, 0.682_689),
            (2.0, 0.954_500),
            (3.0, 0.997_300),
            (4.0, 0.999_937),
        ] {
            let found = mean(&|x| f64::from(x.abs() < size));
            let bound = 4.0 * f64::sqrt(share * (1.0 - share) / count);
            assert!((found - share).abs() < bound, "within {size}: {found}");
        }
        for lag in [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 399, 400, 401, 800] {
            let pairs = || all.iter().zip(&all[lag..]);
            let product = pairs().map(|(a, b)| a * b).sum::<f64>() / count.sqrt();
            let squares = pairs().map(|(a, b)| (a * a - 1.0) * (b * b - 1.0));
            let squares = squares.sum::<f64>() / (4.0 * count).sqrt();
            assert!(
                product.abs() < 4.0 && squares.abs() < 4.0,
                "{lag}: {product} {squares}"
            );
        }
    }
}
