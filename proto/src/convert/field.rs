//! Parsing of single fields, so that each refusal names its field in the same way.

use crate::ParseError;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
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

/// The elements of a repeated field, of which there are at most `max`, each parsed.
pub(super) fn list<W, T>(
    field: &str,
    wire: Vec<W>,
    max: usize,
    parse: impl Fn(&str, W) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    bounded(field, wire.len(), max)?;
    let one = |(at, element)| parse(&format!("{field}[{at}]"), element);
    wire.into_iter().enumerate().map(one).collect()
}

/// The messages of a repeated field, of which there are at most `max`, each parsed.
pub(super) fn messages<W, T>(field: &str, wire: Vec<W>, max: usize) -> Result<Vec<T>, ParseError>
where
    T: TryFrom<W, Error = ParseError>,
{
    list(field, wire, max, |place, element| {
        T::try_from(element).map_err(|error| error.within(place))
    })
}

/// The refusal of a repeated field that has more elements than it may have.
pub(super) fn bounded(field: &str, count: usize, max: usize) -> Result<(), ParseError> {
    if count > max {
        let why = format!("has {count} elements, at most {max} are allowed");
        return Err(ParseError::new(field, why));
    }
    Ok(())
}

/// The refusal of elements that speak of the same thing.
pub(super) fn distinct<'a, N: Ord + fmt::Display + 'a>(
    field: &str,
    names: impl Iterator<Item = &'a N>,
) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        if !seen.insert(name) {
            return Err(named_before(&format!("{field}[{at}]"), name));
        }
    }
    Ok(())
}

/// The refusal of an element that names what an earlier one names.
pub(super) fn named_before(place: &str, name: impl fmt::Display) -> ParseError {
    ParseError::new(place, format!("names {name}, which was named before"))
}

/// The refusal of a choice in which nothing was chosen.
pub(super) fn no_choice(field: &str) -> ParseError {
    let why = "is missing, or of a kind that this build does not know";
    ParseError::new(field, why)
}

/// The same, of a choice that is called `kind`, as most are.
pub(super) fn no_kind() -> ParseError {
    no_choice("kind")
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

/// An endpoint; empty is none.
pub(super) fn optional_endpoint(field: &str, value: &str) -> Result<Option<Endpoint>, ParseError> {
    if value.is_empty() {
        return Ok(None);
    }
    endpoint(field, value).map(Some)
}

pub(super) fn optional_endpoint_to_wire(endpoint: Option<&Endpoint>) -> String {
    endpoint
        .map(|endpoint| endpoint.as_str().to_owned())
        .unwrap_or_default()
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
