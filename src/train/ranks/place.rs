//! Which of several processes this one is, as its launcher says in the environment: torchrun, or Slurm's srun.

use std::time::Duration;

use crate::error::{Error, Result};

/// The place of this process among those of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rank: usize,
    pub(super) size: usize,
    /// The place among the processes on this machine, and their number.
    pub(super) local: (usize, usize),
    /// Where rank 0 keeps the store of keys, or the launcher does.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the launcher keeps the store.
    pub(super) has_store: bool,
    /// Sets the keys of this run apart from those of an earlier attempt with the same store.
    pub(super) attempt: String,
}

/// Variables of the environment by their names.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Place {
    /// The place that a launcher gave; none without a launcher, and for a single process.
    ///
    /// # Errors
    /// [`Error::Option`] naming the variable that is missing or makes no sense.
    pub(super) fn of(environment: Environment) -> Result<Option<Self>> {
        let place = if environment("RANK").is_some() || environment("WORLD_SIZE").is_some() {
            Self::of_torchrun(environment)?
        } else if environment("SLURM_STEP_ID").is_some() && environment("SLURM_PROCID").is_some() {
            Self::of_srun(environment)?
        } else {
            return Ok(None);
        };
        if place.rank >= place.size {
            let expected = format!("less than the {} processes there are", place.size);
            return Err(Error::option("rank", expected, place.rank.to_string()));
        }
        Ok((place.size > 1).then_some(place))
    }

    fn of_torchrun(environment: Environment) -> Result<Self> {
        let size = number(environment, "WORLD_SIZE")?;
        let host = match size {
            0 | 1 => String::new(),
            _ => needed(environment, "MASTER_ADDR")?,
        };
        Ok(Self {
            rank: number(environment, "RANK")?,
            size,
            local: (
                number_or(environment, "LOCAL_RANK", 0)?,
                number_or(environment, "LOCAL_WORLD_SIZE", 1)?,
            ),
            host,
            port: match size {
                0 | 1 => 0,
                _ => number(environment, "MASTER_PORT")?,
            },
            has_store: environment("TORCHELASTIC_USE_AGENT_STORE")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            attempt: environment("TORCHELASTIC_RESTART_COUNT").unwrap_or_default(),
        })
    }

    /// The variables of a step: in a batch script without srun there is no step, and one process.
    fn of_srun(environment: Environment) -> Result<Self> {
        let size = number(environment, "SLURM_STEP_NUM_TASKS")?;
        let host = match environment("MASTER_ADDR") {
            Some(host) => host,
            None => first_host(&needed(environment, "SLURM_STEP_NODELIST")?),
        };
        let job: usize = number_or(environment, "SLURM_JOB_ID", 0)?;
        let step: usize = number_or(environment, "SLURM_STEP_ID", 0)?;
        // Of jobs that share a machine, each has a port of its own.
        let derived = 20_000 + (job.wrapping_mul(16).wrapping_add(step)) % 12_000;
        Ok(Self {
            rank: number(environment, "SLURM_PROCID")?,
            size,
            local: (
                number_or(environment, "SLURM_LOCALID", 0)?,
                tasks_here(environment).unwrap_or(1),
            ),
            host,
            port: number_or(environment, "MASTER_PORT", derived as u16)?,
            has_store: false,
            attempt: String::new(),
        })
    }
}

/// The longest wait for the other processes to come, within that for anything else.
pub(super) fn meeting(timeout: Duration) -> Duration {
    timeout.min(Duration::from_secs(300))
}

fn needed(environment: Environment, name: &str) -> Result<String> {
    let value = environment(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| Error::option(name, "a value beside RANK and WORLD_SIZE", "none"))
}

fn number<N: std::str::FromStr>(environment: Environment, name: &str) -> Result<N> {
    let value = needed(environment, name)?;
    let parsed = value.trim().parse();
    parsed.map_err(|_| Error::option(name, "a whole number", value))
}

fn number_or<N: std::str::FromStr>(environment: Environment, name: &str, default: N) -> Result<N> {
    match environment(name) {
        None => Ok(default),
        Some(_) => number(environment, name),
    }
}

/// Processes on this machine, from `2(x3),1`: as many as on each of three machines, then one.
fn tasks_here(environment: Environment) -> Option<usize> {
    let tasks = environment("SLURM_STEP_TASKS_PER_NODE")?;
    let node: usize = environment("SLURM_NODEID")?.parse().ok()?;
    let mut passed = 0;
    for group in tasks.split(',') {
        let (count, times) = match group.split_once("(x") {
            Some((count, times)) => (count, times.trim_end_matches(')').parse().ok()?),
            None => (group, 1),
        };
        passed += times;
        if node < passed {
            return count.parse().ok();
        }
    }
    None
}

/// The first machine of a list in Slurm's notation: `n[01-03,7],m2` begins with `n01`.
fn first_host(list: &str) -> String {
    let Some((before, rest)) = list.split_once('[') else {
        return list.split(',').next().unwrap_or(list).to_string();
    };
    if let Some((first, _)) = before.split_once(',') {
        return first.to_string();
    }
    let (inside, after) = rest.split_once(']').unwrap_or((rest, ""));
    let first = inside.split([',', '-']).next().unwrap_or(inside);
    let after = after.split(',').next().unwrap_or_default();
    format!("{before}{first}{after}")
}

/// A variable of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::of(&|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    const TORCHRUN: [(&str, &str); 8] = [
        ("RANK", "3"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_RANK", "1"),
        ("LOCAL_WORLD_SIZE", "2"),
        ("MASTER_ADDR", "head"),
        ("MASTER_PORT", "29400"),
        ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ("TORCHELASTIC_RESTART_COUNT", "2"),
    ];

    #[test]
    fn torchrun_names_a_place() {
        let expected = Place {
            rank: 3,
            size: 4,
            local: (1, 2),
            host: "head".into(),
            port: 29400,
            has_store: true,
            attempt: "2".into(),
        };
        assert_eq!(place(&TORCHRUN).unwrap(), Some(expected));
    }

    #[test]
    fn srun_names_a_place() {
        let variables = [
            ("SLURM_STEP_ID", "3"),
            ("SLURM_JOB_ID", "70"),
            ("SLURM_PROCID", "5"),
            ("SLURM_STEP_NUM_TASKS", "7"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_NODEID", "2"),
            ("SLURM_STEP_TASKS_PER_NODE", "2(x3),1"),
            ("SLURM_STEP_NODELIST", "n[02-04],m1"),
        ];
        let found = place(&variables).unwrap().unwrap();
        assert_eq!((found.rank, found.size, found.local), (5, 7, (1, 2)));
        assert_eq!((found.host.as_str(), found.port), ("n02", 21123));
        let named = [
            &variables[..],
            &[("MASTER_ADDR", "x"), ("MASTER_PORT", "77")],
        ]
        .concat();
        let found = place(&named).unwrap().unwrap();
        assert_eq!((found.host.as_str(), found.port), ("x", 77));
    }

    #[test]
    fn a_batch_script_and_a_single_process_have_none() {
        let script = [
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "8"),
            ("SLURM_JOB_ID", "1"),
        ];
        assert_eq!(place(&script).unwrap(), None);
        assert_eq!(place(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
        assert_eq!(place(&[("MASTER_PORT", "1")]).unwrap(), None);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (name, value, message) in [
            ("RANK", "x", "RANK: expected a whole number, found x"),
            (
                "RANK",
                "4",
                "rank: expected less than the 4 processes there are, found 4",
            ),
            (
                "WORLD_SIZE",
                "-2",
                "WORLD_SIZE: expected a whole number, found -2",
            ),
            (
                "MASTER_ADDR",
                "",
                "MASTER_ADDR: expected a value beside RANK and WORLD_SIZE, found none",
            ),
            (
                "MASTER_PORT",
                "70000",
                "MASTER_PORT: expected a whole number, found 70000",
            ),
        ] {
            let change = |&(own, old)| (own, if own == name { value } else { old });
            let variables: Vec<_> = TORCHRUN.iter().map(change).collect();
            assert_eq!(place(&variables).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_first_of_a_list_of_machines_is_found() {
        for (list, first) in [
            ("a", "a"),
            ("a,b", "a"),
            ("n[1-3]", "n1"),
            ("n[7,9]x,m", "n7x"),
            ("m1,n[2-3]", "m1"),
            ("r[01-02]", "r01"),
        ] {
            assert_eq!(first_host(list), first, "{list}");
        }
    }
}
