//! `step_000123/{weights,optimiser}.safetensors` and `state.json`: everything that a run needs to resume as if it had
//! never stopped. A checkpoint is written to a temporary folder, synced, then renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::ranks::Ranks;
use super::{Trainable, old_names};
use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::scratch::Scratch;
use crate::io::{atomic, json};

/// The numbers beside the tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps done. With the seed it determines the sampler's position and the random numbers of each step.
    pub step: u64,
    /// Updates of each trainable module, by name.
    pub updates: BTreeMap<String, u64>,
    /// Best validation so far: step and value.
    pub best: Option<(u64, f64)>,
    /// The logged step since which the discriminator has been right on every item.
    #[serde(alias = "undefeated_since")]
    pub stalled_since: Option<u64>,
    /// libtorch threads of the last steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Processes of the last steps.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    ranks: usize,
    /// Batches per update of the last steps.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    accumulate: usize,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number <= 1
}

impl State {
    /// Processes and batches per update of the last steps.
    pub(super) fn division(&self) -> (usize, usize) {
        (self.ranks.max(1), self.accumulate.max(1))
    }

    /// Sets [`State::division`].
    pub(super) fn set_division(&mut self, (ranks, accumulate): (usize, usize)) {
        (self.ranks, self.accumulate) = (ranks, accumulate);
    }
}

/// The folder name of a step.
pub fn folder_name(step: u64) -> String {
    format!("step_{step:06}")
}

/// Saves `trainables` and `state` under `experiment`; the numbers of updates are added here. Points `last` at the result,
/// and `best` if it is this step.
///
/// # Errors
/// [`Error::Io`] naming the file, as when the disk is full. Earlier checkpoints stay complete.
pub fn save(experiment: &Path, trainables: &mut [&mut Trainable], state: State) -> Result<PathBuf> {
    // `weights` holds what extraction uses: moving averages, where the run keeps them.
    trainables
        .iter_mut()
        .for_each(|trainable| trainable.swap_average());
    let saved = write(experiment, trainables, state);
    trainables
        .iter_mut()
        .for_each(|trainable| trainable.swap_average());
    saved
}

fn write(experiment: &Path, trainables: &[&mut Trainable], mut state: State) -> Result<PathBuf> {
    let path = experiment.join(folder_name(state.step));
    if path.exists() {
        // An earlier process was killed before it moved `last`; the folder is complete.
        point_here(experiment, &state)?;
        return Ok(path);
    }
    state.updates = trainables
        .iter()
        .map(|p| (p.name().to_string(), p.optimiser().updates()))
        .collect();
    let temp = Scratch::folder(experiment).map_err(Error::io(experiment))?;
    let json = serde_json::to_string_pretty(&state)
        .map_err(|e| Error::format(path.join("state.json"), "numbers", e.to_string()))?;
    for (name, content) in [
        ("weights.safetensors", to_safetensors(&weights(trainables))?),
        (
            "optimiser.safetensors",
            to_safetensors(&moments(trainables))?,
        ),
        ("state.json", (json + "\n").into_bytes()),
    ] {
        // An error names the final file, not the temporary one.
        write_synced(&temp.path().join(name), &content).map_err(Error::io(path.join(name)))?;
    }
    atomic::sync_dir(temp.path())?;

    temp.rename(&path).map_err(Error::io(&path))?;
    point_here(experiment, &state)?;
    Ok(path)
}

/// Points `last` and `best` at the checkpoints of a run at `state`: a kill may have come before the links, or between
/// them.
///
/// # Errors
/// [`Error::Io`] naming the link.
pub fn mend_links(experiment: &Path, state: &State) -> Result<()> {
    let best = state.best.map(|(step, _)| ("best", step));
    for (name, step) in best.into_iter().chain([("last", state.step)]) {
        let folder = experiment.join(folder_name(step));
        let is_linked = experiment.join(name).canonicalize().ok() == folder.canonicalize().ok();
        if folder.exists() && !is_linked {
            point(experiment, name, step)?;
        }
    }
    Ok(())
}

/// `last` is moved last: a run that resumes from it finds its `best`.
fn point_here(experiment: &Path, state: &State) -> Result<()> {
    if state.best.is_some_and(|(best, _)| best == state.step) {
        point(experiment, "best", state.step)?;
    }
    point(experiment, "last", state.step)
}

/// Makes `name` (`last`, `best`) a link to a step's folder, in one rename.
///
/// # Errors
/// [`Error::Io`] naming the link; [`Error::Format`] when a folder has its name.
fn point(experiment: &Path, name: &str, step: u64) -> Result<()> {
    let link = experiment.join(name);
    if link.is_dir() && !link.is_symlink() {
        // A copy that follows links turns them into folders.
        let expected = "a link to a checkpoint, or nothing (it is created again)";
        return Err(Error::format(link, expected, "a folder"));
    }
    Scratch::link(experiment, Path::new(&folder_name(step)))
        .and_then(|made| made.rename(&link))
        .map_err(Error::io(&link))?;
    atomic::sync_dir(experiment)
}

/// Removes all checkpoints but the newest `keep` and `best`.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn prune(experiment: &Path, keep: usize, best: Option<u64>) -> Result<()> {
    let mut steps = steps(experiment)?;
    steps.sort_unstable();
    let old = steps.len().saturating_sub(keep.max(1));
    for step in steps
        .into_iter()
        .take(old)
        .filter(|&step| Some(step) != best)
    {
        let path = experiment.join(folder_name(step));
        // Renamed away first, so that a kill cannot leave half a checkpoint.
        let going = Scratch::folder(experiment).map_err(Error::io(experiment))?;
        std::fs::rename(&path, going.path().join("old")).map_err(Error::io(&path))?;
    }
    Ok(())
}

/// The steps that have a checkpoint.
///
/// # Errors
/// [`Error::Io`] naming the experiment.
pub fn steps(experiment: &Path) -> Result<Vec<u64>> {
    let entries = std::fs::read_dir(experiment).map_err(Error::io(experiment))?;
    Ok(entries
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix("step_")?
                .parse()
                .ok()
        })
        .collect())
}

/// The folder to resume from: `last`, or the newest when a kill came before its link. None without checkpoints.
///
/// # Errors
/// [`Error::Io`] naming the experiment, [`Error::Format`] when `last` is a broken link.
pub fn newest(experiment: &Path) -> Result<Option<PathBuf>> {
    let Some(newest) = steps(experiment)?.into_iter().max() else {
        return Ok(None);
    };
    let last = experiment.join("last");
    if last.symlink_metadata().is_err() {
        return Ok(Some(experiment.join(folder_name(newest))));
    }
    if !last.exists() {
        return Err(Error::format(
            last,
            "a link to a checkpoint",
            "a broken link",
        ));
    }
    Ok(Some(last))
}

/// Reads the state of a checkpoint folder, with today's names of all modules.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`] naming the file.
pub fn read_state(folder: &Path) -> Result<State> {
    let path = folder.join("state.json");
    let state: State = json::read(path, "a checkpoint's state")?;
    let updates = state.updates.into_iter();
    Ok(State {
        updates: updates
            .map(|(name, updates)| (old_names::module(&name), updates))
            .collect(),
        ..state
    })
}

/// Fills `trainables` with the weights of a checkpoint folder (moving averages, where the run kept them).
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a broken file; [`Error::Key`] for a tensor that is missing, unknown, of another
/// shape, or not finite.
pub fn load_weights(folder: &Path, trainables: &[&mut Trainable]) -> Result<()> {
    load(&folder.join("weights.safetensors"), &weights(trainables))
}

/// Fills `trainables` with everything of a checkpoint folder, to resume training.
///
/// # Errors
/// As [`load_weights`].
pub fn restore(folder: &Path, trainables: &mut [&mut Trainable]) -> Result<State> {
    let state = read_state(folder)?;
    load_weights(folder, trainables)?;
    load(&folder.join("optimiser.safetensors"), &moments(trainables))?;
    for trainable in trainables {
        let updates = state.updates.get(trainable.name()).ok_or_else(|| {
            Error::key(
                folder.join("state.json"),
                trainable.name(),
                "its number of updates",
                "none",
            )
        })?;
        trainable.optimiser_mut().set_updates(*updates);
        trainable.swap_average();
    }
    Ok(state)
}

/// Gives all ranks what rank 0 has restored, so that only rank 0 needs the folder.
///
/// # Errors
/// [`Error::Rank`] naming a rank that is gone.
pub(super) fn share(
    ranks: &Ranks,
    trainables: &mut [&mut Trainable],
    state: &mut State,
) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let numbers = trainables.iter().map(|t| t.optimiser().updates() as i64);
    let numbers: Vec<i64> = [state.step as i64].into_iter().chain(numbers).collect();
    let numbers = Tensor::from_slice(&numbers);
    ranks.copy_from_first(&numbers)?;
    state.step = numbers.int64_value(&[0]) as u64;
    for (place, trainable) in trainables.iter_mut().enumerate() {
        ranks.copy_from_first(trainable.flat())?;
        for buffer in trainable.buffers().chain(trainable.average()) {
            ranks.copy_from_first(buffer)?;
        }
        for (_, moment) in trainable.optimiser().moments() {
            ranks.copy_from_first(moment)?;
        }
        let updates = numbers.int64_value(&[place as i64 + 1]) as u64;
        trainable.optimiser_mut().set_updates(updates);
    }
    Ok(())
}

/// `module/variable` for each weight and buffer.
pub fn weights(trainables: &[&mut Trainable]) -> Vec<(String, Tensor)> {
    let name = |trainable: &Trainable, name: &str| format!("{}/{name}", trainable.name());
    trainables
        .iter()
        .flat_map(|trainable| {
            trainable
                .tensors()
                .map(|(variable, tensor)| (name(trainable, variable), tensor.detach()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// `module/first`, `module/second`; and `module/weights`, the plain weights, where moving averages are in their place.
fn moments(trainables: &[&mut Trainable]) -> Vec<(String, Tensor)> {
    let mut tensors = Vec::new();
    for trainable in trainables {
        for (name, tensor) in trainable.optimiser().moments() {
            tensors.push((
                format!("{}/{name}", trainable.name()),
                tensor.shallow_clone(),
            ));
        }
        if let Some(swapped_out) = trainable.average() {
            tensors.push((
                format!("{}/weights", trainable.name()),
                swapped_out.shallow_clone(),
            ));
        }
    }
    tensors
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A safetensors file of tensors of single precision.
fn to_safetensors(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let bytes: Vec<(Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(_, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float);
            let values: Vec<f32> = Vec::try_from(tensor.contiguous().view([-1]))?;
            Ok((shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        })
        .collect::<Result<_>>()?;
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, _), (shape, bytes))| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| Error::Torch(e.to_string()))
}

/// The tensors of a safetensors file, with today's names.
fn tensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<BTreeMap<String, TensorView<'a>>> {
    let read = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::format(path, "tensors in safetensors format", e.to_string()))?;
    let tensors = read.tensors().into_iter();
    Ok(tensors
        .map(|(name, tensor)| (old_names::tensor(&name), tensor))
        .collect())
}

/// Copies a file's tensors, all finite, into `targets`. Names, after those of earlier versions are renamed, and shapes
/// have to match exactly.
fn load(path: &Path, targets: &[(String, Tensor)]) -> Result<()> {
    let bytes = inputs::bytes(path)?;
    let found = tensors(path, &bytes)?;
    let wanted: BTreeSet<&String> = targets.iter().map(|(name, _)| name).collect();
    if let Some(extra) = found.keys().find(|name| !wanted.contains(name)) {
        return Err(Error::key(
            path,
            extra,
            "no such tensor in this configuration",
            "one",
        ));
    }
    for (name, target) in targets {
        let source = found.get(name).ok_or_else(|| {
            Error::key(path, name, format!("a tensor {:?}", target.size()), "none")
        })?;
        copy(path, name, source, target)?;
    }
    Ok(())
}

/// Copies one tensor of a file.
fn copy(path: &Path, name: &str, source: &TensorView, target: &Tensor) -> Result<()> {
    let shape: Vec<i64> = source.shape().iter().map(|&size| size as i64).collect();
    if source.dtype() != Dtype::F32 || shape != target.size() {
        let expected = format!("F32 {:?}", target.size());
        let found = format!("{:?} {shape:?}", source.dtype());
        return Err(Error::key(path, name, expected, found));
    }
    let values: Vec<f32> = source
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::key(path, name, "finite numbers", value.to_string()));
    }
    let source = Tensor::from_slice(&values).view(&shape[..]);
    no_grad(|| target.shallow_clone().copy_(&source));
    Ok(())
}

/// The weights of a checkpoint that another run begins from, by modules.
#[derive(Debug)]
pub(crate) struct Weights {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Weights {
    /// Reads those of a checkpoint folder (moving averages, where the run kept them).
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming the file.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("weights.safetensors");
        let bytes = inputs::bytes(&path)?;
        tensors(&path, &bytes)?;
        Ok(Self { path, bytes })
    }

    /// The names of its modules.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file.
    pub(crate) fn modules(&self) -> Result<BTreeSet<String>> {
        let names = tensors(&self.path, &self.bytes)?.into_keys();
        Ok(names
            .filter_map(|name| Some(name.split_once('/')?.0.to_string()))
            .collect())
    }

    /// Copies those tensors of a module whose names `wanted` is true for. Nothing is copied where one does not fit.
    ///
    /// # Errors
    /// [`Error::Key`] for the first tensor that is missing, unknown, of another shape, or not finite.
    pub(crate) fn copy_into(
        &self,
        trainable: &mut Trainable,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let found = tensors(&self.path, &self.bytes)?;
        let module = format!("{}/", trainable.name());
        let targets: Vec<(String, Tensor)> = (trainable.tensors())
            .filter(|(name, _)| wanted(name))
            .map(|(name, tensor)| (format!("{module}{name}"), tensor.detach()))
            .collect();
        let own = |name: &str| targets.iter().any(|(target, _)| target == name);
        for (name, tensor) in &found {
            if name.strip_prefix(&module).is_some_and(&wanted) && !own(name) {
                let shape = format!("{:?}", tensor.shape());
                return Err(Error::key(
                    &self.path,
                    name,
                    "no such tensor, as in the new model",
                    shape,
                ));
            }
        }
        let mut copies = Vec::new();
        for (name, target) in &targets {
            let source = found.get(name).ok_or_else(|| {
                let expected = format!("a tensor {:?}, as in the new model", target.size());
                Error::key(&self.path, name, expected, "none")
            })?;
            let copied = target.zeros_like();
            copy(&self.path, name, source, &copied)?;
            copies.push(copied);
        }
        no_grad(|| {
            for ((_, target), copied) in targets.iter().zip(&copies) {
                target.shallow_clone().copy_(copied);
            }
        });
        trainable.restart_average();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layer::Linear;
    use crate::train::{OptimiserOptions, update};

    /// A module that has been trained for some steps.
    fn trained(name: &str, steps: u64) -> Trainable {
        let options = OptimiserOptions {
            ema_decay: 0.5,
            ..OptimiserOptions::default()
        };
        let (mut trainable, network) =
            Trainable::new(name, Device::Cpu, &options, |path| Linear::new(path, 3, 2));
        for _ in 0..steps {
            let x = Tensor::rand([4, 3], (Kind::Float, Device::Cpu));
            let loss = network.forward(&x).square().mean(Kind::Float);
            update(&mut [&mut trainable], &loss, steps).unwrap();
        }
        trainable
    }

    #[test]
    fn a_checkpoint_with_old_module_names_is_restored() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            ("speaker_critic", "speaker_adversary"),
            ("speaker_critic_2", "speaker_adversary_2"),
            ("information", "mutual_information"),
            ("prediction", "cpc"),
            ("decoder", "decoder"),
        ];
        let mut saved: Vec<Trainable> = (3..)
            .zip(names)
            .map(|(steps, (old, _))| trained(old, steps))
            .collect();
        let mut made: Vec<Trainable> = names.iter().map(|(_, new)| trained(new, 1)).collect();
        let mut all: Vec<&mut Trainable> = saved.iter_mut().collect();
        let folder = save(dir.path(), &mut all, State::default()).unwrap();
        let state = restore(&folder, &mut made.iter_mut().collect::<Vec<_>>()).unwrap();
        for ((old, new), (_, name)) in saved.iter().zip(&made).zip(names) {
            assert_eq!(state.updates[name], old.optimiser().updates());
            assert_eq!(new.optimiser().updates(), old.optimiser().updates());
            assert_eq!(new.flat(), old.flat(), "{name}");
            assert_eq!(new.average(), old.average(), "{name}");
            assert_eq!(new.optimiser().moments(), old.optimiser().moments());
        }
    }
}
