//! What the benches share: rounds of both sides in turn, so that whatever else runs on the machine weighs on both, and
//! a table of ratios of their fastest rounds. `UNBRAID_PEERS` names a Python with `benches/peers/requirements.txt`;
//! without it what needs one is said to be skipped. Numbers on the command line are rounds.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// One side of a comparison: does a round and gives its seconds.
pub type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// A side that runs here.
pub fn here<'a, T>(mut work: impl FnMut() -> T + 'a) -> Side<'a> {
    Box::new(move || {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    })
}

/// A peer of `benches/peers/peer.py`, a process that waits for its rounds.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it and waits until it is warm; says so when there is no Python for it or it fails.
    pub fn start(args: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("UNBRAID_PEERS") else {
            eprintln!("skipped: {}: UNBRAID_PEERS is not set", args[0]);
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, child.stdout.take()?);
        let mut peer = Self {
            child,
            input,
            output: BufReader::new(output),
        };
        if peer.line() != "ready" {
            eprintln!("skipped: {}: it does not start", args[0]);
            return None;
        }
        Some(peer)
    }

    /// The peer as a side.
    pub fn side(mut self) -> Side<'static> {
        Box::new(move || {
            let _ = writeln!(self.input);
            self.line().parse().unwrap_or(f64::NAN)
        })
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let _ = self.output.read_line(&mut line);
        line.trim().to_string()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows of a report.
#[derive(Default)]
pub struct Report {
    rows: Vec<[String; 6]>,
}

impl Report {
    /// Compares ours with a peer's in interleaved rounds: a row of both times in ms and their ratio, peer to ours.
    /// `bar` is what the ratio should be at least.
    pub fn compare(
        &mut self,
        what: &str,
        peer: &str,
        bar: &str,
        mut ours: Side<'_>,
        theirs: Option<Side<'_>>,
    ) {
        let Some(mut theirs) = theirs else {
            return;
        };
        let (mut best, mut best_theirs) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..rounds() {
            best = best.min(ours());
            best_theirs = best_theirs.min(theirs());
        }
        let ms = |seconds: f64| format!("{:.2}", seconds * 1e3);
        let ratio = format!("{:.2}", best_theirs / best);
        self.rows.push([
            what.into(),
            ms(best),
            peer.into(),
            ms(best_theirs),
            ratio,
            bar.into(),
        ]);
    }

    /// Prints the table in Markdown.
    pub fn print(&self) {
        println!("| what | ours ms | beside | ms | ratio | bar |\n|---|---|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}

/// Rounds of each side: the first number on the command line, or 20.
fn rounds() -> usize {
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    given.unwrap_or(20)
}
