//! A training step of the speech method in configurations of the recipes, on one thread, in f32 and bf16, compared with the
//! same networks, losses, batch and optimisers in PyTorch, eager and compiled by torch.compile (whose minutes of compiling are
//! not timed). Neither side counts the loading of batches. Seconds are those of the process.

#[path = "harness/mod.rs"]
mod harness;

use std::path::Path;

use harness::{Baseline, Report, here_by_processor, is_asked_for};
use tch::{Device, Kind, Tensor};
use unbraid::dataset::batch::SpeechBatch;
use unbraid::dataset::sampler::SamplerOptions;
use unbraid::method::config::{Config, MethodOptions};
use unbraid::method::disentangle::{Disentangle, DisentangleShape};
use unbraid::method::run::{Overrides, Run};
use unbraid::train::{Clock, Method, Scalars};

// As the command.
#[cfg(feature = "jemalloc")]
unbraid::tensor_memory!();

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A configuration of a recipe, and what its data has.
struct Task {
    name: &'static str,
    configuration: &'static str,
    /// What it has otherwise than the recipe.
    set: &'static [&'static str],
    bins: i64,
    labels: i64,
    speakers: i64,
    /// Steps per round.
    steps: u64,
}

const TASKS: [Task; 4] = [
    Task {
        name: "mini",
        configuration: "recipes/mini/conf/default.toml",
        set: &[],
        bins: 40,
        labels: 48,
        speakers: 24,
        steps: 5,
    },
    Task {
        name: "phones",
        configuration: "recipes/speechocean762/conf/phones_aligned.toml",
        set: &[],
        bins: 80,
        labels: 40,
        speakers: 330,
        steps: 1,
    },
    Task {
        name: "hubert",
        configuration: "recipes/speechocean762/conf/hubert.toml",
        set: &[],
        bins: 80,
        labels: 100,
        speakers: 125,
        steps: 2,
    },
    Task {
        name: "ecapa",
        configuration: "recipes/speechocean762/conf/xvector.toml",
        set: &["method.model.speaker_encoder.backbone=\"ecapa\""],
        bins: 80,
        labels: 0,
        speakers: 330,
        steps: 2,
    },
];

impl Task {
    fn config(&self) -> Config {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.configuration);
        let overrides = Overrides {
            settings: self.set.iter().map(|set| set.to_string()).collect(),
            ..Overrides::default()
        };
        match Run::read(&path, &overrides).expect("a configuration") {
            Run::Speech(config) => *config,
            Run::Images(_) => panic!("{}: of images", self.configuration),
        }
    }

    fn batch(&self, config: &Config) -> SpeechBatch {
        let frames = config.data.crop_frames as i64;
        let (batch, utterances) = match config.data.sampler {
            SamplerOptions::Speakers {
                speakers,
                utterances,
            } => (speakers * utterances, utterances),
            SamplerOptions::Frames { frames: every } => (every / config.data.crop_frames, 1),
            SamplerOptions::Utterances { batch } => (batch, 1),
        };
        let size = [batch as i64, frames];
        SpeechBatch {
            feats: Tensor::randn([size[0], self.bins, frames], CPU),
            pitch: None,
            lengths: vec![frames; batch],
            utterances: (0..size[0]).collect(),
            speakers: Tensor::arange(size[0], (Kind::Int64, Device::Cpu))
                .divide_scalar_mode(utterances as i64, "floor"),
            labels: (self.labels > 0)
                .then(|| Tensor::randint(self.labels, size, (Kind::Int64, Device::Cpu))),
            second: None,
        }
    }

    fn method(&self, config: &Config, bf16: bool) -> Disentangle {
        let MethodOptions::Disentangle(options) = &config.method else {
            panic!("{}: another method", self.configuration)
        };
        let shape = DisentangleShape {
            bins: self.bins,
            speakers: self.speakers,
            labels: (config.data.labels, self.labels),
            ssl: None,
        };
        Disentangle::new(options, shape, Device::Cpu, bf16)
    }

    fn round(&self, method: &mut Disentangle, batch: &SpeechBatch) {
        for number in 0..self.steps {
            // Past the ramp of the adversaries.
            let clock = |batch| Clock {
                step: 700 + number,
                total: 800,
                batch,
            };
            method.before_step(&clock(0));
            for turn in 0..method.batches_per_step() {
                let mut scalars = Scalars::default();
                (method.step(batch, &clock(turn), &mut scalars)).expect("a step");
            }
        }
    }
}

fn main() {
    tch::set_num_threads(1);
    tch::manual_seed(0);
    let mut report = Report::default();
    let names = TASKS.map(|task| task.name);
    let wanted = TASKS.iter().filter(|task| is_asked_for(task.name, &names));
    for task in wanted {
        let config = task.config();
        let batch = task.batch(&config);
        for (precision, bf16) in [("f32", false), ("bf16", true)] {
            let mut method = task.method(&config, bf16);
            task.round(&mut method, &batch);
            let steps = task.steps.to_string();
            for (how, target) in [("eager", ">= 1.25"), ("compiled", ">= 1")] {
                let baseline =
                    Baseline::start(&["speech_steps", task.name, precision, &steps, how]);
                report.compare(
                    &format!("{}, {precision}, steps: {steps}", task.name),
                    &format!("PyTorch 2.11, {how}"),
                    target,
                    here_by_processor(|| task.round(&mut method, &batch)),
                    baseline.map(Baseline::side),
                );
            }
        }
    }
    report.print();
}
