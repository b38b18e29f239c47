//! Which records a list or a watch is about.

use crate::{ParseError, v1::RecordKind};
use std::collections::BTreeSet;
use tenure_core::{Key, ServiceName, limits::SERVICES_MAX};

/// Which records a list or a watch is about. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    kinds: BTreeSet<RecordKind>,
    services: BTreeSet<ServiceName>,
}

impl Filter {
    /// Takes the fields `kinds` and `services` of a request; an empty one restricts nothing.
    ///
    /// # Errors
    /// [`ParseError`] names the element that is no kind or no name.
    pub fn parse(kinds: &[i32], services: &[String]) -> Result<Self, ParseError> {
        if services.len() > SERVICES_MAX {
            let why = format!(
                "has {} names, at most {SERVICES_MAX} make sense",
                services.len()
            );
            return Err(ParseError::new("services", why));
        }
        let kind = |(at, number): (usize, &i32)| match RecordKind::try_from(*number) {
            Ok(kind) if kind != RecordKind::Unspecified => Ok(kind),
            Ok(_) | Err(_) => Err(ParseError::new(
                format!("kinds[{at}]"),
                format!("is {number}, which is no kind of record"),
            )),
        };
        let name = |(at, text): (usize, &String)| {
            ServiceName::new(text).map_err(|error| {
                ParseError::new(format!("services[{at}]"), format!("is refused: {error}"))
            })
        };
        Ok(Self {
            kinds: kinds
                .iter()
                .enumerate()
                .map(kind)
                .collect::<Result<_, _>>()?,
            services: services
                .iter()
                .enumerate()
                .map(name)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether the record under `key` is asked for. Kinds that clients never see are not.
    ///
    /// Names of services restrict services, assignments and instances alone.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        let Some(kind) = kind_of(key) else {
            return false;
        };
        let by_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        let by_service = self.services.is_empty()
            || key
                .service()
                .is_none_or(|service| self.services.contains(service));
        by_kind && by_service
    }

    /// The services that are asked for; all when empty.
    #[must_use]
    pub fn services(&self) -> &BTreeSet<ServiceName> {
        &self.services
    }

    /// The kinds that are asked for; all when empty.
    #[must_use]
    pub fn kinds(&self) -> &BTreeSet<RecordKind> {
        &self.kinds
    }
}

fn kind_of(key: &Key) -> Option<RecordKind> {
    match key {
        Key::Settings => Some(RecordKind::Settings),
        Key::Server(_) => Some(RecordKind::Server),
        Key::Node(_) => Some(RecordKind::Node),
        Key::Service(_) => Some(RecordKind::Service),
        Key::Assignment(_) => Some(RecordKind::Assignment),
        Key::Instance(..) => Some(RecordKind::Instance),
        Key::Pin(_) => Some(RecordKind::Pin),
        Key::History(_) | Key::Client(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::{NodeId, Revision};

    #[test]
    fn services_restrict_only_what_belongs_to_a_service() {
        let filter = Filter::parse(&[], &["redis".to_owned()]).unwrap();
        let redis = ServiceName::new("redis").unwrap();
        let mysql = ServiceName::new("mysql").unwrap();
        assert!(filter.matches(&Key::Instance(redis, NodeId(1))));
        assert!(!filter.matches(&Key::Service(mysql)));
        assert!(filter.matches(&Key::Node(NodeId(1))));
        assert!(!filter.matches(&Key::History(Revision(1))));
        let nodes = Filter::parse(&[RecordKind::Node as i32], &[]).unwrap();
        assert!(nodes.matches(&Key::Node(NodeId(1))));
        assert!(!nodes.matches(&Key::Pin(NodeId(1))));
    }

    #[test]
    fn what_is_no_kind_or_name_is_named() {
        for kind in [0, -1, 99] {
            let error = Filter::parse(&[3, kind], &[]).unwrap_err();
            assert_eq!(error.field, "kinds[1]");
        }
        let error = Filter::parse(&[], &["a\u{7}".to_owned()]).unwrap_err();
        assert_eq!(error.field, "services[0]");
    }
}
