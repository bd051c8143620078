//! Signs of life of every rank in the store, and the verdict that ends all of them. A thread of its own gives and reads them,
//! so that they do not wait for a step. It alone uses the store: a request to a store that hangs takes forever, and nobody else
//! may wait so long.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::c10d::{self, Store};
use crate::error::Error;
use crate::io::message::message;
use crate::io::scratch;

/// Time between two signs of life.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// How long the store may take for a request.
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

/// What the thread is asked to do with the store.
type Request = Box<dyn FnOnce(&Store) + Send>;

/// What the thread and the run share.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rank: usize,
    /// Where the store is, for messages.
    pub(super) place: String,
    pub(super) collectives: AtomicU64,
    pub(super) step: AtomicU64,
    verdict: OnceLock<Verdict>,
    requests: Mutex<Sender<Request>>,
    /// Whether a request to the store was not answered in time.
    silent: AtomicBool,
    released: AtomicBool,
    ended: AtomicBool,
}

impl Watch {
    /// Starts the thread, with a connection of its own.
    pub(super) fn start(rank: usize, place: String, store: Store) -> Arc<Self> {
        let (requests, asked) = channel();
        let watch = Arc::new(Self {
            rank,
            place,
            collectives: AtomicU64::new(0),
            step: AtomicU64::new(0),
            verdict: OnceLock::new(),
            requests: Mutex::new(requests),
            silent: AtomicBool::new(false),
            released: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&watch);
        thread::spawn(move || shared.run(&store, &asked));
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

    /// What the store answers. After it was silent once, it is not asked any more.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Store) -> c10d::Result<T> + Send + 'static,
    ) -> c10d::Result<T> {
        let silence = format!("for {} s", SILENCE.as_secs());
        if self.silent.load(Ordering::Relaxed) {
            return Err(silence);
        }
        let (answer, answered) = channel();
        let request: Request = Box::new(move |store| {
            let _ = answer.send(request(store));
        });
        let requests = || self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = requests().send(request);
        match answered.recv_timeout(SILENCE) {
            Ok(answer) => answer,
            Err(_) => {
                self.silent.store(true, Ordering::Relaxed);
                Err(silence)
            }
        }
    }

    /// Reads a value, if it is there.
    pub(super) fn get<V: DeserializeOwned + Send + 'static>(
        &self,
        key: String,
    ) -> c10d::Result<Option<V>> {
        self.ask(move |store| get(store, &key))
    }

    /// Writes a value.
    pub(super) fn put(&self, key: String, value: &impl Serialize) -> c10d::Result<()> {
        let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
        self.ask(move |store| store.set(&key, &json))
    }

    /// Lets the process end as it likes: it is about to.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn run(&self, store: &Store, requests: &Receiver<Request>) {
        let mut since = None;
        for beat in 0.. {
            if let Err(why) = self.exchange(store, beat)
                && !self.released.load(Ordering::Relaxed)
            {
                self.note(self.silent_store(&why));
            }
            if let Some(verdict) = self.verdict()
                && !self.released.load(Ordering::Relaxed)
            {
                let since = *since.get_or_insert_with(Instant::now);
                if since.elapsed() > GRACE {
                    end_process(verdict);
                }
            }
            let next = Instant::now() + BEAT;
            loop {
                match requests.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(request) => request(store),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
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
        let json = serde_json::to_vec(&sign).map_err(|error| error.to_string())?;
        store.set(&format!("sign/{}", self.rank), &json)?;
        if let Some(verdict) = get(store, "verdict")? {
            self.note(verdict);
            store.set(&format!("seen/{}", self.rank), b"null")?;
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

fn get<V: DeserializeOwned>(store: &Store, key: &str) -> c10d::Result<Option<V>> {
    let Some(json) = store.get(key)? else {
        return Ok(None);
    };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| format!("{key}: {error}"))
}
