//! Export: the graph of front-end, normalisation and encoder, and its file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tch::Tensor;

use super::graph::{Graph, OPSETS, Value};
use super::layers::{Weights, linear_of};
use super::mask::Mask;
use super::proto::ElementKind::{Float, Int64};
use super::proto::Size::{self, Fixed, Named};
use super::{fhvae, front_end, normalisation, phonetic_encoder, sherpa, speaker_encoder};
use crate::error::{Error, Result, check_within};
use crate::inference::extract::Representation;
use crate::inference::module::{FORMAT, Input, Metadata};
use crate::io::atomic::AtomicFile;
use crate::method::config::{Config, MethodOptions};
use crate::method::disentangle::model::ModelOptions;
use crate::method::disentangle::regression::solution;
use crate::method::speech::ModelInfo;
use crate::nn::baseline::{BaselineOptions, principal};
use crate::signal::AnyFrontEndOptions;

/// An export.
#[derive(Debug)]
pub struct OnnxExport<'a> {
    /// The configuration of the networks.
    pub config: &'a Config,
    /// Their normalisation.
    pub info: &'a ModelInfo,
    /// Their weights, by name ([`crate::method::speech::load_weights`]).
    pub weights: &'a BTreeMap<String, Tensor>,
    /// [`Representation::Phonetic`] or [`Representation::Speaker`].
    pub representation: Representation,
    /// The front-end of the features, where it is known.
    pub front_end: Option<&'a AnyFrontEndOptions>,
    /// The model's input; a waveform requires a front-end.
    pub input: Input,
    /// Version of ONNX's operators, one of [`OPSETS`].
    pub opset: i64,
    /// The kind of the model.
    pub form: Form,
}

/// What a front-end inside a graph is for.
const INSIDE: &str = "to put into an ONNX model";

/// What a model takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole utterances.
    Whole,
    /// The next piece of a stream of features, and the states behind the piece before.
    Stream,
    /// What sherpa-onnx expects of a speaker model.
    Sherpa,
}

impl OnnxExport<'_> {
    /// Writes the model atomically.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key of what cannot be exported; errors of writing.
    pub fn write(&self, target: &Path) -> Result<Metadata> {
        check_within("--opset", self.opset, OPSETS)?;
        let metadata = self.metadata()?;
        let (graph, mut entries) = match self.form {
            Form::Whole => (Graph::default(), Vec::new()),
            Form::Stream => {
                self.check_stream()?;
                (Graph::of_stream(), Vec::new())
            }
            Form::Sherpa => (
                Graph::default(),
                sherpa::entries(self.front_end, metadata.dim)?,
            ),
        };
        self.build(&graph)?;
        let text = serde_json::to_string_pretty(&metadata)
            .map_err(|error| Error::format(target, "metadata", error.to_string()))?;
        entries.push(("unbraid.json", text));
        let bytes = graph.into_model("encoder", self.opset, &entries);
        let mut file = AtomicFile::create(target)?;
        file.write_all(&bytes).map_err(Error::io(target))?;
        file.commit()?;
        Ok(metadata)
    }

    /// Refuses what depends on later frames.
    fn check_stream(&self) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: &str| {
            let expected = format!("{expected} for a stream");
            Err(Error::option(key, expected, found))
        };
        match (self.representation, self.input) {
            (Representation::Phonetic, Input::Features) => {}
            (Representation::Phonetic, _) => {
                return refuse("--front-end", "features as input", "waveforms");
            }
            _ => return refuse("--output", "phonetic", "speaker"),
        }
        let encoder = match &self.config.method {
            MethodOptions::Dann(options) => &options.phonetic_encoder,
            MethodOptions::Fhvae(_) => {
                return refuse("method.name", "disentangle or dann", "fhvae");
            }
            _ => {
                let model = self.model()?;
                if model.baseline.is_some() {
                    return refuse("method.model.baseline", "none", "one");
                }
                if model.regress_speaker_out {
                    return refuse("method.model.regress_speaker_out", "false", "true");
                }
                &model.phonetic_encoder
            }
        };
        match encoder.causal {
            true => self.info.normalisation.check_streams(),
            false => refuse("phonetic_encoder.causal", "true", "false"),
        }
    }

    /// Adds everything from the inputs to the outputs.
    fn build(&self, graph: &Graph) -> Result<()> {
        let (feats, mask) = self.features(graph)?;
        let by_bin = feats.transpose(&[0, 2, 1]);
        let (x, mask) = normalisation::normalised(&self.info.normalisation, &by_bin, &mask);
        let weights = Weights::new(graph, self.weights);
        let batch = Named("batch".to_string());
        if self.representation == Representation::Speaker {
            let embeds = self.embedding(&weights, &x, &mask)?;
            graph.output("embeddings", &embeds, &[batch, Fixed(self.dim()?)]);
            return Ok(());
        }
        let (codes, mask) = self.codes(&weights, &x, &mask)?;
        let shape = [
            batch.clone(),
            Named("codes".to_string()),
            Fixed(self.dim()?),
        ];
        graph.output("codes", &codes.transpose(&[0, 2, 1]), &shape);
        if self.form == Form::Whole {
            graph.output("code_lengths", &mask.lengths, &[batch]);
        }
        Ok(())
    }

    /// Features `[batch, frames, bins]` and their mask, from the inputs.
    fn features<'g>(&self, graph: &'g Graph) -> Result<(Value<'g>, Mask<'g>)> {
        let named = |name: &str| Named(name.to_string());
        let batch = named("batch");
        let bins = Fixed(self.info.normalisation.bins() as i64);
        let lengths = || graph.input("lengths", Int64, &[named("batch")]);
        let shape: [Size; 3] = [batch.clone(), named("frames"), bins];
        match (self.input, self.front_end) {
            (Input::Waveform, Some(options)) => {
                let waveforms = graph.input("waveforms", Float, &[batch, named("samples")]);
                front_end::features(options.spectral(INSIDE)?, &waveforms, &lengths())
            }
            (Input::Waveform, None) => {
                let expected = "an experiment whose data.front_end names one";
                Err(Error::option("--front-end", expected, "none"))
            }
            (Input::Features, _) => {
                let feats = graph.input("features", Float, &shape);
                let frames = feats.size(1);
                let lengths = match self.form {
                    Form::Whole => lengths().min(&frames),
                    // One length for all of the batch.
                    Form::Stream | Form::Sherpa => frames.expand_to(&feats.size(0)),
                };
                let mask = Mask::new(lengths, frames);
                Ok((feats, mask))
            }
        }
    }

    /// The networks of a method that has both encoders.
    fn model(&self) -> Result<&ModelOptions> {
        let found = match &self.config.method {
            MethodOptions::Disentangle(options) => return Ok(&options.model),
            MethodOptions::Fhvae(_) => "fhvae",
            MethodOptions::Dann(_) => "dann",
            MethodOptions::Recogniser(_) => "recogniser",
        };
        let expected = match self.representation {
            Representation::Speaker => "disentangle or fhvae, which have a speaker encoder",
            _ => "disentangle, fhvae or dann, which have a phonetic encoder",
        };
        Err(Error::option("method.name", expected, found))
    }

    /// Values per code or embedding.
    fn dim(&self) -> Result<i64> {
        let bins = self.info.normalisation.bins() as i64;
        Ok(match (&self.config.method, self.representation) {
            (MethodOptions::Dann(options), Representation::Phonetic) => {
                options.phonetic_encoder.code_dim
            }
            (MethodOptions::Fhvae(options), Representation::Phonetic) => options.code_dim,
            (MethodOptions::Fhvae(options), Representation::Speaker) => options.embedding_dim,
            (_, Representation::Phonetic) => self.model()?.code_dim(bins),
            (_, Representation::Speaker) => self.model()?.speaker_encoder.outputs(bins),
            _ => return Err(Error::option("--output", "phonetic or speaker", "another")),
        })
    }

    fn embedding<'g>(
        &self,
        weights: &Weights<'g>,
        feats: &Value<'g>,
        mask: &Mask<'g>,
    ) -> Result<Value<'g>> {
        if let MethodOptions::Fhvae(options) = &self.config.method {
            return Ok(fhvae::embedding(options, weights, feats, mask));
        }
        let (options, weights) = (
            &self.model()?.speaker_encoder,
            weights.at("speaker_encoder"),
        );
        Ok(speaker_encoder::embedding(options, &weights, feats, mask))
    }

    fn codes<'g>(
        &self,
        weights: &Weights<'g>,
        feats: &Value<'g>,
        mask: &Mask<'g>,
    ) -> Result<(Value<'g>, Mask<'g>)> {
        if let MethodOptions::Dann(options) = &self.config.method {
            let (options, weights) = (&options.phonetic_encoder, weights.at("extractor"));
            return Ok(phonetic_encoder::codes(options, &weights, feats, mask));
        }
        if let MethodOptions::Fhvae(options) = &self.config.method {
            return Ok(fhvae::codes(options, weights, feats, mask));
        }
        let model = self.model()?;
        if model.ssl_layers.is_some() {
            let expected = "none in an ONNX model (a TorchScript module has them: name it FILE.pt)";
            return Err(Error::option("method.model.ssl_layers", expected, "some"));
        }
        let own = weights.at("phonetic_encoder");
        let (codes, own) = match model.baseline {
            None => phonetic_encoder::codes(&model.phonetic_encoder, &own, feats, mask),
            Some(baseline) => (fixed(baseline, &own, feats, mask), mask.clone()),
        };
        if !model.regress_speaker_out {
            return Ok((codes, own));
        }
        let embeds = self.embedding(weights, feats, mask)?;
        let sums = weights.at("regression");
        let map = solution(sums.tensor("embeds"), sums.tensor("both"));
        let predicted = linear_of(&embeds, &sums, &map).reshape(&[0, -1, 1]);
        Ok((own.apply(&codes.sub(&predicted)), own))
    }

    fn metadata(&self) -> Result<Metadata> {
        let least = match (self.input, self.front_end) {
            (Input::Waveform, Some(options)) => {
                front_end::least_samples(options.spectral(INSIDE)?)?
            }
            _ => 1,
        };
        let subsampling = match &self.config.method {
            _ if self.representation == Representation::Speaker => None,
            MethodOptions::Dann(options) => Some(options.phonetic_encoder.subsampling),
            MethodOptions::Fhvae(options) => Some(options.hop_frames),
            _ => Some(self.model()?.subsampling()),
        };
        Metadata {
            format: FORMAT,
            representation: self.representation,
            input: self.input,
            least,
            bins: self.info.normalisation.bins(),
            dim: self.dim()? as usize,
            subsampling,
            sample_rate_hz: None,
            frame_shift_s: None,
            front_end: None,
        }
        .of_front_end(self.front_end)
    }
}

/// Features `[batch, bins, frames]` to the codes of a baseline, of the same shape.
fn fixed<'g>(
    baseline: BaselineOptions,
    weights: &Weights<'g>,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let directions = match baseline {
        BaselineOptions::Standardise => return mask.instance_norm(feats),
        BaselineOptions::SpeakerPca { directions } => directions,
    };
    let (means, present) = (weights.tensor("means"), weights.tensor("seen"));
    let (centre, across) = principal(means, present, directions);
    let centred = feats.sub(&weights.made("centre", &centre));
    let part = weights.made("directions_transposed", &across.tr());
    let part = weights
        .made("directions", &across)
        .matmul(&part.matmul(&centred));
    mask.apply(&feats.sub(&part))
}
