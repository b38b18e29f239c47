//! Findings.

use super::field;
use crate::{ParseError, v1};
use tenure_core::{Finding, Severity};

impl From<Severity> for v1::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Ok => Self::Ok,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = ParseError;

    fn try_from(wire: v1::Finding) -> Result<Self, ParseError> {
        let severity = match field::known("severity", wire.severity)? {
            v1::Severity::Ok => Severity::Ok,
            v1::Severity::Warning => Severity::Warning,
            v1::Severity::Critical => Severity::Critical,
        };
        Ok(Self {
            severity,
            subject: wire.subject,
            what: wire.what,
        })
    }
}

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: v1::Severity::from(finding.severity).into(),
            subject: finding.subject.clone(),
            what: finding.what.clone(),
        }
    }
}
