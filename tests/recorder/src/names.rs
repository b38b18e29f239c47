//! The functions that give and take names.

use std::ffi::CStr;

use libc::{AT_FDCWD, c_char, c_int, c_uint, mode_t};

use crate::{
    record::{Kind, Record},
    system::{self, call},
    trace::Turn,
    watch::watch,
};

/// Opens a file, and notes whether that made or emptied one.
fn opening(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let real = || {
        call!(
            libc::SYS_openat,
            folder,
            path,
            flags | libc::O_LARGEFILE,
            mode
        ) as c_int
    };
    let Some(watch) = watch().filter(|_| flags & (libc::O_CREAT | libc::O_TRUNC) != 0) else {
        return real();
    };
    let turn = Turn::take(watch);
    // SAFETY: the caller gives a path, as `open` demands.
    let existed = system::exists(folder, unsafe { CStr::from_ptr(path) });
    let fd = real();
    if fd >= 0
        && let Some(target) = watch.target(fd)
        && !target.is_marks
    {
        match existed {
            false => turn.note_file(Kind::Create, &target, 0, 0),
            true if flags & libc::O_TRUNC != 0 => turn.note_file(Kind::SetLen, &target, 0, 0),
            true => {}
        }
    }
    fd
}

// `open` takes its mode as a variable argument; on Linux's 64-bit conventions that is passed like a named one.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opening(AT_FDCWD, path, flags, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opening(AT_FDCWD, path, flags, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
) -> c_int {
    opening(folder, path, flags, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
) -> c_int {
    opening(folder, path, flags, mode)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    opening(
        AT_FDCWD,
        path,
        libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
        mode,
    )
}

/// Makes a call that gives or takes the name `path`, and notes it.
fn naming(kind: Kind, folder: c_int, path: *const c_char, real: impl Fn() -> c_int) -> c_int {
    // SAFETY: the caller gives a path, as all these functions demand.
    let watched = watch()
        .and_then(|watch| Some((watch, watch.name(folder, unsafe { CStr::from_ptr(path) })?)));
    let Some((watch, name)) = watched else {
        return real();
    };
    let turn = Turn::take(watch);
    let answer = real();
    if answer == 0 {
        turn.note(&Record::new(kind, &name));
    }
    answer
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    let kind = if flags & libc::AT_REMOVEDIR == 0 {
        Kind::Unlink
    } else {
        Kind::RemoveDir
    };
    naming(kind, folder, path, || {
        call!(libc::SYS_unlinkat, folder, path, flags) as c_int
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: same contract.
    unsafe { unlinkat(AT_FDCWD, path, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: same contract.
    unsafe { unlinkat(AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
    naming(Kind::MakeDir, folder, path, || {
        call!(libc::SYS_mkdirat, folder, path, mode) as c_int
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: same contract.
    unsafe { mkdirat(AT_FDCWD, path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let real = || call!(libc::SYS_renameat2, from_folder, from, to_folder, to, flags) as c_int;
    let Some(watch) = watch() else { return real() };
    // SAFETY: the caller gives two paths, as `rename` demands.
    let (from, to) = unsafe { (CStr::from_ptr(from), CStr::from_ptr(to)) };
    let (from, to) = match (watch.name(from_folder, from), watch.name(to_folder, to)) {
        (None, None) => return real(),
        (Some(from), Some(to)) if flags & libc::RENAME_EXCHANGE == 0 => (from, to),
        _ => system::give_up(
            "a rename across the edge of the watched folder, or an exchange, cannot be traced",
        ),
    };
    let turn = Turn::take(watch);
    let answer = real();
    if answer == 0 {
        turn.note(&Record {
            to,
            ..Record::new(Kind::Rename, &from)
        });
    }
    answer
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
) -> c_int {
    // SAFETY: same contract.
    unsafe { renameat2(from_folder, from, to_folder, to, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: same contract.
    unsafe { renameat2(AT_FDCWD, from, AT_FDCWD, to, 0) }
}
