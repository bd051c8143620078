//! Masks of padded batches, and statistics over frames without padding, so that an utterance gives the same numbers in
//! any batch.

use tch::{Device, Kind, Tensor};

/// The frames of a padded batch that are real, that is, not padding. A batch without padding needs no computation.
#[derive(Debug)]
pub struct Mask {
    lengths: Vec<i64>,
    frames: i64,
    /// `[batch, 1, frames]` of ones and zeros; none when nothing is padded.
    ones: Option<Tensor>,
}

impl Mask {
    /// For sequences of `lengths` frames each, padded to the longest.
    pub fn new(lengths: &[i64], device: Device) -> Self {
        Self::of_frames(lengths, lengths.iter().copied().max().unwrap_or(0), device)
    }

    /// For sequences of `lengths` frames each, padded to `frames`.
    pub fn of_frames(lengths: &[i64], frames: i64, device: Device) -> Self {
        let padded = lengths.iter().any(|&length| length < frames);
        let ones = padded.then(|| {
            let positions = Tensor::arange(frames, (Kind::Int64, device)).reshape([1, 1, frames]);
            let ends = Tensor::from_slice(lengths).to(device).reshape([-1, 1, 1]);
            positions.lt_tensor(&ends).to_kind(Kind::Float)
        });
        Self {
            lengths: lengths.to_vec(),
            frames,
            ones,
        }
    }

    /// Real frames of each sequence.
    pub fn lengths(&self) -> &[i64] {
        &self.lengths
    }

    /// Frames of the padded batch.
    pub fn frames(&self) -> i64 {
        self.frames
    }

    /// The mask after a convolution of stride `stride` that rounds up.
    pub fn subsample(&self, stride: i64) -> Mask {
        Mask {
            lengths: self
                .lengths
                .iter()
                .map(|n| (n + stride - 1) / stride)
                .collect(),
            frames: (self.frames + stride - 1) / stride,
            ones: self
                .ones
                .as_ref()
                .map(|ones| ones.slice(2, 0, self.frames, stride)),
        }
    }

    /// The mask after each frame has been repeated twice.
    pub fn double(&self) -> Mask {
        Mask {
            lengths: self.lengths.iter().map(|n| 2 * n).collect(),
            frames: 2 * self.frames,
            ones: self
                .ones
                .as_ref()
                .map(|ones| ones.repeat_interleave_self_int(2, 2, None)),
        }
    }

    /// The mask of pairs of sequences, at places `left` and `right`, each `[pairs]`: the frames that both have.
    pub fn shorter(&self, left: &Tensor, right: &Tensor) -> Mask {
        let ones = self.ones.as_ref().map(|ones| {
            let of = |places: &Tensor| ones.index_select(0, places);
            of(left) * of(right)
        });
        let places = |t: &Tensor| Vec::<i64>::try_from(t.to(Device::Cpu)).unwrap_or_default();
        let lengths = places(left).into_iter().zip(places(right));
        let length = |place: i64| self.lengths[place as usize];
        Mask {
            lengths: lengths.map(|(l, r)| length(l).min(length(r))).collect(),
            frames: self.frames,
            ones,
        }
    }

    /// For each sequence of `[batch, channels, frames]`, a window of at most `length` frames at a random place.
    pub fn window(&self, x: &Tensor, length: i64) -> (Tensor, Mask) {
        let length = length.min(self.frames);
        let kept: Vec<i64> = self.lengths.iter().map(|&n| n.min(length)).collect();
        let spare: Vec<i64> = self.lengths.iter().zip(&kept).map(|(n, k)| n - k).collect();
        let places = Tensor::from_slice(&spare).to(x.device()).unsqueeze(1) + 1;
        let start = (Tensor::rand(places.size(), (Kind::Float, x.device())) * places).floor();
        let frame = Tensor::arange(length, (Kind::Int64, x.device())).unsqueeze(0);
        let from = (start.to_kind(Kind::Int64) + frame).unsqueeze(1);
        let window = x.gather(2, &from.expand([-1, x.size()[1], -1], false), false);
        (window, Mask::of_frames(&kept, length, x.device()))
    }

    /// `[batch, 1, frames]` of ones where a frame is real and zeros where it is not; none when nothing is padded.
    pub fn ones(&self) -> Option<&Tensor> {
        self.ones.as_ref()
    }

    /// `[batch, 1, frames]` of booleans, true where a frame is real; none when nothing is padded.
    pub fn real(&self) -> Option<Tensor> {
        self.ones.as_ref().map(|ones| ones.gt(0.5))
    }

    /// 1 for real frames, 0 for padding, `[batch * frames]`.
    pub fn flat_real(&self, device: Device) -> Tensor {
        match &self.ones {
            Some(ones) => ones.reshape([-1]),
            None => {
                let frames = self.lengths.len() as i64 * self.frames;
                Tensor::ones([frames], (Kind::Float, device))
            }
        }
    }

    /// Mean of `[batch, channels, frames]` over the real frames of all sequences, `[channels]`.
    pub fn mean_of_all(&self, x: &Tensor) -> Tensor {
        let real: i64 = self.lengths.iter().sum();
        let sum = self
            .apply(x.shallow_clone())
            .sum_dim_intlist(&[0i64, 2][..], false, Kind::Float);
        sum / real.max(1) as f64
    }

    /// Standard deviation of `[batch, channels, frames]` over the real frames of all sequences, a mean over channels; without
    /// a gradient.
    pub fn deviation_of_all(&self, x: &Tensor) -> Tensor {
        let x = x.detach();
        let centred = &x - self.mean_of_all(&x).reshape([1, -1, 1]);
        self.mean_of_all(&centred.square()).sqrt().mean(Kind::Float)
    }

    /// Each sequence reversed in time, with its padding still at the end: `[batch, channels, frames]`. Applied twice it
    /// restores the input.
    pub fn reverse(&self, x: &Tensor) -> Tensor {
        if self.ones.is_none() {
            return x.flip([2]);
        }
        let place = Tensor::arange(self.frames, (Kind::Int64, x.device())).unsqueeze(0);
        let last = Tensor::from_slice(&self.lengths)
            .to(x.device())
            .unsqueeze(1)
            - 1;
        let mirrored: Tensor = last - &place;
        let from = mirrored.where_self(&mirrored.ge(0), &place);
        x.gather(2, &from.unsqueeze(1).expand_as(x), false)
    }

    /// Zeroes the padding of `[batch, channels, frames]`, which then acts as the zero padding of a convolution.
    pub fn apply(&self, x: Tensor) -> Tensor {
        match &self.ones {
            None => x,
            Some(ones) => x * ones,
        }
    }

    /// Mean and standard deviation over the real frames of `[batch, channels, frames]`, each
    /// `[batch, channels, 1]`.
    pub fn mean_std(&self, x: &Tensor) -> (Tensor, Tensor) {
        let (mean, variance) = self.moments(x);
        (mean, (variance + 1e-5).sqrt())
    }

    /// Instance normalisation (Ulyanov et al. 2016) without scale and shift: each channel of each sequence gets mean 0
    /// and variance 1 over its real frames. The padding of the output is zero.
    pub fn instance_norm(&self, x: &Tensor) -> Tensor {
        let Some(ones) = &self.ones else {
            return Tensor::instance_norm(
                x,
                None::<&Tensor>,
                None::<&Tensor>,
                None::<&Tensor>,
                None::<&Tensor>,
                true,
                0.1,
                1e-5,
                false,
            );
        };
        // Padding is zero from the first product on, because each further pass over the frames costs as much as a good
        // part of a convolution.
        let counts = self.counts();
        let mean_of = |x: &Tensor| x.sum_dim_intlist(&[2i64][..], true, Kind::Float) / &counts;
        let real = x * ones;
        let centred = real.addcmul(&mean_of(&real).neg(), ones);
        let variance = mean_of(&centred.square());
        centred * (variance + 1e-5).rsqrt()
    }

    /// Sums over the real frames, `[batch, channels, 1]`, divided by their number.
    pub fn mean(&self, x: &Tensor) -> Tensor {
        match &self.ones {
            None => x.mean_dim(&[2i64][..], true, Kind::Float),
            Some(ones) => {
                (x * ones).sum_dim_intlist(&[2i64][..], true, Kind::Float) / self.counts()
            }
        }
    }

    /// Number of real frames of each sequence of `[batch, channels, frames]`, `[batch, 1, 1]`.
    pub fn counts_of(&self, x: &Tensor) -> Tensor {
        let ones = match &self.ones {
            None => &x.narrow(1, 0, 1).ones_like(),
            Some(ones) => ones,
        };
        ones.sum_dim_intlist(&[2i64][..], true, Kind::Float)
    }

    fn moments(&self, x: &Tensor) -> (Tensor, Tensor) {
        let mean = self.mean(x);
        let centred = x - &mean;
        let variance = self.mean(&(&centred * &centred));
        (mean, variance)
    }

    fn counts(&self) -> Tensor {
        let device = self.ones.as_ref().map_or(Device::Cpu, Tensor::device);
        Tensor::from_slice(&self.lengths)
            .to_kind(Kind::Float)
            .to(device)
            .clamp_min(1.0)
            .reshape([-1, 1, 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_inside_its_sequence() {
        tch::manual_seed(0);
        let lengths = [50, 20, 5];
        let mask = Mask::new(&lengths, Device::Cpu);
        let place = Tensor::arange(50, (Kind::Float, Device::Cpu)).expand([3, 2, -1], false);
        let mut starts = [0.0f64; 3];
        for _ in 0..200 {
            let (window, kept) = mask.window(&place, 20);
            assert_eq!(
                (window.size(), kept.lengths()),
                (vec![3, 2, 20], &[20, 20, 5][..])
            );
            assert_eq!(
                window
                    .diff::<Tensor>(1, 2, None, None)
                    .ne(1.0)
                    .any()
                    .int64_value(&[]),
                0
            );
            for (at, start) in starts.iter_mut().enumerate() {
                *start = start.max(window.double_value(&[at as i64, 1, 0]));
            }
        }
        assert_eq!(starts, [30.0, 0.0, 0.0]);
        assert_eq!(mask.window(&place, 60).0, place);
    }

    #[test]
    fn padding_does_not_reach_statistics() {
        let x = Tensor::randn([1, 3, 9], (Kind::Float, Device::Cpu));
        let alone = Mask::new(&[9], Device::Cpu);
        let batch = Tensor::cat(
            &[
                x.constant_pad_nd([0, 5]),
                Tensor::ones([1, 3, 14], (Kind::Float, Device::Cpu)),
            ],
            0,
        );
        let mask = Mask::new(&[9, 14], Device::Cpu);
        for (one, many) in [
            (
                alone.instance_norm(&x),
                mask.instance_norm(&batch).narrow(2, 0, 9),
            ),
            (alone.mean_std(&x).0, mask.mean_std(&batch).0),
            (alone.mean_std(&x).1, mask.mean_std(&batch).1),
        ] {
            let gap = (one - many.narrow(0, 0, 1)).abs().max().double_value(&[]);
            assert!(gap < 1e-5, "{gap}");
        }
    }

    #[test]
    fn reversing_leaves_padding_at_the_end() {
        let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 7.0]).reshape([2, 1, 4]);
        let mask = Mask::new(&[3, 4], Device::Cpu);
        let back: Vec<f32> = Vec::try_from(mask.reverse(&x).reshape([-1])).unwrap();
        assert_eq!(back, [3.0, 2.0, 1.0, 0.0, 7.0, 6.0, 5.0, 4.0]);
        assert_eq!(mask.reverse(&mask.reverse(&x)), x);
    }

    #[test]
    fn a_pair_has_the_frames_of_its_shorter_sequence() {
        let mask = Mask::new(&[5, 8, 1], Device::Cpu);
        let places = |places: &[i64]| Tensor::from_slice(places);
        let pairs = mask.shorter(&places(&[0, 1]), &places(&[1, 2]));
        assert_eq!(pairs.lengths(), [5, 1]);
        let kept = pairs.real().unwrap().to_kind(Kind::Int64).sum(Kind::Int64);
        assert_eq!(kept.int64_value(&[]), 6);
    }

    #[test]
    fn subsampling_follows_the_convolution() {
        let mask = Mask::new(&[5, 8, 1], Device::Cpu).subsample(2);
        assert_eq!((mask.lengths(), mask.frames()), (&[3, 4, 1][..], 4));
        let kept = mask.real().unwrap().to_kind(Kind::Int64).sum(Kind::Int64);
        assert_eq!(kept.int64_value(&[]), 8);
    }
}
