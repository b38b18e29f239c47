//! Several changes of parts in one run of bytes: what pieces of the journal and chunks of a snapshot
//! are made of.
//!
//! `u32 length of key, u32 length of value, key, value` each; a value of length `u32::MAX` is absent
//! and means that the part is deleted.

const ABSENT: u32 = u32::MAX;

/// Adds one change.
pub fn push(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len()).expect("keys and values of parts stay below 64 KiB")
    };
    out.extend_from_slice(&length(key).to_le_bytes());
    out.extend_from_slice(&value.map_or(ABSENT, length).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value.unwrap_or_default());
}

/// Reads the changes, in order; an error ends them.
pub struct Entries<'a>(pub &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a [u8], Option<&'a [u8]>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = read(self.0);
        self.0 = read.as_ref().map_or(&[], |(_, rest)| rest);
        Some(read.map(|(entry, _)| entry))
    }
}

type Read<'a> = ((&'a [u8], Option<&'a [u8]>), &'a [u8]);

fn read(bytes: &[u8]) -> Result<Read<'_>, String> {
    let cut = || "it ends in the middle of an entry".to_owned();
    let (head, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
    let [a, b, c, d, e, f, g, h] = *head;
    let key = u32::from_le_bytes([a, b, c, d]);
    let value = u32::from_le_bytes([e, f, g, h]);
    let (key, rest) = rest.split_at_checked(key as usize).ok_or_else(cut)?;
    if value == ABSENT {
        return Ok(((key, None), rest));
    }
    let (value, rest) = rest.split_at_checked(value as usize).ok_or_else(cut)?;
    Ok(((key, Some(value)), rest))
}
