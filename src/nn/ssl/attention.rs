//! Self-attention with the gated relative position bias of WavLM (Chen et al. 2022, section III.B) where the model has one.

use tch::{Device, Kind, Tensor};

use super::weights::{Affine, Source};
use super::{SslConfig, SslKind};

/// What may attend to what in a batch.
pub(super) struct Attended {
    /// WavLM's bias of positions, `[heads, frames, frames]`.
    pub(super) bias: Option<Tensor>,
    /// Frames without padding, `[batch, 1, 1, frames]`, where there is some.
    pub(super) real: Option<Tensor>,
}

/// Heads of attention.
pub(super) struct Attention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    heads: i64,
    gate: Option<Gate>,
}

/// What scales the position bias of each head and frame.
struct Gate {
    linear: Affine,
    constant: Tensor,
}

impl Attention {
    pub(super) fn take<S: Source>(
        weights: &mut S,
        name: &str,
        config: &SslConfig,
    ) -> Result<Self, S::Error> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let mut projection = |part: &str| weights.linear(&format!("{name}.{part}"), hidden, hidden);
        Ok(Self {
            query: projection("q_proj")?,
            key: projection("k_proj")?,
            value: projection("v_proj")?,
            output: projection("out_proj")?,
            heads,
            gate: match config.model_type {
                SslKind::Hubert | SslKind::Wav2Vec2 => None,
                SslKind::WavLm => Some(Gate {
                    linear: weights.linear(
                        &format!("{name}.gru_rel_pos_linear"),
                        hidden / heads,
                        8,
                    )?,
                    constant: weights
                        .take(&format!("{name}.gru_rel_pos_const"), &[1, heads, 1, 1])?,
                }),
            },
        })
    }

    /// `[batch, frames, hidden]` to the same.
    pub(super) fn forward(&self, x: &Tensor, attended: &Attended) -> Tensor {
        let by_head = |x: Tensor| x.unflatten(2, [self.heads, -1]).transpose(1, 2);
        let bias = match (&self.gate, &attended.bias) {
            (Some(gate), Some(bias)) => Some(gate.of(&by_head(x.shallow_clone())) * bias),
            _ => None,
        };
        let limits = match (bias, &attended.real) {
            (Some(bias), Some(real)) => {
                Some(bias.masked_fill(&real.logical_not(), f64::NEG_INFINITY))
            }
            (bias, real) => bias.or_else(|| real.as_ref().map(Tensor::shallow_clone)),
        };
        let found = Tensor::scaled_dot_product_attention(
            &by_head(self.query.linear(x)),
            &by_head(self.key.linear(x)),
            &by_head(self.value.linear(x)),
            limits,
            0.0,
            false,
            None,
            false,
        );
        self.output.linear(&found.transpose(1, 2).flatten(2, 3))
    }
}

impl Gate {
    /// Factors `[1, heads, frames, 1]` of `[1, heads, frames, size]`.
    fn of(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let parts = self
            .linear
            .linear(x)
            .view([size[0], size[1], size[2], 2, 4]);
        let parts = parts
            .sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
            .sigmoid();
        let (update, reset) = (parts.narrow(-1, 0, 1), parts.narrow(-1, 1, 1));
        update * (reset * &self.constant - 1.0) + 2.0
    }
}

/// A bias of each head by the distance of two frames, in buckets that widen.
pub(super) struct PositionBias {
    /// `[buckets, heads]`.
    embedding: Tensor,
    buckets: i64,
    longest: i64,
}

impl PositionBias {
    pub(super) fn take<S: Source>(weights: &mut S, config: &SslConfig) -> Result<Self, S::Error> {
        let (buckets, heads) = (config.num_buckets, config.num_attention_heads);
        let name = "encoder.layers.0.attention.rel_attn_embed.weight";
        Ok(Self {
            embedding: weights.take(name, &[buckets, heads])?,
            buckets,
            longest: config.max_bucket_distance,
        })
    }

    /// `[heads, frames, frames]`.
    pub(super) fn of(&self, frames: i64) -> Tensor {
        let distances: Vec<i64> = (1 - frames..frames)
            .map(|distance| self.bucket(distance))
            .collect();
        let device = self.embedding.device();
        let by_distance = self
            .embedding
            .index_select(0, &Tensor::from_slice(&distances).to_device(device));
        // Row `query` has the distances from -query on.
        let options = (Kind::Int64, Device::Cpu);
        let keys = Tensor::arange(frames, options).view([1, frames]);
        let queries = Tensor::arange(frames, options).view([frames, 1]);
        let places = (keys - queries + (frames - 1)).view([-1]).to_device(device);
        by_distance
            .transpose(0, 1)
            .index_select(1, &places)
            .view([-1, frames, frames])
    }

    /// The bucket of a key so many frames behind the query.
    fn bucket(&self, distance: i64) -> i64 {
        let half = self.buckets / 2;
        let exact = half / 2;
        let side = if distance > 0 { half } else { 0 };
        let distance = distance.abs();
        if distance < exact {
            return side + distance;
        }
        // In single precision, as where the buckets were trained.
        let ratio = (distance as f32 / exact as f32).ln()
            / (self.longest as f64 / exact as f64).ln() as f32;
        let wide = exact + (ratio * (half - exact) as f32) as i64;
        side + wide.min(half - 1)
    }
}
