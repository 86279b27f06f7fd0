//! What can go wrong, each in one line that says what to do about it.

use std::{fmt, io};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A program this machine must have beforehand; `remedy` is what to type.
    Missing { what: String, remedy: String },
    /// A program ran and said no; its own words are on the screen already.
    Failed { program: String, how: String },
    /// The system refused something.
    Io { doing: String, source: io::Error },
    /// Anything else; the text says what to do.
    Advice(String),
}

impl Fault {
    pub(crate) fn missing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn advice(text: impl Into<String>) -> Self {
        Self::Advice(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what, remedy } => write!(out, "{what}. Type: {remedy}"),
            Self::Failed { program, how } => {
                write!(out, "`{program}` failed ({how}): its own message is above")
            }
            Self::Io { doing, source } => write!(out, "{doing}: {source}"),
            Self::Advice(text) => out.write_str(text),
        }
    }
}
