//! Signs of life of every rank in the store, and the verdict that ends all of them. A thread of its own gives and reads them,
//! so that they do not wait for a step.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::c10d::{self, Store};
use crate::error::Error;
use crate::io::message::message;
use crate::io::scratch;

/// Time between two signs of life.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// How long the store may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a rank has to end by itself once there is a verdict.
const GRACE: Duration = Duration::from_secs(20);

/// Why the run ends, and which rank is the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) rank: usize,
    pub(super) reason: String,
}

impl Verdict {
    pub(super) fn new(rank: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { rank, reason }
    }

    pub(super) fn error(&self) -> Error {
        Error::Rank {
            rank: self.rank,
            reason: self.reason.clone(),
        }
    }
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sign {
    /// Number of the sign.
    pub(super) beat: u64,
    /// Sums and copies that the rank has begun.
    pub(super) collectives: u64,
    /// Steps that it has done.
    pub(super) step: u64,
}

/// What the thread and the run share.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rank: usize,
    /// Where the store is, for messages.
    pub(super) place: String,
    pub(super) collectives: AtomicU64,
    pub(super) step: AtomicU64,
    verdict: OnceLock<Verdict>,
    answered: Mutex<Instant>,
    ended: AtomicBool,
}

impl Watch {
    /// Starts the thread, with a connection of its own.
    pub(super) fn start(rank: usize, place: String, store: Store) -> Arc<Self> {
        let watch = Arc::new(Self {
            rank,
            place,
            collectives: AtomicU64::new(0),
            step: AtomicU64::new(0),
            verdict: OnceLock::new(),
            answered: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&watch);
        thread::spawn(move || shared.run(&store));
        watch
    }

    /// Why the run ends, if it does.
    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.get()
    }

    /// Notes a verdict, unless there is one, and gives the one that holds.
    pub(super) fn note(&self, verdict: Verdict) -> &Verdict {
        self.verdict.get_or_init(|| verdict)
    }

    /// Whether the store has answered lately: a request to one that does not may take forever.
    pub(super) fn store_answers(&self) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.elapsed() < SILENCE
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn run(&self, store: &Store) {
        let mut since = None;
        for beat in 0.. {
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            if let Err(why) = self.exchange(store, beat)
                && !self.ended.load(Ordering::Relaxed)
            {
                self.note(self.silent_store(&why));
            }
            if let Some(verdict) = self.verdict() {
                let since = *since.get_or_insert_with(Instant::now);
                if since.elapsed() > GRACE {
                    end_process(verdict);
                }
            }
            thread::sleep(BEAT);
        }
    }

    /// The verdict where the store is gone.
    pub(super) fn silent_store(&self, why: &str) -> Verdict {
        let reason = format!(
            "expected an answer of its store at {}, found none ({why})",
            self.place
        );
        Verdict::new(0, reason)
    }

    /// Gives a sign of life, and reads the verdict.
    fn exchange(&self, store: &Store, beat: u64) -> c10d::Result<()> {
        let sign = Sign {
            beat,
            collectives: self.collectives.load(Ordering::Relaxed),
            step: self.step.load(Ordering::Relaxed),
        };
        put(store, &format!("sign/{}", self.rank), &sign)?;
        let verdict = get(store, "verdict")?;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Some(verdict) = verdict {
            self.note(verdict);
            store.set(&format!("seen/{}", self.rank), b"")?;
        }
        Ok(())
    }
}

/// The run has not come to an end by itself: it hangs.
fn end_process(verdict: &Verdict) -> ! {
    message(format_args!("unbraid: {}", verdict.error()));
    scratch::remove_all();
    // SAFETY: the files of a run are whole at any moment.
    unsafe { libc::_exit(1) }
}

/// Writes a value as JSON.
pub(super) fn put(store: &Store, key: &str, value: &impl Serialize) -> c10d::Result<()> {
    let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    store.set(key, &json)
}

/// Reads a value, if it is there.
pub(super) fn get<V: serde::de::DeserializeOwned>(
    store: &Store,
    key: &str,
) -> c10d::Result<Option<V>> {
    let Some(json) = store.get(key)? else {
        return Ok(None);
    };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| format!("{key}: {error}"))
}
