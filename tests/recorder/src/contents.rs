//! The functions that change or sync what is in a file.

use libc::{c_int, c_long, c_uint, c_void, iovec, off_t, size_t, ssize_t};

use crate::{
    record::Kind,
    system::{self, call},
    trace::Turn,
    watch::{Target, Watch, watch},
};

/// The watch, and the watched file behind `fd`.
fn watched(fd: c_int) -> Option<(&'static Watch, Target)> {
    let watch = watch()?;
    Some((watch, watch.target(fd)?))
}

/// Makes a call that writes to `fd`, and notes what it wrote. `offset` is where the caller says, or the cursor.
fn writing(
    fd: c_int,
    offset: Option<off_t>,
    bytes: impl Fn(usize) -> Vec<u8>,
    real: impl Fn() -> c_long,
) -> ssize_t {
    let Some((watch, target)) = watched(fd) else {
        return real() as ssize_t;
    };
    let turn = Turn::take(watch);
    let flags = system::flags(fd);
    let given = offset.map_or_else(|| system::cursor(fd), |offset| offset.unsigned_abs());
    let appends = flags & c_long::from(libc::O_APPEND) != 0;
    let end = system::stat(fd).map_or(0, |stat| stat.st_size.unsigned_abs());
    let written = real();
    if let Ok(count @ 1..) = usize::try_from(written) {
        turn.note_write(&target, if appends { end } else { given }, &bytes(count));
        if flags & c_long::from(libc::O_DSYNC) != 0 {
            turn.note_file(Kind::SyncFile, &target, 0, 0);
        }
    }
    written as ssize_t
}

/// The first `count` bytes of one buffer.
fn plain(buffer: *const c_void, count: usize) -> Vec<u8> {
    // SAFETY: the kernel has just read `count` bytes from this buffer on the caller's word.
    unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) }.to_vec()
}

/// The first `count` bytes of several buffers.
fn gathered(buffers: *const iovec, number: c_int, count: usize) -> Vec<u8> {
    let number = usize::try_from(number).unwrap_or(0);
    // SAFETY: the kernel has just read `count` bytes through these buffers on the caller's word.
    let buffers = unsafe { std::slice::from_raw_parts(buffers, number) };
    let mut all = Vec::with_capacity(count);
    for buffer in buffers {
        let length = buffer.iov_len.min(count - all.len());
        if length > 0 {
            all.extend(plain(buffer.iov_base, length));
        }
    }
    all
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t {
    writing(
        fd,
        None,
        |count| plain(buffer, count),
        || call!(libc::SYS_write, fd, buffer, count),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, buffers: *const iovec, number: c_int) -> ssize_t {
    writing(
        fd,
        None,
        |count| gathered(buffers, number, count),
        || call!(libc::SYS_writev, fd, buffers, number),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    count: size_t,
    offset: off_t,
) -> ssize_t {
    let real = || call!(libc::SYS_pwrite64, fd, buffer, count, offset);
    writing(fd, Some(offset), |count| plain(buffer, count), real)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    count: size_t,
    offset: off_t,
) -> ssize_t {
    // SAFETY: same contract, same arguments; an offset has 64 bits in both.
    unsafe { pwrite(fd, buffer, count, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev(
    fd: c_int,
    buffers: *const iovec,
    number: c_int,
    offset: off_t,
) -> ssize_t {
    let real = || call!(libc::SYS_pwritev, fd, buffers, number, offset, 0);
    writing(
        fd,
        Some(offset),
        |count| gathered(buffers, number, count),
        real,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev64(
    fd: c_int,
    buffers: *const iovec,
    number: c_int,
    offset: off_t,
) -> ssize_t {
    // SAFETY: same contract, same arguments; an offset has 64 bits in both.
    unsafe { pwritev(fd, buffers, number, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off_t,
    fd: c_int,
    offset: *mut off_t,
    count: size_t,
    flags: c_uint,
) -> ssize_t {
    let real = || {
        call!(
            libc::SYS_copy_file_range,
            from,
            from_offset,
            fd,
            offset,
            count,
            flags
        )
    };
    // SAFETY: the caller gives a valid offset or none; it is read before the kernel moves it on.
    let start = unsafe { offset.as_ref() }.copied();
    let before = start
        .unwrap_or_else(|| system::cursor(fd).cast_signed())
        .unsigned_abs();
    // The bytes are in no buffer of the program: they are read back from the file that received them.
    writing(fd, start, |count| system::read_at(fd, before, count), real)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    let real = || call!(libc::SYS_ftruncate, fd, length) as c_int;
    let Some((watch, target)) = watched(fd) else {
        return real();
    };
    let turn = Turn::take(watch);
    let answer = real();
    if answer == 0 {
        turn.note_file(Kind::SetLen, &target, 0, length.unsigned_abs());
    }
    answer
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    // SAFETY: same contract, same arguments; a length has 64 bits in both.
    unsafe { ftruncate(fd, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    let real = || call!(libc::SYS_fallocate, fd, mode, offset, length) as c_int;
    let Some((watch, target)) = watched(fd) else {
        return real();
    };
    let turn = Turn::take(watch);
    let size = system::stat(fd).map_or(0, |stat| stat.st_size.unsigned_abs());
    let answer = real();
    let (start, end) = (offset.unsigned_abs(), (offset + length).unsigned_abs());
    let keeps_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
    match mode & !libc::FALLOC_FL_KEEP_SIZE {
        _ if answer != 0 => {}
        0 if keeps_size => {}
        0 => turn.note_file(Kind::Extend, &target, 0, end),
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE => {
            let end = if keeps_size { end.min(size) } else { end };
            turn.note_file(Kind::Write, &target, start, end.saturating_sub(start));
        }
        _ => system::give_up("fallocate was called in a mode that the trace cannot express"),
    }
    answer
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: same contract, same arguments; an offset has 64 bits in both.
    unsafe { fallocate(fd, mode, offset, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: a narrower contract than that of `fallocate`.
    match unsafe { fallocate(fd, 0, offset, length) } {
        0 => 0,
        _ => std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: same contract, same arguments; an offset has 64 bits in both.
    unsafe { posix_fallocate(fd, offset, length) }
}

/// Makes a call that syncs `fd`, and notes that it returned success.
fn syncing(fd: c_int, partly: bool, real: impl Fn() -> c_long) -> c_int {
    let Some((watch, target)) = watched(fd) else {
        return real() as c_int;
    };
    std::thread::sleep(watch.sync_time);
    let turn = Turn::take(watch);
    let answer = real();
    if answer == 0 {
        let kind = match target.is_folder {
            true => Kind::SyncDir,
            false if partly => Kind::SyncRange,
            false => Kind::SyncFile,
        };
        turn.note_file(kind, &target, 0, 0);
    }
    answer as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    syncing(fd, false, || call!(libc::SYS_fsync, fd))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    syncing(fd, false, || call!(libc::SYS_fdatasync, fd))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sync_file_range(
    fd: c_int,
    offset: off_t,
    length: off_t,
    flags: c_uint,
) -> c_int {
    syncing(fd, true, || {
        call!(libc::SYS_sync_file_range, fd, offset, length, flags)
    })
}
