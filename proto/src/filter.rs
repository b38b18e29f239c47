//! Which records a list or a watch is about: the request's fields and the core's [`Filter`].

use crate::{ParseError, v1};
use tenure_core::{Filter, RecordKind, ServiceName, limits::SERVICES_MAX};

/// Parses the fields `kinds` and `services` of a request; an empty one restricts nothing.
///
/// # Errors
/// [`ParseError`] names the element that is no kind or no name.
pub fn parse_filter(kinds: &[i32], services: &[String]) -> Result<Filter, ParseError> {
    if services.len() > SERVICES_MAX {
        let why = format!(
            "has {} names, at most {SERVICES_MAX} make sense",
            services.len()
        );
        return Err(ParseError::new("services", why));
    }
    let kind = |(at, number): (usize, &i32)| {
        let known = v1::RecordKind::try_from(*number).ok().and_then(kind);
        let field = || format!("kinds[{at}]");
        known.ok_or_else(|| {
            ParseError::new(field(), format!("is {number}, which is no kind of record"))
        })
    };
    let name = |(at, text): (usize, &String)| {
        let field = || format!("services[{at}]");
        ServiceName::new(text)
            .map_err(|error| ParseError::new(field(), format!("is refused: {error}")))
    };
    Ok(Filter {
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

/// The fields `kinds` and `services` of a request.
#[must_use]
pub fn filter_to_wire(filter: &Filter) -> (Vec<i32>, Vec<String>) {
    let kinds = filter
        .kinds
        .iter()
        .map(|kind| number(*kind).into())
        .collect();
    let services = filter.services.iter().map(ToString::to_string).collect();
    (kinds, services)
}

fn kind(wire: v1::RecordKind) -> Option<RecordKind> {
    match wire {
        v1::RecordKind::Unspecified => None,
        v1::RecordKind::Settings => Some(RecordKind::Settings),
        v1::RecordKind::Server => Some(RecordKind::Server),
        v1::RecordKind::Node => Some(RecordKind::Node),
        v1::RecordKind::Service => Some(RecordKind::Service),
        v1::RecordKind::Assignment => Some(RecordKind::Assignment),
        v1::RecordKind::Instance => Some(RecordKind::Instance),
        v1::RecordKind::Pin => Some(RecordKind::Pin),
        v1::RecordKind::Automation => Some(RecordKind::Automation),
        v1::RecordKind::Pause => Some(RecordKind::Pause),
    }
}

fn number(kind: RecordKind) -> v1::RecordKind {
    match kind {
        RecordKind::Settings => v1::RecordKind::Settings,
        RecordKind::Server => v1::RecordKind::Server,
        RecordKind::Node => v1::RecordKind::Node,
        RecordKind::Service => v1::RecordKind::Service,
        RecordKind::Assignment => v1::RecordKind::Assignment,
        RecordKind::Instance => v1::RecordKind::Instance,
        RecordKind::Pin => v1::RecordKind::Pin,
        RecordKind::Automation => v1::RecordKind::Automation,
        RecordKind::Pause => v1::RecordKind::Pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_wire() {
        let filter = Filter {
            kinds: RecordKind::ALL.into(),
            services: [ServiceName::new("redis").unwrap()].into(),
        };
        let (kinds, services) = filter_to_wire(&filter);
        assert_eq!(parse_filter(&kinds, &services), Ok(filter));
        assert_eq!(parse_filter(&[], &[]), Ok(Filter::default()));
    }

    #[test]
    fn what_is_no_kind_or_name_is_named() {
        for kind in [0, -1, 99] {
            let error = parse_filter(&[3, kind], &[]).unwrap_err();
            assert_eq!(error.field, "kinds[1]");
        }
        let error = parse_filter(&[], &["a\u{7}".to_owned()]).unwrap_err();
        assert_eq!(error.field, "services[0]");
    }
}
