//! Sets of images on a command line.

use crate::dataset::images::{Ground, ImageSource};

/// How a set of images is written.
pub(super) const FORMS: &str =
    "[NAME=]idx:IMAGES[,LABELS], [NAME=]folder:DIR or [NAME=]sprites:COUNT[,SEED[,noise]]";

/// Reads `[NAME=]KIND:WHERE`; without a name it is the kind's.
pub(super) fn parse_named_source(text: &str) -> Result<(String, ImageSource), String> {
    let (head, place) = text.split_once(':').ok_or(FORMS)?;
    let (name, kind) = head.split_once('=').unwrap_or((head, head));
    if name.is_empty() || place.is_empty() {
        return Err(format!("expected {FORMS}"));
    }
    let (first, second) = match place.split_once(',') {
        Some((first, second)) => (first, Some(second)),
        None => (place, None),
    };
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("expected a whole number in {FORMS}, found '{text}'"))
    };
    let source = match kind {
        "idx" => ImageSource::Idx {
            images: first.into(),
            labels: second.map(Into::into),
        },
        "folder" => ImageSource::Folder { path: place.into() },
        "sprites" => {
            let (seed, ground) = match second.map(|seed| (seed, seed.strip_suffix(",noise"))) {
                Some((_, Some(seed))) => (Some(seed), Ground::Noise),
                other => (other.map(|(seed, _)| seed), Ground::Black),
            };
            ImageSource::Sprites {
                count: number(first)? as usize,
                seed: seed.map_or(Ok(0), number)?,
                ground,
            }
        }
        _ => return Err(format!("expected {FORMS}, found '{kind}'")),
    };
    Ok((name.to_string(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let read = |text: &str| parse_named_source(text).unwrap();
        assert_eq!(
            read("usps=idx:a.gz,b.gz"),
            (
                "usps".into(),
                ImageSource::Idx {
                    images: "a.gz".into(),
                    labels: Some("b.gz".into())
                }
            )
        );
        assert_eq!(
            read("folder:a,b").1,
            ImageSource::Folder { path: "a,b".into() }
        );
        for (text, ground) in [
            ("sprites:10,3", Ground::Black),
            ("sprites:10,3,noise", Ground::Noise),
        ] {
            let (count, seed) = (10, 3);
            let sprites = ImageSource::Sprites {
                count,
                seed,
                ground,
            };
            assert_eq!(read(text), ("sprites".into(), sprites));
        }
    }

    #[test]
    fn an_unknown_form_is_refused_with_the_forms() {
        for text in [
            "a",
            "png:a",
            "=idx:a",
            "idx:",
            "sprites:many",
            "sprites:1,x",
        ] {
            let error = parse_named_source(text).unwrap_err();
            assert!(error.contains("sprites:COUNT"), "{text}: {error}");
        }
    }
}
