//! What the agent has promised and what it holds, for a process of it that is started later in the same
//! boot of the machine.
//!
//! Two places in one file, of a fixed size, written in turn: a process that is killed while it writes
//! one leaves the other whole. What comes after a record that was never finished was not done either, so
//! the older of the two is then the truth. The page cache is durable enough: it outlives the process, and
//! nothing here is true after the machine was restarted.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use tenure_core::NodeId;
use tenure_core::agent::Kept;

use super::envelope::{self, Kind, Unsealed};
use super::stored::{ELECTORS_MAX, Stored};
use super::{Folder, StateError};

const FILE: &str = "kept";
const KIND: Kind = Kind {
    magic: *b"TENUREAK",
    version: 2,
};
/// Of an agent that kept neither whom to ask for pledges nor by which rules.
const EARLIER: Kind = Kind { version: 1, ..KIND };

/// What one service takes at most, its name twice and all numbers at their longest; one that is asked for
/// pledges; and the rest of a record.
const SERVICE_BYTES: u64 = 512;
const ELECTOR_BYTES: u64 = 320;
const REST_BYTES: u64 = 512 + ELECTORS_MAX as u64 * ELECTOR_BYTES;
/// Places begin at multiples of it, so that none shares a page with the other.
const PAGE: u64 = 4_096;

/// The file.
#[derive(Debug)]
pub(crate) struct KeptFile {
    file: File,
    path: PathBuf,
    /// How long one place is.
    place: u64,
    boot: String,
    node: NodeId,
    /// Of the record to be written next.
    sequence: u64,
}

impl KeptFile {
    /// Opens the file, with room for so many services, and reads what an earlier process of the same
    /// node kept in the same boot. None when there was none, or when what is there cannot be believed.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be opened, or has no room.
    pub(crate) fn open(
        folder: &Folder,
        boot: &str,
        node: NodeId,
        services: usize,
    ) -> Result<(Self, Option<Kept>), StateError> {
        let path = folder.file(FILE);
        let latest = match folder.read(FILE)? {
            Some(bytes) => latest(&path, &bytes)?,
            None => None,
        };
        let sequence = latest.as_ref().map_or(0, |stored| stored.sequence) + 1;
        let known = latest.as_ref().map_or(0, |stored| stored.services.len());
        let kept = latest
            .filter(|stored| stored.boot == boot && stored.node == node)
            .map(Stored::into_kept);
        let count = u64::try_from(services.max(known)).unwrap_or(u64::MAX);
        let bytes = count.saturating_mul(SERVICE_BYTES) + REST_BYTES;
        let place = bytes.next_multiple_of(PAGE);
        make_room(folder, place)?;
        let file = OpenOptions::new().write(true).open(&path);
        let file = Self {
            file: file.map_err(|why| StateError::disk("open", &path, why))?,
            path,
            place,
            boot: boot.to_owned(),
            node,
            sequence,
        };
        Ok((file, kept))
    }

    fn record(&self, kept: &Kept) -> Result<Vec<u8>, StateError> {
        let stored = Stored::of(kept, self.sequence, &self.boot, self.node);
        let bytes = envelope::seal(KIND, &stored);
        let bytes = bytes.map_err(|why| StateError::disk("write", &self.path, why))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > self.place {
            let why = format!("the record has {length} bytes, its place {}", self.place);
            return Err(StateError::disk("write", &self.path, why));
        }
        Ok(bytes)
    }

    /// Writes a record into the place of the older one.
    ///
    /// # Errors
    /// [`StateError::Disk`]; a retry is safe.
    pub(crate) fn write(&mut self, kept: &Kept) -> Result<(), StateError> {
        let bytes = self.record(kept)?;
        let at = (self.sequence % 2) * self.place;
        let written = self.file.write_all_at(&bytes, at);
        written.map_err(|why| StateError::disk("write", &self.path, why))?;
        self.sequence += 1;
        Ok(())
    }
}

/// Gives the file its size, so that a disk that is full later takes records all the same. Whatever was
/// in it is copied along when its places were of another size.
fn make_room(folder: &Folder, place: u64) -> Result<(), StateError> {
    let path = folder.file(FILE);
    let whole = place.saturating_mul(2);
    let old = folder.read(FILE)?.unwrap_or_default();
    if u64::try_from(old.len()) == Ok(whole) {
        return Ok(());
    }
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size(whole));
    for half in old.chunks(old.len().div_ceil(2).max(1)) {
        bytes.extend_from_slice(half);
        bytes.resize(bytes.len().next_multiple_of(size(place)), 0);
    }
    bytes.resize(size(whole), 0);
    folder.replace(FILE, &bytes)?;
    let file = OpenOptions::new().write(true).open(&path);
    let file = file.map_err(|why| StateError::disk("open", &path, why))?;
    match fallocate(&file, FallocateFlags::empty(), 0, whole) {
        // Zeroes were written, which is all that some file systems offer.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(why) => Err(StateError::disk("make room in", &path, why)),
    }
}

/// The latest whole record.
fn latest(path: &Path, bytes: &[u8]) -> Result<Option<Stored>, StateError> {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    let mut latest: Option<Stored> = None;
    for place in [one, other] {
        let found = match envelope::unseal::<Stored>(path, KIND, place) {
            Err(StateError::UnknownVersion { found, .. }) if found == EARLIER.version => {
                envelope::unseal::<Stored>(path, EARLIER, place)
            }
            found => found,
        };
        match found {
            Ok(Unsealed::Whole(stored)) => {
                let is_later = |known: &Stored| known.sequence > stored.sequence;
                if !latest.as_ref().is_some_and(is_later) {
                    latest = Some(stored);
                }
            }
            Ok(Unsealed::Blank) => {}
            Err(error @ StateError::UnknownVersion { .. }) => return Err(error),
            Err(why) => {
                tracing::warn!(%why, "one of the two records of what was kept is not whole");
            }
        }
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tenure_core::agent::{KeptRules, KeptService};
    use tenure_core::{ControlLoss, Endpoint, Epoch, Millis, Moment, ServiceName};

    fn kept(epoch: u64, names: &[&str]) -> Kept {
        let service = KeptService {
            epoch: Epoch(epoch),
            holds: Some(Epoch(epoch)),
            held: Some(Epoch(epoch)),
            run: epoch,
            whole: true,
            leased_until: Moment(epoch * 1_000),
            pledged_until: Moment(7),
            surveyed: Epoch(1),
            terms: None,
        };
        let services = names.iter();
        Kept {
            services: services
                .map(|name| (ServiceName::new(name).unwrap(), service))
                .collect(),
            ..Kept::default()
        }
    }

    fn open(folder: &Folder, services: usize) -> (KeptFile, Option<Kept>) {
        KeptFile::open(folder, "boot", NodeId(3), services).unwrap()
    }

    /// With somebody to ask, by rules.
    fn kept_by_rules() -> Kept {
        let rules = KeptRules {
            lease: Millis(1_000),
            heartbeat: Millis(100),
            drift_permille: 10,
            control_loss: ControlLoss::Pledge,
        };
        let there = Endpoint::new("b:7").unwrap();
        let whom = [(NodeId(2), there)].into();
        Kept {
            electors: [(ServiceName::new("a").unwrap(), whom)].into(),
            rules: Some(rules),
            ..kept(4, &["a"])
        }
    }

    const SERVICES: &str = "\"services\":{\"a\":{\"epoch\":4,\"holds\":4,\"held\":4,\"run\":4,\
        \"whole\":true,\"leased_until\":4000,\"pledged_until\":7,\"surveyed\":1}}";

    #[test]
    fn the_terms_of_a_promotion_are_kept_where_they_are_known() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (mut file, _) = open(&folder, 1);
        let mut known = kept_by_rules();
        for service in known.services.values_mut() {
            service.terms = Some((2, true));
        }
        file.write(&known).unwrap();
        assert_eq!(open(&folder, 1).1, Some(known));
        let bytes = folder.read(FILE).unwrap().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.contains("\"surveyed\":1,\"terms\":[2,true]}"),
            "{text}"
        );
    }

    #[test]
    fn golden_record_of_format_version_2() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (mut file, _) = open(&folder, 1);
        file.write(&kept_by_rules()).unwrap();
        assert_eq!(open(&folder, 1).1, Some(kept_by_rules()));
        let bytes = folder.read(FILE).unwrap().unwrap();
        assert_eq!(bytes.len(), 90_112);
        let (blank, place) = bytes.split_at(45_056);
        assert!(
            blank.iter().all(|byte| *byte == 0),
            "the first is the second"
        );
        let end = place.iter().rposition(|byte| *byte != 0).unwrap();
        let body = format!(
            "{{\"sequence\":1,\"boot\":\"boot\",\"node\":3,{SERVICES},\
             \"electors\":{{\"a\":{{\"2\":\"b:7\"}}}},\"rules\":{{\"lease\":1000,\"heartbeat\":100,\
             \"drift_permille\":10,\"control_loss\":\"pledge\"}}}}"
        );
        assert_eq!(place[..10].escape_ascii().to_string(), "TENUREAK\\x02\\x00");
        assert_eq!(
            place[18..=end].escape_ascii().to_string(),
            body.escape_default().to_string().replace("\\'", "'")
        );
    }

    #[test]
    fn a_record_of_format_version_1_is_read_and_followed_by_one_of_version_2() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let body = format!("{{\"sequence\":1,\"boot\":\"boot\",\"node\":3,{SERVICES}}}");
        let mut bytes = vec![0; 8_192];
        let head = b"TENUREAK\x01\x00\x9d\x00\x00\x00\x05\xd0\x80{";
        bytes[4_096..4_114].copy_from_slice(head);
        bytes[4_114..4_114 + body.len()].copy_from_slice(body.as_bytes());
        std::fs::write(folder.file(FILE), bytes).unwrap();
        let (mut file, found) = open(&folder, 1);
        assert_eq!(found, Some(kept(4, &["a"])));
        file.write(&kept_by_rules()).unwrap();
        assert_eq!(open(&folder, 1).1, Some(kept_by_rules()));
    }

    #[test]
    fn of_too_many_to_ask_nobody_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (mut file, _) = open(&folder, 1);
        let long = |node: u64| format!("{}.{node}:65535", "h".repeat(240));
        let whom = |count: u64| {
            let whom = (1..=count)
                .map(|node| (NodeId(u64::MAX - node), Endpoint::new(&long(node)).unwrap()));
            Kept {
                electors: [(ServiceName::new("a").unwrap(), whom.collect())].into(),
                ..kept_by_rules()
            }
        };
        file.write(&whom(128)).unwrap();
        assert_eq!(open(&folder, 1).1, Some(whom(128)));
        file.write(&whom(129)).unwrap();
        let without = Kept {
            electors: BTreeMap::new(),
            ..kept_by_rules()
        };
        assert_eq!(open(&folder, 1).1, Some(without));
    }

    #[test]
    fn the_latest_record_of_the_same_boot_and_node_is_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (mut file, nothing) = open(&folder, 2);
        assert_eq!(nothing, None);
        for epoch in 1..=5 {
            file.write(&kept(epoch, &["a", "b"])).unwrap();
            let (reopened, found) = open(&folder, 2);
            assert_eq!(found, Some(kept(epoch, &["a", "b"])));
            file = reopened;
        }
        let other = KeptFile::open(&folder, "another boot", NodeId(3), 2).unwrap();
        assert_eq!(other.1, None);
        let other = KeptFile::open(&folder, "boot", NodeId(4), 2).unwrap();
        assert_eq!(other.1, None);
        assert_eq!(open(&folder, 2).1, Some(kept(5, &["a", "b"])));
    }

    #[test]
    fn a_record_that_was_not_finished_leaves_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (mut file, _) = open(&folder, 1);
        file.write(&kept(1, &["a"])).unwrap();
        let one = folder.read(FILE).unwrap().unwrap();
        file.write(&kept(2, &["a"])).unwrap();
        let both = folder.read(FILE).unwrap().unwrap();
        let differs = (0..one.len()).filter(|at| one[*at] != both[*at]);
        let differs: Vec<usize> = differs.collect();
        // The second record as a kill may have left it, cut anywhere.
        for cut in differs.iter().take(differs.len() - 1) {
            let mut torn = both.clone();
            let rest = *cut + 1..torn.len().min(differs[differs.len() - 1] + 1);
            torn[rest.clone()].copy_from_slice(&one[rest]);
            std::fs::write(folder.file(FILE), &torn).unwrap();
            assert_eq!(open(&folder, 1).1, Some(kept(1, &["a"])), "cut at {cut}");
        }
        std::fs::write(folder.file(FILE), &both).unwrap();
        assert_eq!(open(&folder, 1).1, Some(kept(2, &["a"])));
    }

    #[test]
    fn the_file_never_grows_after_it_was_opened() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let names: Vec<String> = (0..400)
            .map(|at| format!("{}-{at:03}", "n".repeat(59)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut file, _) = open(&folder, 2);
        file.write(&kept(1, &["a", "b"])).unwrap();
        let largest = kept(u64::MAX / 1_000, &names);
        let error = file.write(&largest).unwrap_err();
        assert!(matches!(error, StateError::Disk { .. }), "{error}");
        // More services were configured: what was kept comes along.
        let (mut file, found) = open(&folder, names.len());
        assert_eq!(found, Some(kept(1, &["a", "b"])));
        let size = || std::fs::metadata(folder.file(FILE)).unwrap().len();
        let before = size();
        for _ in 0..3 {
            file.write(&largest).unwrap();
        }
        assert_eq!(size(), before);
        assert_eq!(open(&folder, names.len()).1, Some(largest));
    }

    #[test]
    fn what_cannot_be_believed_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        std::fs::write(folder.file(FILE), b"something else entirely").unwrap();
        let (mut file, found) = open(&folder, 1);
        assert_eq!(found, None);
        file.write(&kept(1, &["a"])).unwrap();
        assert_eq!(open(&folder, 1).1, Some(kept(1, &["a"])));
    }
}
