//! Read and write specifiers: `ark,s,cs:feats.ark`, `scp:feats.scp`, `ark,scp,t:a.ark,a.scp`.

use std::path::Path;

use crate::error::{Error, Result};
use crate::io::foreign::Form;

/// A parsed read specifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSpecifier {
    /// Where the objects are.
    pub from: ReadFrom,
    /// Its options.
    pub flags: ReadFlags,
}

/// Where a table is read from; the string is a file name, `-` or `command |`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// An archive.
    Ark(String),
    /// A list of keys and places.
    Scp(String),
    /// A table of Python's tools.
    Foreign(Form, String),
}

impl ReadFrom {
    /// The name of its file, folder or stream.
    pub fn name(&self) -> &str {
        let (Self::Ark(name) | Self::Scp(name) | Self::Foreign(_, name)) = self;
        name
    }
}

/// The options that matter to reading in order. `o`, `no`, `cs` and `ncs` promise something about lookups
/// by key, and `b` and `t` about a form that is evident from the bytes: they are understood, and there is
/// nothing to do for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadFlags {
    /// `s`: the keys stand in byte order; one that does not is an error.
    pub sorted: bool,
    /// `p`: an `scp` entry that cannot be read is passed over, an archive that breaks off ends there.
    pub permissive: bool,
    /// `bg`: a thread reads ahead.
    pub background: bool,
}

impl ReadSpecifier {
    /// Parses `TYPE[,OPTION...]:NAME`.
    ///
    /// # Errors
    /// [`Error::Option`] quoting the specifier.
    pub fn parse(text: &str) -> Result<Self> {
        let (head, name) = split(text, "a read specifier as ark:FILE or scp:FILE")?;
        let mut kind = None;
        let mut flags = ReadFlags::default();
        for option in head.split(',') {
            match option {
                "ark" | "scp" if kind.is_none() => kind = Some(option),
                form if kind.is_none() && Form::of(form).is_some() => kind = Some(option),
                "s" => flags.sorted = true,
                "ns" => flags.sorted = false,
                "p" => flags.permissive = true,
                "np" => flags.permissive = false,
                "bg" => flags.background = true,
                "o" | "no" | "cs" | "ncs" | "b" | "t" => {}
                _ => {
                    let expected = "ark, scp, npy, safetensors or parquet, once, and the options o no s ns cs ncs p np bg";
                    return Err(refuse(text, expected, format!("'{option}'")));
                }
            }
        }
        let from = match (kind, kind.and_then(Form::of)) {
            (Some(_), Some(form)) if !is_stream(name) => ReadFrom::Foreign(form, name.to_string()),
            (Some(kind), Some(_)) => {
                let expected = format!("the name of a file or a folder behind {kind}:");
                return Err(refuse(text, expected, format!("'{name}'")));
            }
            (Some("ark"), None) => ReadFrom::Ark(name.to_string()),
            (Some(_), None) => ReadFrom::Scp(name.to_string()),
            (None, _) => {
                let expected = "ark, scp, npy, safetensors or parquet";
                return Err(refuse(text, expected, format!("'{head}'")));
            }
        };
        Ok(Self { from, flags })
    }

    /// A specifier, or a bare path: of a folder or a file that is named after its form as `npy:`, `safetensors:` or `parquet:`,
    /// of any other file as the list `scp:`.
    pub fn of_place(text: &str) -> Self {
        let form = || {
            let path = Path::new(text);
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => Some(Form::Npy),
                Some("npy" | "npz") => Some(Form::Npy),
                Some(extension) => Form::of(extension),
                None => None,
            }
        };
        Self::parse(text).unwrap_or_else(|_| Self {
            from: match form() {
                Some(form) => ReadFrom::Foreign(form, text.to_string()),
                None => ReadFrom::Scp(text.to_string()),
            },
            flags: ReadFlags::default(),
        })
    }

    /// Whether its objects can be looked up by key: in a list that is a file, or in a table of Python's tools.
    pub fn has_lookups(&self) -> bool {
        let list = match &self.from {
            ReadFrom::Ark(_) => false,
            ReadFrom::Scp(name) => !is_stream(name),
            ReadFrom::Foreign(..) => true,
        };
        list && self.flags == ReadFlags::default()
    }
}

impl std::fmt::Display for ReadSpecifier {
    /// As it is parsed, without its options.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.from {
            ReadFrom::Ark(name) => write!(f, "ark:{name}"),
            ReadFrom::Scp(name) => write!(f, "scp:{name}"),
            ReadFrom::Foreign(form, name) => write!(f, "{}:{name}", form.name()),
        }
    }
}

/// Whether a name is that of a stream, or none.
fn is_stream(name: &str) -> bool {
    name.is_empty() || name == "-" || name.starts_with('|') || name.ends_with('|')
}

/// A parsed write specifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteSpecifier {
    /// Where the objects go.
    pub to: WriteTo,
    /// Its options.
    pub flags: WriteFlags,
}

/// Where a table is written to; the strings are file names, `-` or `| command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteTo {
    /// An archive.
    Ark(String),
    /// Each object into a file of its own, which the list names.
    Scp(String),
    /// An archive and the list of the places in it.
    ArkScp(String, String),
    /// A table that Python's tools read.
    Foreign(Form, String),
}

/// The options of a write specifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteFlags {
    /// `t`: text; `b`, the default: binary.
    pub text: bool,
    /// `f`: each object is handed on as it is written; `nf`, the default: when a buffer is full.
    pub flush: bool,
    /// `p`: with `scp`, a key that the list lacks is passed over.
    pub permissive: bool,
}

impl WriteSpecifier {
    /// Parses `TYPE[,OPTION...]:NAME`, `ark,scp[,OPTION...]:ARK,SCP`, or `npy:NAME`, `safetensors:FILE`, `parquet:FILE`.
    ///
    /// # Errors
    /// [`Error::Option`] quoting the specifier.
    pub fn parse(text: &str) -> Result<Self> {
        let (head, name) = split(text, "a write specifier as ark:FILE or ark,scp:FILE,FILE")?;
        if let Some(form) = Form::of(head) {
            return Self::foreign(form, name).ok_or_else(|| {
                let expected = format!("the name of a file behind {head}:");
                refuse(text, expected, format!("'{name}'"))
            });
        }
        let mut kinds = Vec::new();
        let mut flags = WriteFlags::default();
        for option in head.split(',') {
            match option {
                "ark" | "scp" => kinds.push(option),
                "t" => flags.text = true,
                "b" => flags.text = false,
                "f" => flags.flush = true,
                "nf" => flags.flush = false,
                "p" => flags.permissive = true,
                _ => {
                    let expected = "ark, scp or ark,scp and the options b t f nf p, or npy, safetensors or parquet";
                    return Err(refuse(text, expected, format!("'{option}'")));
                }
            }
        }
        let to = match kinds[..] {
            ["ark"] => WriteTo::Ark(name.to_string()),
            ["scp"] => WriteTo::Scp(name.to_string()),
            ["ark", "scp"] => both(text, name)?,
            _ => {
                let expected = "ark, scp or ark,scp, in that order";
                return Err(refuse(text, expected, format!("'{}'", kinds.join(","))));
            }
        };
        Ok(Self { to, flags })
    }

    fn foreign(form: Form, name: &str) -> Option<Self> {
        (!is_stream(name)).then(|| Self {
            to: WriteTo::Foreign(form, name.to_string()),
            flags: WriteFlags::default(),
        })
    }
}

/// `ARK,SCP`: an archive with an index has to be a file, since the index names it.
fn both(text: &str, names: &str) -> Result<WriteTo> {
    let (ark, scp) = names
        .split_once(',')
        .filter(|(ark, scp)| !ark.is_empty() && !scp.is_empty())
        .ok_or_else(|| refuse(text, "two names, ARK,SCP", format!("'{names}'")))?;
    if ark == "-" || ark.starts_with('|') {
        let expected = "an archive in a file, which the scp can name";
        return Err(refuse(text, expected, format!("'{ark}'")));
    }
    if ark == scp {
        return Err(refuse(text, "two files", format!("'{ark}' twice")));
    }
    Ok(WriteTo::ArkScp(ark.to_string(), scp.to_string()))
}

fn split<'a>(text: &'a str, expected: &str) -> Result<(&'a str, &'a str)> {
    let found = |what: &str| refuse(text, expected, what);
    let (head, name) = text.split_once(':').ok_or_else(|| found("no ':'"))?;
    if name != name.trim() {
        return Err(found("white space around the name"));
    }
    if name.contains('\n') {
        return Err(found("a newline"));
    }
    Ok((head, name))
}

fn refuse(text: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::option(format!("'{text}'"), expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_specifiers() {
        let spec = ReadSpecifier::parse("ark,s,cs,p,bg:-").unwrap();
        assert_eq!(spec.from, ReadFrom::Ark("-".into()));
        assert!(spec.flags.sorted && spec.flags.permissive && spec.flags.background);
        let spec = ReadSpecifier::parse("s,ns,scp:a:b.scp").unwrap();
        assert_eq!(spec.from, ReadFrom::Scp("a:b.scp".into()));
        assert_eq!(spec.flags, ReadFlags::default());
        for bad in [
            "a.ark",
            "ark",
            "ark,scp:a,b",
            "s:a",
            "ark,x:a",
            "ark: a",
            ":a",
        ] {
            let error = ReadSpecifier::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{bad}': expected ")), "{error}");
        }
    }

    #[test]
    fn write_specifiers() {
        let spec = WriteSpecifier::parse("ark,scp,t,f,p:a.ark,b.scp").unwrap();
        assert_eq!(spec.to, WriteTo::ArkScp("a.ark".into(), "b.scp".into()));
        assert!(spec.flags.text && spec.flags.flush && spec.flags.permissive);
        let spec = WriteSpecifier::parse("parquet:a.parquet").unwrap();
        assert_eq!(spec.to, WriteTo::Foreign(Form::Parquet, "a.parquet".into()));
        let bad = [
            "npy:-",
            "npy,t:a",
            "safetensors:",
            "scp,ark:a,b",
            "ark,scp:a",
            "ark,scp:-,b",
            "ark,scp:a,a",
            "t:a",
            "ark,cs:a",
        ];
        for bad in bad {
            let error = WriteSpecifier::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{bad}': expected ")), "{error}");
        }
    }
}
