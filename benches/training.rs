//! A training step of InfoGAN (the recipe's configuration) and of DANN on 28 x 28 images of three channels, on one thread,
//! compared with the same networks, batch and optimisers in PyTorch. Neither side counts the drawing of batches.

#[path = "harness/mod.rs"]
mod harness;

use harness::{Baseline, Report, here};
use tch::{Device, Kind, Tensor};
use unbraid::dataset::image_batch::ImageBatch;
use unbraid::method::dann::{Dann, DannOptions};
use unbraid::method::dann_backbone::ImageBackbone;
use unbraid::method::image::infogan::{InfoGan, InfoGanOptions};
use unbraid::nn::image::ImageClassifierOptions;
use unbraid::train::{Clock, Method, Scalars};

/// Steps per round.
const STEPS: u64 = 5;

fn batch(images: i64, channels: i64) -> ImageBatch {
    let half = images / 2;
    ImageBatch {
        images: Tensor::rand([images, channels, 28, 28], (Kind::Float, Device::Cpu)),
        labels: Tensor::arange(images, (Kind::Int64, Device::Cpu)).remainder(10),
        domains: Tensor::arange(images, (Kind::Int64, Device::Cpu))
            .ge(half)
            .to_kind(Kind::Int64),
    }
}

fn steps<M: Method<Batch = ImageBatch>>(method: &mut M, batches: &[ImageBatch]) {
    for step in 0..STEPS {
        let clock = Clock {
            step,
            total: 1000,
            batch: 0,
        };
        for batch in batches {
            let mut scalars = Scalars::default();
            (method.step(batch, &clock, &mut scalars)).expect("a step");
        }
    }
}

fn main() {
    tch::set_num_threads(1);
    tch::manual_seed(0);
    let mut report = Report::default();
    let options = InfoGanOptions {
        channels: vec![64, 32],
        hidden: 512,
        ..InfoGanOptions::default()
    };
    let mut infogan = InfoGan::new(&options, [1, 28, 28], Device::Cpu, false);
    let images = [batch(128, 1)];
    let baseline = |name: &str| Baseline::start(&[name, &STEPS.to_string()]).map(Baseline::side);
    report.compare(
        &format!("InfoGAN, {STEPS} steps of 128"),
        "PyTorch 2.11, 1 thread",
        ">= 1",
        here(|| steps(&mut infogan, &images)),
        baseline("infogan_steps"),
    );
    let build = |path: tch::nn::Path| {
        let options = ImageClassifierOptions::default();
        ImageBackbone::new(&path, [3, 28, 28], &options, Device::Cpu)
    };
    let hidden = ImageClassifierOptions::default().hidden;
    let named = (&hidden[..], 10);
    let mut dann = Dann::new(&DannOptions::default(), named, Device::Cpu, false, build);
    let images = [batch(128, 3)];
    report.compare(
        &format!("DANN, {STEPS} steps of 64 + 64"),
        "PyTorch 2.11, 1 thread",
        ">= 1",
        here(|| steps(&mut dann, &images)),
        baseline("dann_steps"),
    );
    report.print();
}
