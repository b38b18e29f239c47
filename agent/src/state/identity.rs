//! Who the agent is: its node's id, the life that the node is in, and the boot of the machine in which
//! that life began.

use std::fs;

use serde::{Deserialize, Serialize};
use tenure_core::{Incarnation, Member, Millis, NodeId};

use super::envelope::{self, Kind, Unsealed};
use super::{Folder, StateError};

const FILE: &str = "identity";
const KIND: Kind = Kind {
    magic: *b"TENUREAI",
    version: 1,
};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Who the agent is. Format version 1: fields are never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) cluster: String,
    /// The node's name.
    pub(crate) node: String,
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// Of the machine, when the node joined.
    pub(crate) boot: String,
    /// The longest lease that was granted when the node joined.
    pub(crate) lease: Millis,
}

impl Identity {
    pub(crate) fn member(&self) -> Member {
        Member {
            node: self.id,
            incarnation: self.incarnation,
        }
    }

    /// Reads it; None when the node never joined from this folder.
    ///
    /// # Errors
    /// [`StateError`] when it is damaged, or belongs to another cluster or node.
    pub(crate) fn read(
        folder: &Folder,
        cluster: &str,
        node: &str,
    ) -> Result<Option<Self>, StateError> {
        let path = folder.file(FILE);
        let Some(bytes) = folder.read(FILE)? else {
            return Ok(None);
        };
        let identity: Self = match envelope::unseal(&path, KIND, &bytes)? {
            Unsealed::Whole(identity) => identity,
            Unsealed::Blank => {
                let why = "it is empty".to_owned();
                return Err(StateError::Damaged { path, why });
            }
        };
        if identity.cluster != cluster {
            return Err(StateError::OtherCluster {
                path,
                found: identity.cluster,
                expected: cluster.to_owned(),
            });
        }
        if identity.node != node {
            return Err(StateError::OtherNode {
                path,
                found: identity.node,
                expected: node.to_owned(),
            });
        }
        Ok(Some(identity))
    }

    /// Writes it; durable when this returns.
    ///
    /// # Errors
    /// [`StateError::Disk`].
    pub(crate) fn write(&self, folder: &Folder) -> Result<(), StateError> {
        let sealed = envelope::seal(KIND, self);
        let bytes = sealed.map_err(|why| StateError::disk("write", &folder.file(FILE), why))?;
        folder.replace(FILE, &bytes)
    }
}

/// What tells one boot of this machine from another.
///
/// # Errors
/// [`StateError::Disk`] where the system does not say.
pub(crate) fn boot_id() -> Result<String, StateError> {
    let read = fs::read_to_string(BOOT_ID);
    let text = read.map_err(|why| StateError::disk("read", BOOT_ID.as_ref(), why))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            cluster: "site-1".to_owned(),
            node: "db-1".to_owned(),
            id: NodeId(3),
            incarnation: Incarnation(2),
            boot: "b".to_owned(),
            lease: Millis(1_000),
        }
    }

    #[test]
    fn golden_identity_of_format_version_1() {
        let bytes = envelope::seal(KIND, &identity()).unwrap();
        let expected = b"TENUREAI\x01\x00Q\x00\x00\x00p\"\x9b\xf0\
            {\"cluster\":\"site-1\",\"node\":\"db-1\",\"id\":3,\"incarnation\":2,\
            \"boot\":\"b\",\"lease\":1000}";
        assert_eq!(
            bytes.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn only_its_own_whole_identity_is_taken() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let read = || Identity::read(&folder, "site-1", "db-1");
        assert_eq!(read(), Ok(None));
        identity().write(&folder).unwrap();
        assert_eq!(read(), Ok(Some(identity())));
        let path = folder.file(FILE);
        let other = Identity::read(&folder, "site-2", "db-1").unwrap_err();
        assert!(
            matches!(&other, StateError::OtherCluster { found, .. } if found == "site-1"),
            "{other}"
        );
        let other = Identity::read(&folder, "site-1", "db-2").unwrap_err();
        assert!(
            matches!(&other, StateError::OtherNode { found, .. } if found == "db-1"),
            "{other}"
        );
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let error = read().unwrap_err();
            let told = matches!(
                error,
                StateError::Damaged { .. } | StateError::UnknownVersion { .. }
            );
            assert!(told, "byte {at}: {error}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read().unwrap_err();
            assert!(
                matches!(error, StateError::Damaged { .. }),
                "{length} bytes: {error}"
            );
        }
    }

    #[test]
    fn the_machine_tells_its_boots_apart() {
        let boot = boot_id().unwrap();
        assert_eq!(boot.len(), 36, "{boot}");
        assert_eq!(boot_id().unwrap(), boot);
    }
}
