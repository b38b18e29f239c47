//! Reads entries back from the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::error::LogError;
use super::index::Place;
use super::record::decode_entry;
use super::segment::segment_path;
use crate::error::{Damage, DiskError};
use crate::types::{Entry, log_id};

/// One read fetches no more than this, except for a longer record.
const RUN_BYTES: usize = 1 << 20;
/// Entries further apart are not worth one read.
const RUN_GAP: u32 = 4096;

/// Entries that lie so close together that one read fetches them.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    first: u64,
    places: Vec<Place>,
}

/// Groups the entries from `first` on, which lie at `places`.
pub fn runs(
    dir: &Path,
    files: &BTreeMap<u32, Arc<dyn DiskFile>>,
    first: u64,
    places: &[Place],
) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, place) in (first..).zip(places) {
        match runs.last_mut() {
            Some(run) if run.takes(place) => run.places.push(*place),
            Some(_) | None => runs.push(Run {
                path: segment_path(dir, place.segment),
                file: files.get(&place.segment).cloned(),
                first: index,
                places: vec![*place],
            }),
        }
    }
    runs
}

impl Run {
    fn takes(&self, place: &Place) -> bool {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else {
            return false;
        };
        let end = last.offset + last.length;
        place.segment == first.segment
            && (end..=end + RUN_GAP).contains(&place.offset)
            && (place.offset - first.offset + place.length) as usize <= RUN_BYTES
    }

    /// Reads and checks the entries, and adds them to `out`. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`LogError::Read`] and [`LogError::Damaged`]. Trying again is safe.
    pub fn read(&self, out: &mut Vec<Entry>) -> Result<(), LogError> {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else {
            return Ok(());
        };
        let failed = |e| LogError::Read(DiskError::new("read", &self.path, e));
        let file = self
            .file
            .as_ref()
            .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let mut buffer = vec![0; (last.offset + last.length - first.offset) as usize];
        file.read_at(&mut buffer, u64::from(first.offset))
            .map_err(failed)?;
        let buffer = Bytes::from(buffer);
        for (index, place) in (self.first..).zip(&self.places) {
            let damaged =
                |what| LogError::Damaged(Damage::new(&self.path, u64::from(place.offset), what));
            let at = (place.offset - first.offset) as usize;
            let entry = decode_entry(&buffer, at).map_err(|e| damaged(e.to_string()))?;
            if entry.log_id != log_id(place.term, index) {
                let expected = log_id(place.term, index);
                return Err(damaged(format!(
                    "found entry {}, expected {expected}",
                    entry.log_id
                )));
            }
            out.push(entry);
        }
        Ok(())
    }
}
