//! Several processes that train one model. Each rank has the whole model and takes a part of each batch; gradients are summed
//! over all ranks once per update, by libtorch's c10d (Gloo). Rank 0 alone writes files.
//!
//! A failure ends all ranks with the same line: the first to notice it writes a verdict into the store that they share.

mod c10d;
mod facts;
mod local;
mod place;
mod team;
mod watch;

use std::sync::atomic::Ordering;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::io::message;
use c10d::Group;
pub use facts::Facts;
use place::{Place, environment};
pub use team::RankOptions;
use team::Team;
use watch::Verdict;

/// This process among the ranks of a run; a single one by default.
#[derive(Debug, Default)]
pub struct Ranks(Option<Team>);

impl Ranks {
    /// Whether a launcher has started this process as one of several.
    ///
    /// # Errors
    /// [`Error::Option`] naming the variable that makes no sense.
    pub fn are_launched() -> Result<bool> {
        Ok(Place::of(&environment)?.is_some())
    }

    /// Meets the other ranks, of torchrun or srun, or those that it starts itself.
    ///
    /// # Errors
    /// [`Error::Option`] for a number of ranks, or variables of the launcher, that make no sense; [`Error::Rank`] for a rank
    /// that does not come in time, or a port in use.
    pub fn join(options: RankOptions) -> Result<Self> {
        let team = match (Place::of(&environment)?, options.local) {
            (Some(place), Some(local)) if local != place.size => {
                let expected = format!("{}, as the launcher started", place.size);
                return Err(Error::option("--ranks", expected, local.to_string()));
            }
            (Some(place), _) => Team::open(place, options)?,
            (None, Some(local)) if local > 1 => Team::launch(local, options)?,
            (None, _) => return Ok(Self::default()),
        };
        if team.place.rank > 0 {
            // Rank 0 says it for all.
            log::set_max_level(log::LevelFilter::Error);
        }
        let joined = team.meet();
        let ranks = Self(Some(team));
        match joined {
            Ok(()) => Ok(ranks),
            Err(error) => ranks.end(Err(error)),
        }
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |team| team.place.rank)
    }

    /// Number of ranks.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |team| team.place.size)
    }

    /// Whether this rank writes files and messages.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// The number of this rank among those on this machine, and how many they are.
    pub fn local(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 1), |team| team.place.local)
    }

    /// Notes the steps that are done, for messages.
    pub(crate) fn at_step(&self, step: u64) {
        if let Some(team) = &self.0 {
            team.watch.step.store(step, Ordering::Relaxed);
        }
    }

    /// Replaces a tensor by its sum over all ranks, which is the same on all of them, bit for bit.
    ///
    /// # Errors
    /// [`Error::Rank`] naming the rank that is gone or hangs.
    pub(crate) fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.0
            .as_ref()
            .map_or(Ok(()), |team| team.replace(tensor, Group::sum))
    }

    /// Replaces a tensor by that of rank 0.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub(crate) fn copy_from_first(&self, tensor: &Tensor) -> Result<()> {
        self.0
            .as_ref()
            .map_or(Ok(()), |team| team.replace(tensor, Group::copy))
    }

    /// The signal that any of the ranks has received, the same on all.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub(crate) fn any_signal(&self, own: Option<i32>) -> Result<Option<i32>> {
        if self.0.is_none() {
            return Ok(own);
        }
        let received = Tensor::zeros([SIGNALS], (Kind::Float, Device::Cpu));
        if let Some(signal) = own {
            let _ = received.get(i64::from(signal)).fill_(1.0);
        }
        self.sum(&received)?;
        let first = received.gt(0.0).nonzero().flatten(0, -1);
        Ok((first.numel() > 0).then(|| first.int64_value(&[0]) as i32))
    }

    /// Refuses to go on where the facts of a rank are not those of rank 0. Returns once all ranks have compared them.
    ///
    /// # Errors
    /// [`Error::Rank`] naming the first rank and the fact that differs.
    pub(crate) fn compare(&self, facts: impl FnOnce() -> Result<Facts>) -> Result<()> {
        self.0
            .as_ref()
            .map_or(Ok(()), |team| team.compare(&facts()?))
    }

    /// Ends the work of the ranks with its result on this rank. An error of one is the error of all, with the number of its
    /// rank, and success is success of all.
    ///
    /// # Errors
    /// The error of this rank or another one.
    pub fn end<T>(&self, result: Result<T>) -> Result<T> {
        let Some(team) = &self.0 else {
            return result;
        };
        let ended = match result {
            Ok(value) => team.leave().map(|()| value),
            // All ranks stop at the same step.
            Err(error @ Error::Interrupted { .. }) => {
                let left = team.leave();
                if team.is_child && left.is_ok() {
                    message::silence();
                }
                left.and(Err(error))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &ended
            && !matches!(error, Error::Interrupted { .. })
        {
            let verdict = match error {
                Error::Rank { rank, reason } => Verdict::new(*rank, reason),
                own => Verdict::new(team.place.rank, own.to_string()),
            };
            let error = team.fail(verdict);
            let culprit = team.watch.verdict().map(|verdict| verdict.rank);
            team.watch.release();
            let seen = (team.watch).put(format!("seen/{}", team.place.rank), &());
            if team.is_child && seen.is_ok() {
                message::silence();
            }
            team.linger_for("seen", culprit);
            team.watch.end();
            return Err(error);
        }
        team.watch.end();
        ended
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        if let Some(team) = &self.0 {
            team.watch.end();
        }
    }
}

/// More than there are signals.
const SIGNALS: i64 = 65;

#[cfg(test)]
mod tests {
    use super::team::{LOCALHOST, LOOK};
    use super::*;
    use std::thread;
    use std::time::Duration;

    /// Two ranks, as threads.
    fn pair(timeout: Duration) -> [Ranks; 2] {
        let place = |rank, port| Place {
            rank,
            size: 2,
            local: (rank, 2),
            host: LOCALHOST.into(),
            port,
            has_store: false,
            attempt: String::new(),
        };
        let options = RankOptions {
            local: None,
            timeout,
        };
        let first = Team::open(place(0, 0), options).unwrap();
        let port = first.place.port;
        let second = thread::spawn(move || {
            let team = Team::open(place(1, port), options).unwrap();
            team.meet().unwrap();
            Ranks(Some(team))
        });
        first.meet().unwrap();
        [Ranks(Some(first)), second.join().unwrap()]
    }

    #[test]
    fn sums_and_copies_are_the_same_on_all_ranks() {
        let worked = |ranks: Ranks| {
            let own = ranks.rank() as f32 + 1.0;
            let (sum, copy) = (Tensor::from_slice(&[own, 10.0 * own]), Tensor::from(own));
            // Not contiguous.
            let column = Tensor::from_slice(&[own, 0.0, own, 0.0])
                .reshape([2, 2])
                .select(1, 0);
            ranks.sum(&sum).unwrap();
            ranks.sum(&column).unwrap();
            ranks.copy_from_first(&copy).unwrap();
            assert_eq!(sum, Tensor::from_slice(&[3f32, 30.0]));
            assert_eq!(column, Tensor::from_slice(&[3f32, 3.0]));
            assert_eq!(copy.double_value(&[]), 1.0);
            assert_eq!(ranks.any_signal(None).unwrap(), None);
            let received = (ranks.rank() == 1).then_some(15);
            assert_eq!(ranks.any_signal(received).unwrap(), Some(15));
            ranks.end(Ok(())).unwrap();
        };
        let [first, second] = pair(Duration::from_secs(60));
        let other = thread::spawn(move || worked(second));
        worked(first);
        other.join().unwrap();
    }

    #[test]
    fn a_rank_that_hangs_but_gives_signs_of_life_is_named() {
        let [first, second] = pair(Duration::from_secs(2));
        second.at_step(7);
        let other = thread::spawn(move || {
            // It does not come to the sum. Once it does, it learns of its end.
            while second.0.as_ref().unwrap().watch.verdict().is_none() {
                thread::sleep(LOOK);
            }
            second.sum(&Tensor::from(1.0)).unwrap_err().to_string()
        });
        let error = first.sum(&Tensor::from(1.0)).unwrap_err();
        let line = "rank 1: hangs for 2 s, after step 7";
        assert_eq!(error.to_string(), line);
        assert_eq!(other.join().unwrap(), line);
        assert_eq!(first.end::<()>(Err(error)).unwrap_err().to_string(), line);
    }
}
