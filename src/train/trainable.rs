//! Trainable modules: named networks with their own parameters, optimiser and moving average, such as a generator, a
//! discriminator, the phonetic encoder, a speaker adversary or a probe.

use tch::nn::{Path, VarStore};
use tch::{Device, Tensor, no_grad};

use super::gradient::{GradientPart, GradientSum};
use super::optimiser::{Optimiser, OptimiserOptions};
use crate::error::{Error, Result};

/// A network's variables in one flat buffer, with their optimiser.
#[derive(Debug)]
pub struct Trainable {
    name: String,
    /// Trainable variables in the order of their names; each is a view into `flat`.
    variables: Vec<(String, Tensor)>,
    /// Tensors that are saved but not trained, such as running statistics.
    buffers: Vec<(String, Tensor)>,
    flat: Tensor,
    average: Option<Tensor>,
    optimiser: Optimiser,
    gradient: GradientSum,
    frozen: bool,
    // Keeps the variables' names and handles alive for the network built on it.
    _store: VarStore,
}

impl Trainable {
    /// Builds a network with `build` on `device` and takes its variables over.
    pub fn new<N>(
        name: &str,
        device: Device,
        options: &OptimiserOptions,
        build: impl FnOnce(Path) -> N,
    ) -> (Trainable, N) {
        let store = VarStore::new(device);
        let network = build(store.root());
        let mut all: Vec<(String, Tensor)> = store.variables().into_iter().collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut variables, buffers): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, tensor)| tensor.requires_grad());
        let flat = flatten(&mut variables, device);
        let trainable = Trainable {
            name: name.to_string(),
            average: (options.ema_decay > 0.0).then(|| flat.copy()),
            optimiser: Optimiser::new(options, &flat),
            gradient: GradientSum::default(),
            frozen: false,
            variables,
            buffers,
            flat,
            _store: store,
        };
        (trainable, network)
    }

    /// The name under which a checkpoint holds it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of trained parameters.
    pub fn parameters(&self) -> i64 {
        self.flat.numel() as i64
    }

    /// Names and tensors of variables and buffers, in a fixed order.
    pub fn tensors(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.variables.iter().chain(&self.buffers)
    }

    /// All trained parameters as one vector `[parameters]`, as the optimiser moves them.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// The moving average of [`Trainable::flat`], with `ema_decay` above 0.
    pub fn average(&self) -> Option<&Tensor> {
        self.average.as_ref()
    }

    /// The optimiser.
    pub fn optimiser(&self) -> &Optimiser {
        &self.optimiser
    }

    /// The optimiser, to restore its state from a checkpoint.
    pub fn optimiser_mut(&mut self) -> &mut Optimiser {
        &mut self.optimiser
    }

    /// Initialises all weight matrices and kernels anew from a normal distribution of mean 0, as is usual for generative
    /// adversarial networks (Radford et al. 2016: deviation 0.02). Biases and scales stay. A moving average starts again.
    pub fn reinit_normal(&mut self, deviation: f64) {
        no_grad(|| {
            for (_, variable) in &mut self.variables {
                if variable.dim() >= 2 {
                    let _ = variable.normal_(0.0, deviation);
                }
            }
        });
        self.restart_average();
    }

    /// Ends training: variables get no gradients and no updates any more, and traced modules may contain them as constants.
    pub fn freeze(&mut self) {
        self.frozen = true;
        for (_, variable) in &mut self.variables {
            let _ = variable.requires_grad_(false);
        }
    }

    /// Whether [`Trainable::freeze`] was called.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Whether its network is in training mode where the step is in mode `train`: never where it is frozen, so that its
    /// running statistics stay.
    pub fn trains(&self, train: bool) -> bool {
        train && !self.frozen
    }

    /// Begins the moving average anew at the weights, as after they were loaded.
    pub fn restart_average(&mut self) {
        if let Some(average) = &mut self.average {
            no_grad(|| average.copy_(&self.flat));
        }
    }

    /// Exchanges the weights with their moving average, where there is one; a second call restores them.
    pub fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            no_grad(|| {
                let weights = self.flat.copy();
                self.flat.copy_(average);
                average.copy_(&weights);
            });
        }
    }

    /// Names the part of a batch that the next gradients are of; of the whole batch by default.
    pub fn set_part(&mut self, part: GradientPart) {
        self.gradient.part = part;
    }

    /// Tensors that are saved but not trained, such as running statistics.
    pub(super) fn buffers(&self) -> impl Iterator<Item = &Tensor> {
        self.buffers.iter().map(|(_, buffer)| buffer)
    }

    /// The gradient of this module's variables, in the order of `flat`; zero for variables that are not in the loss.
    fn flat_gradient(&self, gradients: &[Tensor]) -> Tensor {
        let pieces: Vec<Tensor> = gradients
            .iter()
            .zip(&self.variables)
            .map(|(gradient, (_, variable))| {
                if gradient.defined() {
                    gradient.reshape([-1])
                } else {
                    variable.zeros_like().reshape([-1])
                }
            })
            .collect();
        Tensor::cat(&pieces, 0)
    }

    /// An update, once the gradients of all parts of the batch are there.
    fn apply(&mut self, gradients: &[Tensor], total_steps: u64) -> Result<()> {
        if self.variables.is_empty() {
            return Ok(());
        }
        let gradient = self.flat_gradient(gradients);
        let Some(gradient) = self.gradient.add(gradient)? else {
            return Ok(());
        };
        self.optimiser.step(&mut self.flat, gradient, total_steps);
        if let Some(average) = &mut self.average {
            let _ = average.lerp_(&self.flat, 1.0 - self.optimiser.options().ema_decay);
        }
        Ok(())
    }
}

/// Copies the variables into one buffer and makes each a view of it.
fn flatten(variables: &mut [(String, Tensor)], device: Device) -> Tensor {
    no_grad(|| {
        let pieces: Vec<Tensor> = variables.iter().map(|(_, v)| v.reshape([-1])).collect();
        let flat = if pieces.is_empty() {
            Tensor::zeros([0], (tch::Kind::Float, device))
        } else {
            Tensor::cat(&pieces, 0)
        };
        let mut start = 0;
        for (_, variable) in variables {
            let length = variable.numel() as i64;
            let view = flat.narrow(0, start, length).view(&variable.size()[..]);
            variable.set_data(&view);
            start += length;
        }
        flat
    })
}

/// One update of all `trainables` on one `loss`, with a single backward pass. `total_steps` is the length of their
/// schedules. Other networks in the loss get no gradient, and frozen ones no update.
///
/// # Errors
/// [`Error::Torch`] when the loss contains none of their variables; [`Error::Rank`] as [`super::ranks::Ranks::end`] names it.
pub fn update(trainables: &mut [&mut Trainable], loss: &Tensor, total_steps: u64) -> Result<()> {
    if trainables.iter().all(|trainable| trainable.frozen) {
        return Ok(());
    }
    let gradients = gradients_of(trainables, loss, false)?;
    apply_gradients(trainables, &gradients, total_steps)
}

/// One update of each group of modules on a loss of its own. All losses are from the same forward pass, so all gradients
/// are computed before any weight changes.
///
/// # Errors
/// As [`update`].
pub fn update_each(
    groups: &mut [(&mut [&mut Trainable], &Tensor)],
    total_steps: u64,
) -> Result<()> {
    let mut gradients = Vec::new();
    for (trainables, loss) in groups.iter_mut() {
        gradients.push(gradients_of(trainables, loss, true)?);
    }
    for ((trainables, _), gradients) in groups.iter_mut().zip(&gradients) {
        apply_gradients(trainables, gradients, total_steps)?;
    }
    Ok(())
}

/// The gradient of `loss` with respect to all variables of `trainables` that are not frozen, in order; undefined for those
/// that are not in it.
fn gradients_of(
    trainables: &mut [&mut Trainable],
    loss: &Tensor,
    keep_graph: bool,
) -> Result<Vec<Tensor>> {
    let variables: Vec<&Tensor> = trainables
        .iter()
        .filter(|trainable| !trainable.frozen)
        .flat_map(|trainable| trainable.variables.iter().map(|(_, v)| v))
        .collect();
    // A loss all of whose terms have yet to start.
    if !loss.requires_grad() {
        return Ok(variables.iter().map(|_| Tensor::new()).collect());
    }
    Tensor::f_run_backward(&[loss], &variables, keep_graph, false).map_err(Error::from)
}

fn apply_gradients(
    trainables: &mut [&mut Trainable],
    gradients: &[Tensor],
    total_steps: u64,
) -> Result<()> {
    let mut rest = gradients;
    no_grad(|| {
        for trainable in trainables.iter_mut().filter(|trainable| !trainable.frozen) {
            let (own, others) = rest.split_at(trainable.variables.len());
            trainable.apply(own, total_steps)?;
            rest = others;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::parts::Parts;
    use crate::nn::layer::Linear;
    use crate::train::OptimiserKind;
    use tch::{Kind, nn, nn::OptimizerConfig};

    fn data() -> (Tensor, Tensor) {
        tch::manual_seed(3);
        let x = Tensor::randn([32, 5], (Kind::Float, Device::Cpu));
        let y = x.matmul(&Tensor::randn([5, 2], (Kind::Float, Device::Cpu))) + 0.5;
        (x, y)
    }

    /// Compares our update rules with libtorch's optimisers, from the same weights.
    fn compare(kind: OptimiserKind, reference: impl Fn(&nn::VarStore) -> nn::Optimizer) {
        let (x, y) = data();
        let options = OptimiserOptions {
            kind,
            lr: 0.01,
            clip_norm: 0.0,
            weight_decay: if kind == OptimiserKind::Sgd { 0.0 } else { 0.1 },
            ..Default::default()
        };
        let (mut trainable, ours) =
            Trainable::new("linear", Device::Cpu, &options, |p| Linear::new(p, 5, 2));
        let store = nn::VarStore::new(Device::Cpu);
        let theirs = Linear::new(store.root(), 5, 2);
        no_grad(|| {
            for (name, tensor) in trainable.tensors() {
                store.variables()[name].shallow_clone().copy_(tensor);
            }
        });
        let mut optimizer = reference(&store);
        for _ in 0..100 {
            let loss = (ours.forward(&x) - &y).square().mean(Kind::Float);
            update(&mut [&mut trainable], &loss, 100).unwrap();
            optimizer.backward_step(&(theirs.forward(&x) - &y).square().mean(Kind::Float));
        }
        let gap = (ours.forward(&x) - theirs.forward(&x)).abs().max();
        assert!(gap.double_value(&[]) < 1e-4, "{kind:?}: {gap:?}");
    }

    #[test]
    fn optimisers_equal_libtorchs() {
        compare(OptimiserKind::Adam, |store| {
            nn::Adam {
                wd: 0.1,
                ..Default::default()
            }
            .build(store, 0.01)
            .unwrap()
        });
        compare(OptimiserKind::AdamW, |store| {
            nn::AdamW {
                wd: 0.1,
                ..Default::default()
            }
            .build(store, 0.01)
            .unwrap()
        });
        compare(OptimiserKind::RmsProp, |store| {
            nn::RmsProp {
                alpha: 0.999,
                wd: 0.1,
                ..Default::default()
            }
            .build(store, 0.01)
            .unwrap()
        });
        compare(OptimiserKind::Sgd, |store| {
            nn::Sgd {
                momentum: 0.9,
                ..Default::default()
            }
            .build(store, 0.01)
            .unwrap()
        });
    }

    #[test]
    fn gradients_of_one_forward_pass_are_computed_before_any_update() {
        let (x, y) = data();
        let options = OptimiserOptions::default();
        let make = || {
            let first = Trainable::new("a", Device::Cpu, &options, |p| Linear::new(p, 5, 5));
            (
                first,
                Trainable::new("b", Device::Cpu, &options, |p| Linear::new(p, 5, 2)),
            )
        };
        let ((mut a, net_a), (mut b, net_b)) = make();
        let ((mut c, net_c), (mut d, net_d)) = make();
        // Not by a seed: other tests use the same generator in parallel.
        for (from, to) in [(&a, &c), (&b, &d)] {
            no_grad(|| to.flat().shallow_clone().copy_(from.flat()));
        }
        let loss = (net_b.forward(&net_a.forward(&x)) - &y)
            .square()
            .mean(Kind::Float);
        update_each(&mut [(&mut [&mut a], &loss), (&mut [&mut b], &loss)], 10).unwrap();
        let loss = (net_d.forward(&net_c.forward(&x)) - &y)
            .square()
            .mean(Kind::Float);
        update(&mut [&mut c, &mut d], &loss, 10).unwrap();
        assert_eq!((a.flat(), b.flat()), (c.flat(), d.flat()));
    }

    /// Three parts of a batch, one after the other, move the weights as the whole batch does.
    #[test]
    fn parts_of_a_batch_make_one_update() {
        let (x, y) = data();
        let options = OptimiserOptions::default();
        let make = || Trainable::new("a", Device::Cpu, &options, |p| Linear::new(p, 5, 2));
        let ((mut whole, net), (mut parted, net_of_parts)) = (make(), make());
        no_grad(|| parted.flat().shallow_clone().copy_(whole.flat()));
        let parts = Parts::of_rank(0, 1, 3);
        for _ in 0..5 {
            let loss = (net.forward(&x) - &y).square().mean(Kind::Float);
            update(&mut [&mut whole], &loss, 10).unwrap();
            for part in parts.own() {
                let (places, share) = parts.places(part, 32);
                let of = |all: &Tensor| all.narrow(0, places.start as i64, places.len() as i64);
                parted.set_part(GradientPart {
                    share: Some(share),
                    is_last: part == 2,
                    ..GradientPart::default()
                });
                let loss = (net_of_parts.forward(&of(&x)) - of(&y)).square();
                update(&mut [&mut parted], &loss.mean(Kind::Float), 10).unwrap();
            }
        }
        let gap = (whole.flat() - parted.flat()).abs().max();
        assert!(gap.double_value(&[]) < 1e-6, "{gap:?}");
        assert_eq!(parted.optimiser().updates(), 5);
    }

    #[test]
    fn clipping_bounds_the_update_and_the_average_lags() {
        let (x, y) = data();
        let options = OptimiserOptions {
            kind: OptimiserKind::Sgd,
            lr: 1.0,
            beta1: 0.0,
            clip_norm: 0.5,
            ema_decay: 0.9,
            ..Default::default()
        };
        let (mut trainable, net) =
            Trainable::new("p", Device::Cpu, &options, |p| Linear::new(p, 5, 2));
        let before = trainable.flat().copy();
        let loss = (net.forward(&x) * 100.0 - &y).square().mean(Kind::Float);
        update(&mut [&mut trainable], &loss, 1).unwrap();
        let moved = (trainable.flat() - &before).norm().double_value(&[]);
        assert!((moved - 0.5).abs() < 1e-3, "{moved}");
        trainable.swap_average();
        let lagged = (trainable.flat() - &before).norm().double_value(&[]);
        assert!((lagged - 0.05).abs() < 1e-3, "{lagged}");
    }
}
