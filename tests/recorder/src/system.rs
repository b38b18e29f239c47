//! The system calls themselves, without the C library in between: the C library's names are the ones this crate takes
//! over, so calling them from here would come back to us.

use std::ffi::CStr;

use libc::{c_int, c_long};

/// Calls the kernel; sets `errno` and answers -1 when it fails, like the C library.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: the arguments are those that our own caller gave for the same call, or buffers that outlive it.
        unsafe { libc::syscall($number $(, $argument)*) }
    };
}
pub(crate) use call;

/// What the kernel says about an open file.
pub(crate) fn stat(fd: c_int) -> Option<libc::stat> {
    // SAFETY: `stat` is plain numbers, for which zeros are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // The layout the kernel fills in is that of `struct stat` on 64-bit Linux.
    let answer = call!(libc::SYS_fstat, fd, &raw mut stat);
    (answer == 0).then_some(stat)
}

/// Whether `path` names something.
pub(crate) fn exists(folder: c_int, path: &CStr) -> bool {
    call!(libc::SYS_faccessat, folder, path.as_ptr(), libc::F_OK) == 0
}

/// The path by which the kernel knows the open file `fd`, or the current folder for `AT_FDCWD`.
pub(crate) fn path_of(fd: c_int) -> Option<Vec<u8>> {
    let link = if fd == libc::AT_FDCWD {
        "/proc/self/cwd\0".to_owned()
    } else {
        format!("/proc/self/fd/{fd}\0")
    };
    let mut path = vec![0_u8; libc::PATH_MAX as usize];
    let length = call!(
        libc::SYS_readlinkat,
        libc::AT_FDCWD,
        link.as_ptr(),
        path.as_mut_ptr(),
        path.len()
    );
    path.truncate(usize::try_from(length).ok()?);
    Some(path)
}

/// `fcntl(F_GETFL)`.
pub(crate) fn flags(fd: c_int) -> c_long {
    call!(libc::SYS_fcntl, fd, libc::F_GETFL)
}

/// Where the next `write` to `fd` would go, were it not for `O_APPEND`.
pub(crate) fn cursor(fd: c_int) -> u64 {
    u64::try_from(call!(libc::SYS_lseek, fd, 0, libc::SEEK_CUR)).unwrap_or(0)
}

/// Reads `length` bytes at `offset`; the file must be open for reading.
pub(crate) fn read_at(fd: c_int, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; length];
    let read = call!(libc::SYS_pread64, fd, bytes.as_mut_ptr(), length, offset);
    if usize::try_from(read) != Ok(length) {
        give_up("cannot read back what was copied");
    }
    bytes
}

/// Ends the process: a trace with a gap would make the tests that read it pass for the wrong reason.
pub(crate) fn give_up(why: &str) -> ! {
    let message = format!("recorder: {why}\n");
    call!(libc::SYS_write, 2, message.as_ptr(), message.len());
    std::process::abort()
}
