//! The bytes of log payloads, rows and snapshots: protobuf behind a version byte.
//!
//! These messages are storage's own, never those of the wire, so that either can change without the
//! other. What is decoded has passed the core's constructors: a value that exists is a valid one.
//! One value has one encoding (maps in key order, no unknown fields), for the digests of servers
//! are computed from it.
//!
//! A decoder that skipped what it does not know would let two versions of Tenure apply one entry in
//! two ways. Therefore an unknown version, kind or field is an error, never ignored.

use bytes::Bytes;
use prost::Message;
use tenure_core::Envelope;
use thiserror::Error;

mod codec;
mod commands;
mod copies;
mod key;
mod meta;
mod outcomes;
mod receipts;
mod records;
pub mod v1;
mod values;

pub use key::{decode_key, encode_key};
pub use meta::{Meta, Pending};
pub use records::{decode_record, encode_record};

/// The format version that this program writes, and the newest that it reads.
pub const VERSION: u8 = 1;

/// Bytes that cannot be understood. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Written by a version of Tenure that this one does not know.
    #[error(
        "it has format version {found}, and this program reads up to {known}. Start this server with \
         the version of Tenure that the others run"
    )]
    UnknownVersion {
        /// The version found.
        found: u8,
        /// The newest version this program reads.
        known: u8,
    },
    /// A command of a kind that this program does not know.
    #[error(
        "it is a command of a kind that this program does not know. Start this server with the \
         version of Tenure that the others run: an entry is never skipped"
    )]
    UnknownCommand,
    /// A record of a kind that this program does not know.
    #[error("it is a record of kind {0}, which this program does not know")]
    UnknownRecord(u8),
    /// It holds fields that this program does not know, or was not written by Tenure.
    #[error("{extra} of its {total} bytes mean nothing to this program")]
    UnknownFields {
        /// Bytes that were not understood.
        extra: usize,
        /// All bytes.
        total: usize,
    },
    /// The bytes are no protobuf message.
    #[error("it cannot be decoded: {0}")]
    Malformed(String),
    /// A field that is always there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number stands for nothing.
    #[error("{number} stands for no {what}")]
    UnknownValue {
        /// What it should stand for.
        what: &'static str,
        /// The number.
        number: i64,
    },
    /// A value breaks a rule of its type.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// The rule.
        why: String,
    },
}

impl FormatError {
    fn invalid(what: &'static str, why: impl ToString) -> Self {
        Self::Invalid {
            what,
            why: why.to_string(),
        }
    }
}

/// The payload of a log entry.
///
/// Of a batch inside a batch only the fact is kept: `apply` rejects it whatever it holds, and
/// unbounded nesting could not be decoded.
#[must_use]
pub fn encode_command(envelope: &Envelope) -> Bytes {
    seal(&v1::command::Envelope::from(envelope)).into()
}

/// Reads the payload of a log entry.
///
/// # Errors
/// [`FormatError`] says what is wrong; the caller must stop rather than skip the entry.
pub fn decode_command(bytes: &[u8]) -> Result<Envelope, FormatError> {
    open::<v1::command::Envelope, Envelope>(bytes)
}

/// Puts the version before a message.
fn seal(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VERSION);
    message
        .encode(&mut bytes)
        .expect("a vector grows as needed");
    bytes
}

/// Reads a value behind its version, and refuses what would be lost by writing it again.
fn open<M, T>(bytes: &[u8]) -> Result<T, FormatError>
where
    M: Message + Default,
    T: TryFrom<M, Error = FormatError>,
{
    let (version, body) = bytes.split_first().ok_or(FormatError::Empty)?;
    if *version != VERSION {
        return Err(FormatError::UnknownVersion {
            found: *version,
            known: VERSION,
        });
    }
    let message = M::decode(body).map_err(|e| FormatError::Malformed(e.to_string()))?;
    let known = message.encoded_len();
    let value = T::try_from(message)?;
    if known == body.len() {
        Ok(value)
    } else {
        Err(FormatError::UnknownFields {
            extra: body.len().abs_diff(known),
            total: body.len(),
        })
    }
}
