//! Text that people or programs attach to things: notes, attributes, endpoints. Bounded, and free of control characters.

use crate::limits::{
    ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, HOST_BYTES_MAX,
    NAME_BYTES_MAX, NOTE_BYTES_MAX,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Why a text cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextError {
    /// More bytes than allowed.
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A control character, and its byte offset.
    Control(usize),
    /// More attributes than allowed.
    TooMany(usize),
    /// An attribute without a key.
    EmptyKey,
    /// Not `HOST:PORT` with a port from 1 to 65535.
    NotAnEndpoint(String),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, max } => {
                write!(f, "the text has {bytes} bytes, at most {max} are allowed")
            }
            Self::Control(at) => write!(f, "a control character stands at byte {at}"),
            Self::TooMany(count) => write!(
                f,
                "there are {count} attributes, at most {ATTRIBUTES_MAX} are allowed"
            ),
            Self::EmptyKey => write!(f, "an attribute has an empty key"),
            Self::NotAnEndpoint(text) => write!(
                f,
                "{text:?} is not HOST:PORT with a port from 1 to 65535 (IPv6 in brackets)"
            ),
        }
    }
}

impl std::error::Error for TextError {}

fn check(text: &str, max: usize) -> Result<(), TextError> {
    if text.len() > max {
        return Err(TextError::TooLong {
            bytes: text.len(),
            max,
        });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(TextError::Control(at)),
        None => Ok(()),
    }
}

/// A short remark by a person or program: why something was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Note(Arc<str>);

impl Note {
    /// Takes up to 512 bytes without control characters; may be empty.
    ///
    /// # Errors
    /// [`TextError`] when it is longer or holds a control character; a retry cannot help.
    pub fn new(text: &str) -> Result<Self, TextError> {
        check(text, NOTE_BYTES_MAX).map(|()| Self(text.into()))
    }

    /// The remark as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Note {
    fn default() -> Self {
        Self("".into())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Note {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::new(&text)
    }
}

impl From<Note> for String {
    fn from(note: Note) -> String {
        note.0.as_ref().to_owned()
    }
}

/// Small key-value pairs on a node (its labels) or an instance, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Takes up to 32 pairs: keys of 1 to 63 bytes, values of up to 1024, 8 KiB in all.
    ///
    /// # Errors
    /// [`TextError`] names the bound that was passed; a retry cannot help.
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, TextError> {
        if pairs.len() > ATTRIBUTES_MAX {
            return Err(TextError::TooMany(pairs.len()));
        }
        let mut total: usize = 0;
        for (key, value) in &pairs {
            if key.is_empty() {
                return Err(TextError::EmptyKey);
            }
            check(key, NAME_BYTES_MAX)?;
            check(value, ATTRIBUTE_VALUE_BYTES_MAX)?;
            total = total.saturating_add(key.len()).saturating_add(value.len());
        }
        if total > ATTRIBUTES_BYTES_MAX {
            return Err(TextError::TooLong {
                bytes: total,
                max: ATTRIBUTES_BYTES_MAX,
            });
        }
        Ok(Self(pairs))
    }

    /// The pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, String>> for Attributes {
    type Error = TextError;
    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, TextError> {
        Self::new(pairs)
    }
}

impl From<Attributes> for BTreeMap<String, String> {
    fn from(attributes: Attributes) -> Self {
        attributes.0
    }
}

/// Where something can be reached: `HOST:PORT`, the host an IP address (IPv6 in brackets) or a host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(Arc<str>);

impl Endpoint {
    /// Takes `HOST:PORT`.
    ///
    /// # Errors
    /// [`TextError`] when the host is empty, too long or has a character that no host has, or the
    /// port is not 1 to 65535; a retry cannot help.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let refused = || TextError::NotAnEndpoint(text.chars().take(HOST_BYTES_MAX).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        // No leading zeros: one endpoint has one spelling, of bounded length.
        let port_ok = port.starts_with(|c: char| matches!(c, '1'..='9'))
            && port.parse::<u16>().is_ok_and(|p| p > 0);
        let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.len() <= HOST_BYTES_MAX
                    && host
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
            }
        };
        if port_ok && host_ok {
            Ok(Self(text.into()))
        } else {
            Err(refused())
        }
    }

    /// The endpoint as `HOST:PORT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::new(&text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["127.0.0.1:1", "[::1]:65535", "db-1.example:3306"] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        for bad in [
            "", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "a:080", "a:-1", "a b:1", "::1:80",
            "[x]:1", "a\n:1",
        ] {
            assert!(Endpoint::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn notes_hold_no_control_characters() {
        assert_eq!(Note::new("a\u{1b}[2J"), Err(TextError::Control(1)));
        assert!(Note::new(&"x".repeat(NOTE_BYTES_MAX)).is_ok());
        assert!(Note::new(&"x".repeat(NOTE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn attributes_are_bounded() {
        let many = (0..33).map(|i| (format!("k{i}"), String::new())).collect();
        assert_eq!(Attributes::new(many), Err(TextError::TooMany(33)));
        let heavy = (0..9)
            .map(|i| (format!("k{i}"), "v".repeat(1024)))
            .collect();
        assert!(matches!(
            Attributes::new(heavy),
            Err(TextError::TooLong { .. })
        ));
        let keyless = [(String::new(), "v".to_owned())].into();
        assert_eq!(Attributes::new(keyless), Err(TextError::EmptyKey));
    }
}
