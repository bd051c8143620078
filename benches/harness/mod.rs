//! Shared by the benches: interleaved rounds of two implementations, so that other load on the machine affects both, and
//! a table of the ratios of their fastest rounds. `UNBRAID_BASELINES` names a Python with
//! `benches/baselines/requirements.txt`; without it, baselines in Python are reported as skipped. A number on the command
//! line is the number of rounds; names there choose among the parts of a bench.

#![allow(dead_code)] // Each bench uses a part.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// One side of a comparison: runs a round and returns its seconds.
pub type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// A side that runs in this process.
pub fn here<'a, T>(mut work: impl FnMut() -> T + 'a) -> Side<'a> {
    Box::new(move || {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    })
}

/// As [`here`], with the seconds of the processor, for work on one thread: other load of the machine does not count.
pub fn here_by_processor<'a, T>(mut work: impl FnMut() -> T + 'a) -> Side<'a> {
    fn seconds() -> f64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: clock_gettime writes one timespec.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }
    Box::new(move || {
        let start = seconds();
        std::hint::black_box(work());
        seconds() - start
    })
}

/// A baseline of `benches/baselines/baseline.py`: a process that runs one round per line of its standard input.
pub struct Baseline {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Baseline {
    /// Starts it and waits until it is warm; none, with a message, without a Python or where it does not start.
    pub fn start(args: &[&str]) -> Option<Self> {
        // The second is the variable's name in earlier versions.
        let python = ["UNBRAID_BASELINES", "UNBRAID_PEERS"].map(std::env::var_os);
        let Some(python) = python.into_iter().flatten().next() else {
            eprintln!("skipped: {}: UNBRAID_BASELINES is not set", args[0]);
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baselines/baseline.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, child.stdout.take()?);
        let mut baseline = Self {
            child,
            input,
            output: BufReader::new(output),
        };
        if baseline.line() != "ready" {
            eprintln!("skipped: {}: the baseline does not start", args[0]);
            return None;
        }
        Some(baseline)
    }

    /// The baseline as a side.
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

impl Drop for Baseline {
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
    /// Compares our side with a baseline in interleaved rounds: a row with both times in ms and the ratio of the
    /// baseline's to ours. `target` is the smallest ratio that is asked for.
    pub fn compare(
        &mut self,
        task: &str,
        baseline: &str,
        target: &str,
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
            task.into(),
            ms(best),
            baseline.into(),
            ms(best_theirs),
            ratio,
            target.into(),
        ]);
    }

    /// Prints the table in Markdown.
    pub fn print(&self) {
        println!("| task | ours ms | baseline | ms | ratio | target |\n|---|---|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}

/// Whether a part of a bench is to run: those that the command line names, or all.
pub fn is_asked_for(name: &str, names: &[&str]) -> bool {
    let given: Vec<String> = std::env::args()
        .filter(|arg| names.contains(&arg.as_str()))
        .collect();
    given.is_empty() || given.iter().any(|given| given == name)
}

/// Rounds per side: the first number on the command line, or 20.
fn rounds() -> usize {
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    given.unwrap_or(20)
}
