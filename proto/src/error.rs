//! What conversion refuses.

use std::fmt;

/// A message from the wire that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct ParseError {
    /// Path of the field, such as `add_node.labels` or `batch.commands[2].name`.
    pub field: String,
    /// What is wrong with it, to be read after the field.
    pub why: String,
}

impl ParseError {
    /// Says what is wrong with a field, as a text that is read after the field's name.
    #[must_use]
    pub fn new(field: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            why: why.to_string(),
        }
    }

    /// The same, seen from the message that holds the field's message under the name `outer`.
    #[must_use]
    pub fn within(self, outer: impl fmt::Display) -> Self {
        let field = if self.field.is_empty() {
            outer.to_string()
        } else {
            format!("{outer}.{}", self.field)
        };
        Self { field, ..self }
    }
}

/// Something of the core that clients neither send nor see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} stays among the servers: the API has no message for it")]
pub struct NotOnWire(pub &'static str);
