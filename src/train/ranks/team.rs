//! The ranks as one of them sees them: how they meet, sum, agree on a failure and part.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Tensor, no_grad};

use super::c10d::{self, Group, Network, Store, Work};
use super::facts::Facts;
use super::local::LocalRanks;
use super::place::{self, Place, environment};
use super::watch::{self, Sign, Verdict, Watch};
use crate::error::{Error, Result};

/// Time between two looks at what is waited for.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// The same for sums and copies, which are waited for without looking.
const SLICE: Duration = Duration::from_millis(200);
/// How long rank 0 waits until all ranks have read the verdict.
const FAREWELL: Duration = Duration::from_secs(5);
/// The address of `--ranks`.
pub(super) const LOCALHOST: &str = "127.0.0.1";

/// How the ranks of a run come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankOptions {
    /// Processes to start on this machine, this one included; none where a launcher starts them, or there is one.
    pub local: Option<usize>,
    /// How long a rank waits for the others before the run ends with an error.
    pub timeout: Duration,
}

/// The other ranks, and the ways to them.
#[derive(Debug)]
pub(super) struct Team {
    pub(super) place: Place,
    timeout: Duration,
    /// Whether rank 0 has started it, and says what ends both.
    pub(super) is_child: bool,
    store: Store,
    pub(super) watch: Arc<Watch>,
    group: OnceLock<Group>,
    /// Those that this process has started.
    local: Mutex<Option<LocalRanks>>,
}

impl Team {
    /// Starts `size - 1` more processes on this machine.
    pub(super) fn launch(size: usize, options: RankOptions) -> Result<Self> {
        let place = Place {
            rank: 0,
            size,
            local: (0, size),
            host: LOCALHOST.into(),
            port: 0,
            has_store: false,
            attempt: String::new(),
        };
        let team = Self::open(place, options)?;
        let started = LocalRanks::start(size, LOCALHOST, team.place.port)?;
        *team.local() = Some(started);
        Ok(team)
    }

    /// Opens the store, or connects to it.
    pub(super) fn open(mut place: Place, options: RankOptions) -> Result<Self> {
        let RankOptions { local, timeout } = options;
        let is_server = place.rank == 0 && !place.has_store;
        let (wait, prefix) = (place::meeting(timeout), format!("unbraid{}", place.attempt));
        let open = |port: u16, is_server: bool| {
            open_in_time(&place.host, port, is_server, &prefix, wait)
                .map_err(|why| refusal(&place, is_server, wait, &why).error())
        };
        let store = open(place.port, is_server)?;
        let port = store.port();
        let of_watch = open(port, false)?;
        place.port = port;
        let address = format!("{}:{port}", place.host);
        Ok(Self {
            watch: Watch::start(place.rank, address, of_watch),
            is_child: local.is_some() && place.rank > 0,
            place,
            timeout,
            store,
            group: OnceLock::new(),
            local: Mutex::default(),
        })
    }

    /// Waits for all ranks and connects to them.
    pub(super) fn meet(&self) -> Result<()> {
        self.arrive("joined", place::meeting(self.timeout))?;
        let network = match environment("GLOO_SOCKET_IFNAME") {
            Some(names) => {
                Network::Interface(names.split(',').next().unwrap_or_default().to_string())
            }
            None if [LOCALHOST, "localhost"].contains(&self.place.host.as_str()) => {
                Network::Host(LOCALHOST.into())
            }
            None => Network::Default,
        };
        let Place { rank, size, .. } = self.place;
        // Longer than ours, which names the rank.
        let timeout = self.timeout + Duration::from_secs(60);
        let group = Group::open(&self.store, rank, size, &network, timeout)
            .map_err(|why| self.broken(&why))?;
        let _ = self.group.set(group);
        Ok(())
    }

    fn local(&self) -> std::sync::MutexGuard<'_, Option<LocalRanks>> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replace(
        &self,
        tensor: &Tensor,
        begin: impl Fn(&Group, &Tensor) -> c10d::Result<Work>,
    ) -> Result<()> {
        if tensor.device() == Device::Cpu && tensor.is_contiguous() {
            return self.complete(&begin, tensor);
        }
        // Gloo sums in the memory of the host.
        let staged = tensor.to_device(Device::Cpu).contiguous();
        self.complete(&begin, &staged)?;
        no_grad(|| tensor.shallow_clone().copy_(&staged));
        Ok(())
    }

    fn complete(
        &self,
        begin: impl Fn(&Group, &Tensor) -> c10d::Result<Work>,
        tensor: &Tensor,
    ) -> Result<()> {
        let group = self
            .group
            .get()
            .ok_or_else(|| self.broken("no connection"))?;
        self.watch.collectives.fetch_add(1, Ordering::Relaxed);
        let work = begin(group, tensor).map_err(|why| self.broken(&why))?;
        let began = Instant::now();
        while !work.wait(SLICE).map_err(|why| self.broken(&why))? {
            self.check()?;
            if began.elapsed() > self.timeout {
                return Err(self.overdue());
            }
        }
        // Too late for the others, who have left.
        match self.watch.verdict() {
            Some(verdict) => Err(verdict.error()),
            None => Ok(()),
        }
    }

    /// The verdict, if there is one: of another rank, or on a process of ours that has ended.
    fn check(&self) -> Result<()> {
        if let Some(verdict) = self.watch.verdict() {
            return Err(verdict.error());
        }
        let failed = self.local().as_mut().and_then(LocalRanks::failed);
        match failed {
            None => Ok(()),
            // By a signal, as all ranks.
            Some((rank, _)) if self.has_left(rank) => Ok(()),
            // It may have written a verdict before it ended.
            Some((rank, status)) => {
                std::thread::sleep(2 * watch::BEAT);
                Err(self.fail(Verdict::new(rank, format!("ended with {status}"))))
            }
        }
    }

    /// Whether a rank has come to the end with all others.
    fn has_left(&self, rank: usize) -> bool {
        matches!(self.watch.get::<()>(format!("left/{rank}")), Ok(Some(())))
    }

    /// Waits until all ranks are at the same place.
    fn arrive(&self, place: &str, timeout: Duration) -> Result<()> {
        self.put(&format!("{place}/{}", self.place.rank), &())?;
        let began = Instant::now();
        for rank in 0..self.place.size {
            self.wait_for::<()>(&format!("{place}/{rank}"), began, timeout, rank)?;
        }
        Ok(())
    }

    /// Waits for a value of another rank.
    fn wait_for<V: DeserializeOwned + Send + 'static>(
        &self,
        key: &str,
        began: Instant,
        timeout: Duration,
        rank: usize,
    ) -> Result<V> {
        loop {
            self.check()?;
            let value = self.watch.get(key.to_string());
            if let Some(value) = value.map_err(|why| self.silent(&why))? {
                return Ok(value);
            }
            if began.elapsed() > timeout {
                let reason = format!("expected it within {} s, found none", timeout.as_secs_f64());
                return Err(self.fail(Verdict::new(rank, reason)));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn put(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let put = self.watch.put(key.to_string(), value);
        put.map_err(|why| self.silent(&why))
    }

    fn silent(&self, why: &str) -> Error {
        self.watch.note(self.watch.silent_store(why)).error()
    }

    pub(super) fn compare(&self, facts: &Facts) -> Result<()> {
        let began = Instant::now();
        if self.place.rank == 0 {
            self.put("facts", facts)?;
        } else {
            let first: Facts = self.wait_for("facts", began, self.timeout, 0)?;
            if let Some(difference) = facts.difference(&first) {
                return Err(self.fail(Verdict::new(self.place.rank, difference)));
            }
        }
        self.arrive("compared", self.timeout)
    }

    /// Writes a verdict, unless another rank has; the error of the one that holds.
    pub(super) fn fail(&self, verdict: Verdict) -> Error {
        if self.watch.verdict().is_none() {
            match self.watch.ask(|store| store.count("verdicts")) {
                Ok(1) => drop(self.watch.put("verdict".into(), &verdict)),
                Ok(_) => self.linger(|| self.watch.verdict().is_none()),
                Err(_) => {}
            }
        }
        self.watch.note(verdict).error()
    }

    /// Waits a little for something to change.
    fn linger(&self, unchanged: impl Fn() -> bool) {
        let began = Instant::now();
        while began.elapsed() < FAREWELL && unchanged() {
            std::thread::sleep(LOOK);
        }
    }

    /// The store ends with rank 0, so that it waits until the other ranks have written this key.
    pub(super) fn linger_for(&self, key: &str, except: Option<usize>) {
        if self.place.rank > 0 {
            return;
        }
        for rank in (1..self.place.size).filter(|&rank| Some(rank) != except) {
            let written = || self.watch.get::<()>(format!("{key}/{rank}"));
            self.linger(|| matches!(written(), Ok(None)));
        }
    }

    /// Waits until all ranks have come to the end, so that the success of one is the success of all.
    pub(super) fn leave(&self) -> Result<()> {
        self.arrive("ended", self.timeout)?;
        // From here on nothing can fail any more.
        self.watch.release();
        let _ = (self.watch).put(format!("left/{}", self.place.rank), &());
        self.linger_for("left", None);
        Ok(())
    }

    /// A connection broke: finds the rank that is gone.
    fn broken(&self, why: &str) -> Error {
        let before = self.signs();
        self.linger_beats();
        let now = self.signs();
        if let Err(error) = self.check() {
            return error;
        }
        let gone = self.others().find(|&rank| before[rank] == now[rank]);
        self.fail(match gone {
            Some(rank) => Verdict::new(rank, format!("gone without a word{}", at(now[rank]))),
            None => Verdict::new(
                self.place.rank,
                format!("connection to another rank: {why}"),
            ),
        })
    }

    /// A sum has not come to its end in time: finds the rank that has not come to it.
    fn overdue(&self) -> Error {
        let before = self.signs();
        self.linger_beats();
        let now = self.signs();
        if let Err(error) = self.check() {
            return error;
        }
        let begun = self.watch.collectives.load(Ordering::Relaxed);
        let behind = |&rank: &usize| now[rank].is_none_or(|sign| sign.collectives < begun);
        let seconds = self.timeout.as_secs_f64();
        self.fail(match self.others().find(behind) {
            Some(rank) if before[rank] == now[rank] => {
                let reason = format!("no sign of life for {seconds} s{}", at(now[rank]));
                Verdict::new(rank, reason)
            }
            Some(rank) => Verdict::new(rank, format!("hangs for {seconds} s{}", at(now[rank]))),
            None => Verdict::new(self.place.rank, format!("no end of a sum for {seconds} s")),
        })
    }

    /// Waits for new signs of life, unless there is a verdict.
    fn linger_beats(&self) {
        let began = Instant::now();
        while began.elapsed() < 6 * watch::BEAT && self.check().is_ok() {
            std::thread::sleep(LOOK);
        }
    }

    fn others(&self) -> impl Iterator<Item = usize> {
        let own = self.place.rank;
        (0..self.place.size).filter(move |&rank| rank != own)
    }

    /// The last signs of life of all ranks.
    fn signs(&self) -> Vec<Option<Sign>> {
        let mut signs = vec![None; self.place.size];
        for (rank, sign) in signs.iter_mut().enumerate() {
            match self.watch.get(format!("sign/{rank}")) {
                Ok(found) => *sign = found,
                Err(why) => {
                    self.silent(&why);
                    break;
                }
            }
        }
        signs
    }
}

fn at(sign: Option<Sign>) -> String {
    sign.map_or(String::new(), |sign| format!(", after step {}", sign.step))
}

/// Opens the store. A program at its port that is none, and says nothing, would be waited for without end.
fn open_in_time(
    host: &str,
    port: u16,
    is_server: bool,
    prefix: &str,
    wait: Duration,
) -> c10d::Result<Store> {
    let (host, prefix) = (host.to_string(), prefix.to_string());
    let (opened, store) = std::sync::mpsc::channel();
    std::thread::spawn(move || opened.send(Store::open(&host, port, is_server, &prefix, wait)));
    // After c10d's own limit, whose message says more.
    let limit = wait + FAREWELL;
    store.recv_timeout(limit).unwrap_or(Err("no answer".into()))
}

/// Why the store cannot be opened.
fn refusal(place: &Place, is_server: bool, wait: Duration, why: &str) -> Verdict {
    let address = format!("{}:{}", place.host, place.port);
    let is_used = why.contains("EADDRINUSE") || why.contains("already in use");
    let (expected, found) = match (is_server, is_used) {
        (true, true) => (
            format!("a free port at {address} (MASTER_PORT)"),
            "one in use by another process".into(),
        ),
        (true, false) => (format!("to listen at {address}"), why.to_string()),
        (false, _) => (
            format!("its store at {address} within {} s", wait.as_secs_f64()),
            format!("none ({why})"),
        ),
    };
    Verdict::new(0, format!("expected {expected}, found {found}"))
}
