//! A place in a topology file: reads what stands there, and says what is wrong with it.

use std::{collections::BTreeMap, fmt};
use toml::{Table, Value};

/// Values longer than this are cut in errors.
const SHOWN_CHARS_MAX: usize = 60;

/// Why a topology file cannot be used. Nothing was asked of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// It cannot be read.
    #[error("{file}: {why}; name a topology file that can be read")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        why: String,
    },
    /// It is no TOML.
    #[error("{file}: this is not TOML: {why}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser says, with line and column.
        why: String,
    },
    /// A key has a value that it cannot have.
    #[error("{file}: {key} = {value}: {right}")]
    Value {
        /// The file.
        file: String,
        /// The key with all that it stands under.
        key: String,
        /// The value.
        value: String,
        /// What would be right.
        right: String,
    },
    /// A key cannot stand here.
    #[error("{file}: {key}: {right}")]
    Key {
        /// The file.
        file: String,
        /// The key with all that it stands under.
        key: String,
        /// What would be right.
        right: String,
    },
}

/// Where in the file something stands.
pub(super) struct Place<'a> {
    file: &'a str,
    path: String,
}

impl<'a> Place<'a> {
    pub(super) fn root(file: &'a str) -> Self {
        Self {
            file,
            path: String::new(),
        }
    }

    pub(super) fn at(&self, key: &str) -> Self {
        let key = quoted(key);
        let path = if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            file: self.file,
            path,
        }
    }

    /// The value here cannot be right.
    pub(super) fn wrong(&self, value: &Value, right: &str) -> TopologyError {
        TopologyError::Value {
            file: self.file.to_owned(),
            key: self.path.clone(),
            value: shown(value),
            right: right.to_owned(),
        }
    }

    /// The key `key` cannot stand under this place.
    pub(super) fn wrong_key(&self, key: &str, right: &str) -> TopologyError {
        self.at(key).not_here(right)
    }

    /// This place is empty and must not be.
    pub(super) fn missing(&self, needed: &str) -> TopologyError {
        self.not_here(&format!("is missing; {needed} is needed"))
    }

    fn not_here(&self, right: &str) -> TopologyError {
        TopologyError::Key {
            file: self.file.to_owned(),
            key: self.path.clone(),
            right: right.to_owned(),
        }
    }

    /// Refuses every key that is not in `allowed`.
    pub(super) fn only(&self, table: &Table, allowed: &[&str]) -> Result<(), TopologyError> {
        match table.keys().find(|key| !allowed.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self.wrong_key(
                key,
                &format!(
                    "is no key that is known here; known are {}",
                    allowed.join(", ")
                ),
            )),
        }
    }

    pub(super) fn as_table<'v>(&self, value: &'v Value) -> Result<&'v Table, TopologyError> {
        value
            .as_table()
            .ok_or_else(|| self.wrong(value, "a table is needed"))
    }

    pub(super) fn text<'v>(
        &self,
        table: &'v Table,
        key: &str,
    ) -> Result<Option<&'v str>, TopologyError> {
        let wrong = |value: &Value| self.at(key).wrong(value, "a text in quotes is needed");
        table
            .get(key)
            .map(|value| value.as_str().ok_or_else(|| wrong(value)))
            .transpose()
    }

    pub(super) fn flag(&self, table: &Table, key: &str) -> Result<Option<bool>, TopologyError> {
        let wrong = |value: &Value| self.at(key).wrong(value, "must be true or false");
        table
            .get(key)
            .map(|value| value.as_bool().ok_or_else(|| wrong(value)))
            .transpose()
    }

    /// A whole number from 0 to `max`.
    pub(super) fn number<N>(
        &self,
        table: &Table,
        key: &str,
        max: N,
    ) -> Result<Option<N>, TopologyError>
    where
        N: TryFrom<i64> + PartialOrd + fmt::Display + Copy,
    {
        let Some(value) = table.get(key) else {
            return Ok(None);
        };
        let number = value
            .as_integer()
            .and_then(|number| N::try_from(number).ok());
        match number.filter(|number| *number <= max) {
            Some(number) => Ok(Some(number)),
            None => {
                let right = format!("must be a whole number from 0 to {max}");
                Err(self.at(key).wrong(value, &right))
            }
        }
    }

    /// Everything in the table under `key`, which may be left out.
    pub(super) fn each<K: Ord, V>(
        &self,
        table: &Table,
        key: &str,
        name: impl Fn(&Place<'_>, &str) -> Result<K, TopologyError>,
        read: impl Fn(&Place<'_>, &Value) -> Result<V, TopologyError>,
    ) -> Result<BTreeMap<K, V>, TopologyError> {
        let Some(value) = table.get(key) else {
            return Ok(BTreeMap::new());
        };
        let here = self.at(key);
        let entries = here.as_table(value)?.iter();
        entries
            .map(|(key, value)| Ok((name(&here, key)?, read(&here.at(key), value)?)))
            .collect()
    }
}

fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Table(_) => "{…}".to_owned(),
        Value::Array(_) => "[…]".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.to_string()
        }
    };
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{cut}…")
}
