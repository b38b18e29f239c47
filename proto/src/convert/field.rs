//! Parsing of single fields, so that each refusal names its field in the same way.

use crate::ParseError;
use std::{collections::BTreeMap, fmt};
use tenure_core::{Attributes, Endpoint, NodeName, Note, ServiceName, Zone};

/// A message that must be there, parsed.
pub(super) fn message<W, T>(field: &str, value: Option<W>) -> Result<T, ParseError>
where
    T: TryFrom<W, Error = ParseError>,
{
    let value = value.ok_or_else(|| ParseError::new(field, "is missing"))?;
    T::try_from(value).map_err(|error| error.within(field))
}

/// A message that may be absent, parsed.
pub(super) fn optional<W, T>(field: &str, value: Option<W>) -> Result<Option<T>, ParseError>
where
    T: TryFrom<W, Error = ParseError>,
{
    let parsed = value.map(T::try_from).transpose();
    parsed.map_err(|error| error.within(field))
}

/// A number of an enumeration that this build knows.
pub(super) fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, ParseError> {
    E::try_from(number).map_err(|_| {
        ParseError::new(
            field,
            format!("is {number}, which this build does not know"),
        )
    })
}

/// The refusal of an enumeration's zero, where it means nothing.
pub(super) fn unspecified(field: &str) -> ParseError {
    ParseError::new(field, "is unspecified")
}

fn text<T, E: fmt::Display>(field: &str, parsed: Result<T, E>) -> Result<T, ParseError> {
    parsed.map_err(|error| ParseError::new(field, format!("is refused: {error}")))
}

pub(super) fn note(field: &str, value: &str) -> Result<Note, ParseError> {
    text(field, Note::new(value))
}

pub(super) fn endpoint(field: &str, value: &str) -> Result<Endpoint, ParseError> {
    text(field, Endpoint::new(value))
}

pub(super) fn service_name(field: &str, value: &str) -> Result<ServiceName, ParseError> {
    text(field, ServiceName::new(value))
}

pub(super) fn node_name(field: &str, value: &str) -> Result<NodeName, ParseError> {
    text(field, NodeName::new(value))
}

/// A zone; empty is none.
pub(super) fn zone(field: &str, value: &str) -> Result<Option<Zone>, ParseError> {
    if value.is_empty() {
        return Ok(None);
    }
    text(field, Zone::new(value)).map(Some)
}

pub(super) fn attributes(
    field: &str,
    pairs: BTreeMap<String, String>,
) -> Result<Attributes, ParseError> {
    text(field, Attributes::new(pairs))
}

pub(super) fn attributes_to_wire(attributes: &Attributes) -> BTreeMap<String, String> {
    attributes.clone().into()
}

pub(super) fn zone_to_wire(zone: Option<&Zone>) -> String {
    zone.map(|zone| zone.as_str().to_owned())
        .unwrap_or_default()
}
