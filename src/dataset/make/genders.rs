//! Who is male and who is female, as a corpus lists its speakers.

use std::collections::HashMap;
use std::path::Path;

use crate::error::Result;
use crate::io::lines::read_text;

/// Where a corpus has its list: a file in the folder of recordings, or in one of two around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GenderList {
    pub file: &'static str,
    /// Between columns; none for white space.
    pub separator: Option<char>,
    /// Column of the gender, from 0; the first is the speaker.
    pub column: usize,
    /// What stands before a number in the names of files.
    pub prefix: &'static str,
}

/// `ID | SEX | SUBSET | MINUTES | NAME`.
pub(super) const LIBRISPEECH: GenderList = GenderList {
    file: "SPEAKERS.TXT",
    separator: Some('|'),
    column: 1,
    prefix: "",
};

/// `ID AGE GENDER ACCENTS REGION`; release 0.80 has ids without the p.
pub(super) const VCTK: GenderList = GenderList {
    file: "speaker-info.txt",
    separator: None,
    column: 2,
    prefix: "p",
};

/// `m` or `f`, as `spk2gender` has it; none for what is neither.
pub(super) fn gender(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "m" | "male" | "male_masculine" => Some("m"),
        "f" | "female" | "female_feminine" => Some("f"),
        _ => None,
    }
}

impl GenderList {
    /// The gender of each speaker; none where there is no list.
    ///
    /// # Errors
    /// As [`read_text`].
    pub(super) fn read(self, folder: &Path) -> Result<HashMap<String, &'static str>> {
        let mut places = folder
            .ancestors()
            .take(3)
            .map(|place| place.join(self.file));
        let Some(list) = places.find(|path| path.is_file()) else {
            return Ok(HashMap::new());
        };
        let text = read_text(&list)?;
        Ok(text.lines().filter_map(|line| self.speaker(line)).collect())
    }

    /// The speaker of a line and the gender; none of a comment or heading.
    fn speaker(self, line: &str) -> Option<(String, &'static str)> {
        let columns: Vec<&str> = match self.separator {
            Some(separator) => line.split(separator).map(str::trim).collect(),
            None => line.split_whitespace().collect(),
        };
        let gender = gender(columns.get(self.column)?)?;
        let speaker = match columns[0] {
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{}{number}", self.prefix)
            }
            name => name.to_string(),
        };
        Some((speaker, gender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_corpora() {
        let libri = |line| LIBRISPEECH.speaker(line);
        assert_eq!(
            libri("14   | F | train-clean-360  | 25.03 | Kris"),
            Some(("14".into(), "f"))
        );
        assert_eq!(libri(";ID  |SEX| SUBSET           |MINUTES| NAME"), None);
        assert_eq!(libri(""), None);
        let vctk = |line| VCTK.speaker(line);
        assert_eq!(vctk("ID  AGE  GENDER  ACCENTS  REGION"), None);
        assert_eq!(
            vctk("225  23  F    English    Southern  England"),
            Some(("p225".into(), "f"))
        );
        assert_eq!(
            vctk("p226  22  M    English    Surrey"),
            Some(("p226".into(), "m"))
        );
        assert_eq!(vctk("s5  18  F    British"), Some(("s5".into(), "f")));
        for (text, expected) in [
            ("male_masculine", Some("m")),
            ("Female", Some("f")),
            ("", None),
            ("other", None),
        ] {
            assert_eq!(gender(text), expected);
        }
    }
}
