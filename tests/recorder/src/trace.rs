//! The trace: one order of events for all threads, and for the processes that the program starts.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    record::{Kind, Record},
    system,
    watch::{Target, Watch},
};

/// Held over a system call and the record of it, so that the trace has the order in which the kernel saw the calls.
pub(crate) struct Turn<'a> {
    watch: &'a Watch,
    _thread: MutexGuard<'static, ()>,
}

impl<'a> Turn<'a> {
    /// Waits for this thread's turn.
    pub(crate) fn take(watch: &'a Watch) -> Self {
        static THREADS: Mutex<()> = Mutex::new(());
        let thread = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        if system::call!(libc::SYS_flock, watch.trace, libc::LOCK_EX) != 0 {
            system::give_up("cannot lock the trace");
        }
        Self {
            watch,
            _thread: thread,
        }
    }

    /// Appends `record` to the trace.
    pub(crate) fn note(&self, record: &Record) {
        let bytes = record.encode();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let written =
                system::call!(libc::SYS_write, self.watch.trace, rest.as_ptr(), rest.len());
            match usize::try_from(written) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => system::give_up("cannot write the trace"),
            }
        }
        self.count();
    }

    /// Ends the process where it was told to, with everything that it was doing.
    fn count(&self) {
        static RECORDS: AtomicU64 = AtomicU64::new(0);
        if RECORDS.fetch_add(1, Ordering::Relaxed) + 1 >= self.watch.records {
            let own = system::call!(libc::SYS_getpid);
            system::call!(libc::SYS_kill, own, libc::SIGKILL);
        }
    }

    /// Notes something about the open file `target`.
    pub(crate) fn note_file(&self, kind: Kind, target: &Target, offset: u64, length: u64) {
        let inode = target.inode;
        self.note(&Record {
            inode,
            offset,
            length,
            ..Record::new(kind, &target.path)
        });
    }

    /// Notes that `bytes` stand at `offset` of `target`, or that the program said them.
    pub(crate) fn note_write(&self, target: &Target, offset: u64, bytes: &[u8]) {
        let kind = if target.is_marks {
            Kind::Mark
        } else {
            Kind::Write
        };
        let zeros = kind == Kind::Write && bytes.iter().all(|byte| *byte == 0);
        let kept = if zeros { Vec::new() } else { bytes.to_vec() };
        let (inode, length) = (target.inode, bytes.len() as u64);
        self.note(&Record {
            inode,
            offset,
            length,
            bytes: kept,
            ..Record::new(kind, &target.path)
        });
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        system::call!(libc::SYS_flock, self.watch.trace, libc::LOCK_UN);
    }
}
