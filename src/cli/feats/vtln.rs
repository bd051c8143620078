//! Warp factors for vocal tract lengths, by utterance or speaker, as of Kaldi's `--vtln-map` and `--utt2spk`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::signal::{FrontEnd, FrontEndOptions};

/// Where warp factors come from.
#[derive(Debug, Default, Args)]
pub(super) struct VtlnArgs {
    /// VTLN warp factors, one 'utterance factor' per line, or 'speaker factor' with --utt2spk
    #[arg(long, value_name = "FILE")]
    vtln_map: Option<PathBuf>,

    /// Speaker of each utterance, for warp factors per speaker
    #[arg(long, value_name = "FILE", requires = "vtln_map")]
    utt2spk: Option<PathBuf>,
}

/// A front-end for each factor.
pub(super) struct Warps {
    map: Table,
    utt2spk: Option<Table>,
    factors: Vec<u64>,
    front_ends: HashMap<u64, FrontEnd>,
}

impl Warps {
    /// Reads the tables and makes a front-end for every factor, if there is a map.
    ///
    /// # Errors
    /// A table that cannot be read; a factor that is none or that the options cannot take, with its line.
    pub(super) fn read(args: &VtlnArgs, options: &FrontEndOptions) -> anyhow::Result<Option<Self>> {
        let Some(path) = &args.vtln_map else {
            return Ok(None);
        };
        let map = Table::read(path)?;
        let utt2spk = match &args.utt2spk {
            None => None,
            Some(path) => Some(Table::read(path)?),
        };
        let (mut factors, mut front_ends) = (Vec::new(), HashMap::new());
        for entry in map.entries() {
            let place = || format!("{}:{}", path.display(), entry.line);
            let Ok(factor) = entry.value.trim().parse::<f64>() else {
                bail!(
                    "{}: expected a key and a factor, found '{}'",
                    place(),
                    entry.value
                );
            };
            if let std::collections::hash_map::Entry::Vacant(free) =
                front_ends.entry(factor.to_bits())
            {
                let options = options.with_vtln_warp(factor).with_context(place)?;
                free.insert(FrontEnd::new(options).with_context(place)?);
            }
            factors.push(factor.to_bits());
        }
        Ok(Some(Self {
            map,
            utt2spk,
            factors,
            front_ends,
        }))
    }

    /// The front-end of an utterance.
    ///
    /// # Errors
    /// [`Error::Key`] when it, or its speaker, is in no table.
    pub(super) fn of(&self, utterance: &str) -> Result<&FrontEnd> {
        let key = match &self.utt2spk {
            None => utterance,
            Some(utt2spk) => match utt2spk.position(utterance) {
                Some(at) => &utt2spk.entries()[at].value,
                None => return Err(Error::key(utt2spk.path(), utterance, "a speaker", "none")),
            },
        };
        (self.map.position(key))
            .and_then(|at| self.front_ends.get(&self.factors[at]))
            .ok_or_else(|| Error::key(self.map.path(), key, "a warp factor", "none"))
    }
}
