//! Names of nodes, services and zones: DNS labels, so that each can stand in a host name.

use crate::limits::NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// Nothing was given.
    Empty,
    /// Longer than a DNS label: so many bytes.
    TooLong(usize),
    /// A character that has no place in a name, and where (byte offset).
    BadCharacter {
        /// The character.
        found: char,
        /// Its byte offset.
        at: usize,
    },
    /// Begins or ends with a hyphen.
    HyphenAtEdge,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a name must not be empty"),
            Self::TooLong(bytes) => write!(
                f,
                "a name has at most {NAME_BYTES_MAX} bytes, this one has {bytes}"
            ),
            Self::BadCharacter { found, at } => write!(
                f,
                "{found:?} at byte {at} has no place in a name: use a-z, 0-9 and '-'"
            ),
            Self::HyphenAtEdge => write!(f, "a name must not begin or end with '-'"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    let bad = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if let Some((at, found)) = text.char_indices().find(|(_, c)| bad(*c)) {
        return Err(NameError::BadCharacter { found, at });
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::HyphenAtEdge);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a DNS label: 1 to 63 of `a-z`, `0-9` and `-`, no hyphen at either end.
            ///
            /// # Errors
            /// [`NameError`] says which rule was broken, and where; a retry cannot help.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Name of a node, unique among those not removed.
    NodeName
);
name!(
    /// Name of a service, unique.
    ServiceName
);
name!(
    /// A failure domain: a rack, a room, a power feed.
    Zone
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        let long = "a".repeat(64);
        let table = [
            ("db-1", None),
            ("9", None),
            ("", Some(NameError::Empty)),
            (long.as_str(), Some(NameError::TooLong(64))),
            (
                "a\u{7}b",
                Some(NameError::BadCharacter {
                    found: '\u{7}',
                    at: 1,
                }),
            ),
            ("Db", Some(NameError::BadCharacter { found: 'D', at: 0 })),
            ("a.b", Some(NameError::BadCharacter { found: '.', at: 1 })),
            ("-a", Some(NameError::HyphenAtEdge)),
            ("a-", Some(NameError::HyphenAtEdge)),
        ];
        for (text, error) in table {
            assert_eq!(NodeName::new(text).err(), error, "{text:?}");
        }
    }
}
