//! What sherpa-onnx asks of a speaker model: the features that it computes itself, and entries in the metadata.

use crate::error::{Error, Result};
use crate::signal::{AnyFrontEndOptions, FrontEndOptions};

/// The front-end of sherpa-onnx's speaker models, but for sample rate and full scale, which the metadata give.
const FRONT_END: &str = "kind = 'fbank'\nsnip_edges = false\nnum_mel_bins = 80\nhigh_freq = -400.0";

/// The entries of the metadata, for embeddings of `dim` values.
///
/// # Errors
/// [`Error::Option`] naming the option of the front-end that is not that of sherpa-onnx.
pub(super) fn entries(
    front_end: Option<&AnyFrontEndOptions>,
    dim: usize,
) -> Result<Vec<(&'static str, String)>> {
    let Some(front_end) = front_end else {
        let expected = "an experiment whose data.front_end names one";
        return Err(Error::option("--format sherpa-onnx", expected, "none"));
    };
    let front_end = front_end.spectral("that sherpa-onnx computes")?;
    let table = |options: &FrontEndOptions| {
        toml::Table::try_from(options)
            .map_err(|error| Error::option("front_end", "options TOML can hold", error.to_string()))
    };
    let theirs: FrontEndOptions = toml::from_str(FRONT_END)
        .map_err(|error| Error::option("front_end", "options", error.message()))?;
    let (ours, theirs) = (table(front_end)?, table(&theirs.without_dither())?);
    for (key, expected) in &theirs {
        let found = ours.get(key);
        let free = ["sample_frequency", "full_scale", "seed"].contains(&&key[..]);
        if !free && found != Some(expected) {
            let found = found.map_or("none".to_string(), ToString::to_string);
            let expected = format!("{expected}, as in sherpa-onnx");
            return Err(Error::option(format!("front_end.{key}"), expected, found));
        }
    }
    let number = |key: &str| ours.get(key).and_then(toml::Value::as_float).unwrap_or(0.0);
    let normalised = match number("full_scale") {
        1.0 => "1",
        32768.0 => "0",
        other => {
            let expected = "1 or 32768, as in sherpa-onnx";
            return Err(Error::option(
                "front_end.full_scale",
                expected,
                other.to_string(),
            ));
        }
    };
    Ok(vec![
        ("framework", "wespeaker".to_string()),
        ("language", "English".to_string()),
        ("output_dim", dim.to_string()),
        ("sample_rate", number("sample_frequency").to_string()),
        ("normalize_samples", normalised.to_string()),
        // Normalisation is inside the model.
        ("feature_normalize_type", String::new()),
    ])
}
