//! Turns a table of settings into a typed one, and checks what a type cannot say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tenure_core::Millis;

use super::ConfigError;

/// The typed settings; names the key and the value that do not fit.
pub(super) fn typed<T: DeserializeOwned>(settings: toml::Table) -> Result<T, ConfigError> {
    T::deserialize(settings).map_err(|error| {
        let said = error.to_string();
        ConfigError(said.trim_end().replace('\n', " "))
    })
}

/// A setting in milliseconds as a duration, when it lies between `least` and `most`.
pub(super) fn within(
    key: &str,
    value: Millis,
    least: u64,
    most: u64,
) -> Result<Duration, ConfigError> {
    if (least..=most).contains(&value.0) {
        return Ok(Duration::from_millis(value.0));
    }
    Err(ConfigError(format!(
        "{key} = {} is out of range: {least} to {most} (milliseconds)",
        value.0
    )))
}

/// A program with its arguments: a list that is not empty, and whose first member is not either.
pub(super) fn program(key: &str, argv: Vec<String>) -> Result<Vec<String>, ConfigError> {
    match argv.first() {
        Some(program) if !program.is_empty() => Ok(argv),
        Some(_) | None => Err(ConfigError(format!(
            "{key} = {argv:?} names no program: use [\"PROGRAM\", \"ARGUMENT\", ...]"
        ))),
    }
}

/// The secret that is given as such or stands alone in a file; None when neither is set.
pub(super) fn secret(
    key: &str,
    given: Option<String>,
    file: Option<&PathBuf>,
) -> Result<Option<String>, ConfigError> {
    match (given, file) {
        (Some(_), Some(path)) => Err(ConfigError(format!(
            "{key} and {key}_file = {:?} are both set: keep one",
            path.display().to_string()
        ))),
        (Some(secret), None) => Ok(Some(secret)),
        (None, Some(path)) => {
            let text = read(&format!("{key}_file"), path)?;
            let secret = String::from_utf8(text).map_err(|_| {
                let path = path.display().to_string();
                ConfigError(format!("{key}_file = {path:?} does not hold UTF-8 text"))
            })?;
            Ok(Some(secret.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => Ok(None),
    }
}

/// The bytes of a file that a setting names.
pub(super) fn read(key: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| {
        let path = path.display().to_string();
        ConfigError(format!("{key} = {path:?} cannot be read: {error}"))
    })
}
