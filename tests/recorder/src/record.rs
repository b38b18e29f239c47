//! One line of the trace, as bytes. The recorder writes it and the image builder reads it; both include this file,
//! because a `cdylib` cannot be linked by the crate that preloads it.

const MAGIC: u8 = 0xA7;
const HEADER: usize = 2 + 3 * 8 + 3 * 4;

/// What happened to the watched folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A new, empty file has the name `path`.
    Create = 1,
    /// `bytes`, or `length` zeros when `bytes` is empty, stand at `offset`.
    Write = 2,
    /// The file is now `length` bytes long.
    SetLen = 3,
    /// The file is at least `length` bytes long.
    Extend = 4,
    /// `fsync` or `fdatasync` of a file returned success.
    SyncFile = 5,
    /// `fsync` of a directory returned success.
    SyncDir = 6,
    /// `sync_file_range` returned success, which promises nothing about power.
    SyncRange = 7,
    /// `path` is now called `to`.
    Rename = 8,
    /// The name `path` of a file is gone.
    Unlink = 9,
    /// The folder `path` exists.
    MakeDir = 10,
    /// The folder `path` is gone.
    RemoveDir = 11,
    /// The traced program said `bytes` about itself.
    Mark = 12,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::Create,
        Kind::Write,
        Kind::SetLen,
        Kind::Extend,
        Kind::SyncFile,
        Kind::SyncDir,
        Kind::SyncRange,
        Kind::Rename,
        Kind::Unlink,
        Kind::MakeDir,
        Kind::RemoveDir,
        Kind::Mark,
    ];
}

/// One recorded event. Fields that a kind does not use are zero or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// Inode number of the file; unique among the files that exist at this point of the trace.
    pub inode: u64,
    /// Where a write begins, in bytes.
    pub offset: u64,
    /// How many bytes are written, or the length of the file.
    pub length: u64,
    /// The name, relative to the watched folder; empty for that folder itself.
    pub path: Vec<u8>,
    /// The new name of a rename.
    pub to: Vec<u8>,
    /// What was written.
    pub bytes: Vec<u8>,
}

impl Record {
    /// A record that says only `kind` and `path`.
    #[must_use]
    pub fn new(kind: Kind, path: &[u8]) -> Self {
        let path = path.to_vec();
        Self {
            kind,
            inode: 0,
            offset: 0,
            length: 0,
            path,
            to: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// The bytes of this record in the trace.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = self.path.len() + self.to.len() + self.bytes.len();
        let mut out = Vec::with_capacity(HEADER + body);
        out.extend([MAGIC, self.kind as u8]);
        for number in [self.inode, self.offset, self.length] {
            out.extend(number.to_le_bytes());
        }
        let parts = [&self.path, &self.to, &self.bytes];
        for part in parts {
            let length = u32::try_from(part.len()).expect("one system call moves less than 2 GiB");
            out.extend(length.to_le_bytes());
        }
        for part in parts {
            out.extend(part);
        }
        out
    }

    /// Takes one record off the front of `trace`.
    ///
    /// # Errors
    /// A sentence when the bytes are no record; reading the same bytes again gives the same answer.
    pub fn decode(trace: &mut &[u8]) -> Result<Self, String> {
        let left = trace.len();
        let broken = |what: &str| format!("{left} bytes before its end the trace {what}");
        let mut take = |length: usize| {
            trace
                .split_off(..length)
                .ok_or_else(|| broken("stops inside a record"))
        };
        let start = take(2)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| start == [MAGIC, *kind as u8]);
        let kind = kind.ok_or_else(|| broken("holds something that is no record"))?;
        let mut numbers = [0_u64; 3];
        for number in &mut numbers {
            *number = u64::from_le_bytes(take(8)?.try_into().expect("8 bytes were taken"));
        }
        let mut lengths = [0_usize; 3];
        for length in &mut lengths {
            *length = u32::from_le_bytes(take(4)?.try_into().expect("4 bytes were taken")) as usize;
        }
        let [inode, offset, length] = numbers;
        let (path, to) = (take(lengths[0])?.to_vec(), take(lengths[1])?.to_vec());
        let bytes = take(lengths[2])?.to_vec();
        Ok(Self {
            kind,
            inode,
            offset,
            length,
            path,
            to,
            bytes,
        })
    }
}
