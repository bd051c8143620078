//! A training step of the speech method in two configurations of the recipes, on one thread, in f32 and bf16, compared with
//! the same networks, losses, batch and optimisers in PyTorch. Neither side counts the loading of batches. Seconds are those
//! of the process.

#[path = "harness/mod.rs"]
mod harness;

use std::path::Path;

use harness::{Baseline, Report, here_by_processor};
use tch::{Device, Kind, Tensor};
use unbraid::dataset::batch::SpeechBatch;
use unbraid::dataset::sampler::SamplerOptions;
use unbraid::method::config::{Config, MethodOptions};
use unbraid::method::disentangle::{Disentangle, DisentangleShape};
use unbraid::method::run::{Overrides, Run};
use unbraid::train::{Clock, Method, Scalars};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A configuration of a recipe, and what its data has.
struct Task {
    name: &'static str,
    configuration: &'static str,
    bins: i64,
    labels: i64,
    speakers: i64,
    /// Steps per round.
    steps: u64,
}

const TASKS: [Task; 2] = [
    Task {
        name: "mini",
        configuration: "recipes/mini/conf/default.toml",
        bins: 40,
        labels: 48,
        speakers: 24,
        steps: 5,
    },
    Task {
        name: "phones",
        configuration: "recipes/speechocean762/conf/phones_aligned.toml",
        bins: 80,
        labels: 40,
        speakers: 330,
        steps: 1,
    },
];

impl Task {
    fn config(&self) -> Config {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.configuration);
        match Run::read(&path, &Overrides::default()).expect("a configuration") {
            Run::Speech(config) => *config,
            Run::Images(_) => panic!("{}: of images", self.configuration),
        }
    }

    fn batch(&self, config: &Config) -> SpeechBatch {
        let SamplerOptions::Speakers {
            speakers,
            utterances,
        } = config.data.sampler
        else {
            panic!("{}: no sampler of speakers", self.configuration)
        };
        let (batch, frames) = (speakers * utterances, config.data.crop_frames as i64);
        let size = [batch as i64, frames];
        SpeechBatch {
            feats: Tensor::randn([size[0], self.bins, frames], CPU),
            pitch: None,
            lengths: vec![frames; batch],
            utterances: (0..size[0]).collect(),
            speakers: Tensor::arange(size[0], (Kind::Int64, Device::Cpu))
                .divide_scalar_mode(utterances as i64, "floor"),
            labels: Some(Tensor::randint(
                self.labels,
                size,
                (Kind::Int64, Device::Cpu),
            )),
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
    unbraid::cli::keep_freed_memory();
    let mut report = Report::default();
    for task in &TASKS {
        let config = task.config();
        let batch = task.batch(&config);
        for (precision, bf16) in [("f32", false), ("bf16", true)] {
            let mut method = task.method(&config, bf16);
            task.round(&mut method, &batch);
            let steps = task.steps.to_string();
            let baseline = Baseline::start(&["speech_steps", task.name, precision, &steps]);
            report.compare(
                &format!("{}, {precision}, {} steps", task.name, task.steps),
                "PyTorch 2.11, 1 thread",
                ">= 1.25",
                here_by_processor(|| task.round(&mut method, &batch)),
                baseline.map(Baseline::side),
            );
        }
    }
    report.print();
}
