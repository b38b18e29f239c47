//! Reads answers of Redis, and makes sentences of its refusals.

use redis::{ServerError, Value};

use super::super::error::DriverError;

/// The answers to a pipeline, with what was asked in the same order.
pub(super) struct Answers {
    words: &'static [&'static str],
    values: Vec<Value>,
}

/// A refusal as Redis words it.
pub(super) fn refusal(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

impl Answers {
    pub(super) fn new(words: &'static [&'static str], values: Vec<Value>) -> Self {
        Self { words, values }
    }

    fn what(&self, index: usize) -> String {
        self.words.get(index).copied().unwrap_or("?").to_owned()
    }

    /// The answer to one command.
    pub(super) fn get(&self, index: usize) -> Result<&Value, DriverError> {
        match self.values.get(index) {
            Some(Value::ServerError(error)) => Err(DriverError::Refused {
                what: self.what(index),
                answer: refusal(error),
            }),
            Some(value) => Ok(value),
            None => Err(DriverError::Unreadable {
                what: self.what(index),
                why: "there is no answer".to_owned(),
            }),
        }
    }

    /// The text that answers one command.
    pub(super) fn text(&self, index: usize) -> Result<String, DriverError> {
        let value = self.get(index)?;
        text(value).ok_or_else(|| self.unreadable(index, "a text"))
    }

    /// The value of one parameter, of an answer to `CONFIG GET` of that parameter alone.
    pub(super) fn parameter(&self, index: usize) -> Result<String, DriverError> {
        let value = self.get(index)?;
        let pair = value.as_sequence().and_then(<[Value]>::last);
        pair.and_then(text)
            .ok_or_else(|| self.unreadable(index, "a parameter and its value"))
    }

    /// Every command was carried out.
    pub(super) fn all_done(&self) -> Result<(), DriverError> {
        (0..self.values.len()).try_for_each(|index| self.get(index).map(|_| ()))
    }

    /// The first refusal with this code, if there is one.
    pub(super) fn has(&self, code: &str) -> bool {
        self.values.iter().any(|value| is_refusal(value, code))
    }

    pub(super) fn unreadable(&self, index: usize, expected: &str) -> DriverError {
        DriverError::Unreadable {
            what: self.what(index),
            why: format!(
                "expected {expected}, found {}",
                shown(self.values.get(index))
            ),
        }
    }
}

/// Whether it is a refusal with this code, such as `BUSY`.
fn is_refusal(value: &Value, code: &str) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == code)
}

/// The text or number as text; None of anything else.
pub(super) fn text(value: &Value) -> Option<String> {
    if let Value::BulkString(bytes) = value {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    if let Value::SimpleString(text) = value {
        return Some(text.clone());
    }
    if let Value::Int(number) = value {
        return Some(number.to_string());
    }
    matches!(value, Value::Okay).then(|| "OK".to_owned())
}

fn shown(value: Option<&Value>) -> String {
    let text = format!("{value:?}");
    text.chars().take(80).collect()
}
