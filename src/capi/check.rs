//! `filedb_check` and `filedb_salvage`: what is damaged in a store, and saving what is not.

use super::error::{Failure, filedb_error_t};
use super::failpoint::failpoint;
use super::guard;
use super::handle::Call;
use super::status::{FILEDB_OK, filedb_status_t};
use crate::store::findings::{CheckReport, Finding, Severity};
use crate::sync::panics;
use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// No damage: what a crash may leave, or something worth knowing. Since 0.2.0.
pub const FILEDB_FINDING_NOTE: i32 = 1;
/// Bytes are not what was written, and no key is lost with them. Since 0.2.0.
pub const FILEDB_FINDING_SPACE_LOST: i32 = 2;
/// What a key held is lost, or the store does not open because of it. Since 0.2.0.
pub const FILEDB_FINDING_DATA_LOST: i32 = 3;

/// One damaged or suspicious place. Everything in it lives until the function that was given it returns.
/// Later versions may add members at the end. Since 0.2.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_finding {
    /// The size of the struct, set by the library.
    pub struct_size: u32,
    /// FILEDB_FINDING_...: how bad it is; the larger, the worse.
    pub severity: i32,
    /// The name of the file, in the store's directory.
    pub file: *const c_char,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// How many bytes are concerned; 0 where that cannot be said.
    pub length: u64,
    /// A sentence for people that says what it is and what it means, ended by a NUL.
    pub message: *const c_char,
    /// The key concerned, where it can be known; else NULL.
    pub key: *const c_void,
    /// The length of the key in bytes.
    pub key_len: usize,
}

/// One damaged or suspicious place. Since 0.2.0.
pub type filedb_finding_t = filedb_finding;

/// What filedb_check() and filedb_salvage() show their findings to; something else than 0 ends them. It
/// is called by the thread that called those. It must not throw or jump out. Since 0.2.0.
pub type filedb_finding_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, finding: *const filedb_finding_t) -> c_int>;

/// What was looked at and what is lost, in numbers. Begin with `= {0}`, or set struct_size. Later
/// versions may add members at the end; a library that does not know one leaves it 0. Since 0.2.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_check_report {
    /// sizeof(filedb_check_report_t), set by the caller; 0 is the size that it has in version 0.2.0.
    pub struct_size: u32,
    /// Files with damage.
    pub damaged_files: u32,
    /// Data files that were looked at.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Intact records in them, also those that are dead.
    pub records: u64,
    /// Keys that the store has; of a salvage, keys that the new store has.
    pub keys: u64,
    /// Findings that are no notes.
    pub damaged_places: u64,
    /// Keys whose newest value is lost: as many as are known of. Of a damaged place about which nothing
    /// is known it is one.
    pub keys_lost: u64,
}

/// What was looked at and what is lost, in numbers. Since 0.2.0.
pub type filedb_check_report_t = filedb_check_report;

/// Looks for damage in the store at `path`, a directory: reads all of its files, compares every checksum,
/// and holds manifest, data files, hints and checkpoint against each other. Each finding is shown to
/// `function`, which may be NULL, together with `ctx`; if it returns something else than 0 the check
/// ends there. `*out` becomes the report, also with FILEDB_ERR_CORRUPT.
///
/// No file is changed or made. The store need not be closed: it may be open in this process or another,
/// and be written to; then what was complete when the check came to it counts. What a crash or a power
/// cut leaves behind is a note and no damage. It takes about 40 bytes of memory for each key.
///
/// Returns FILEDB_OK where the store is sound, or
/// - FILEDB_ERR_CORRUPT: there are findings that are no notes. The error names the first of the worst;
/// - FILEDB_ERR_MISSING: there is no store;
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, the path is empty, or struct_size is not the size of
///   the struct;
/// - FILEDB_ERR_UNSUPPORTED: the store is no directory, or another version of filedb wrote it;
/// - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY.
///
/// Threads: any, at any time. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_check(
    path: *const c_char,
    function: filedb_finding_fn,
    ctx: *mut c_void,
    out: *mut filedb_check_report_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    panics::keep_quiet();
    guard::enter(err, |call| {
        let out = call.sized_out("out", out)?;
        let path = directory(call, "path", path)?;
        let mut worst: Option<(Severity, PathBuf, u64)> = None;
        let report = crate::check(&path, |finding| {
            if worst.as_ref().is_none_or(|(severity, ..)| *severity < finding.severity) {
                worst = Some((finding.severity, path.join(finding.file), finding.offset));
            }
            show(call, function, ctx, finding)
        })?;
        out.set(in_c(&report));
        match worst.filter(|_| !report.is_sound()) {
            None => Ok(FILEDB_OK),
            Some((_, path, offset)) => {
                let file_id = path.file_name().map_or(0, |name| number_of(name.as_bytes()));
                let what = "this is the first of the worst findings; each has its own sentence, and filedb_salvage() saves what is \
                            intact";
                Err(crate::Error::Corrupt { path, file_id, offset, what }.into())
            }
        }
    })
}

/// Copies what is intact in the store at `path`, which may be damaged, to a new store at `to`, which must
/// not exist: the newest intact version of each key, with its expiry; lists with their elements. What
/// an intact record removed stays removed, and of a batch that is damaged nothing is copied. It works
/// without a manifest too. Findings are shown to `function` as by filedb_check(); if it returns
/// something else than 0 the salvage ends and there is no new store.
///
/// The damaged store is not changed, and is locked against writers meanwhile. The new store is closed
/// and durable when this returns. It takes about 80 bytes of memory for each key, and that of the largest
/// value.
///
/// Returns FILEDB_OK where the new store is there, with all that can be saved: `*out` and the findings say
/// what is lost. Or
/// - FILEDB_ERR_EXISTS: there is something at `to`;
/// - FILEDB_ERR_LOCKED: the store is open for writing, in this process or another;
/// - FILEDB_ERR_CORRUPT: the function ended it;
/// - FILEDB_ERR_NO_SPACE: there is no room for the new store;
/// - as filedb_check() otherwise. There is no new store with any of these.
///
/// Threads: any, at any time. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_salvage(
    path: *const c_char,
    to: *const c_char,
    function: filedb_finding_fn,
    ctx: *mut c_void,
    out: *mut filedb_check_report_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    panics::keep_quiet();
    guard::enter(err, |call| {
        let out = call.sized_out("out", out)?;
        let (path, to) = (directory(call, "path", path)?, directory(call, "to", to)?);
        let report = crate::salvage(path, to, |finding| show(call, function, ctx, finding))?;
        out.set(in_c(&report));
        Ok(FILEDB_OK)
    })
}

/// The path that a text names.
fn directory(call: &Call, what: &str, path: *const c_char) -> Result<PathBuf, Failure> {
    let path = call.text(what, path)?;
    if path.is_empty() {
        return Err(Failure::invalid(format!("'{what}' is empty; it has to name a directory")));
    }
    Ok(Path::new(OsStr::from_bytes(path.to_bytes())).to_path_buf())
}

/// Shows a finding to the caller's function.
fn show(
    call: &Call,
    function: filedb_finding_fn,
    ctx: *mut c_void,
    finding: &Finding<'_>,
) -> ControlFlow<()> {
    failpoint();
    let Some(function) = function else { return ControlFlow::Continue(()) };
    // Neither holds a NUL: the one is the name of a file, the other a sentence of ours.
    let (file, message) =
        (CString::new(finding.file).unwrap_or_default(), CString::new(finding.message).unwrap_or_default());
    let key = finding.key.unwrap_or_default();
    let finding = filedb_finding {
        struct_size: size_of::<filedb_finding>() as u32,
        severity: match finding.severity {
            Severity::Note => FILEDB_FINDING_NOTE,
            Severity::SpaceLost => FILEDB_FINDING_SPACE_LOST,
            Severity::DataLost => FILEDB_FINDING_DATA_LOST,
        },
        file: file.as_ptr(),
        offset: finding.offset,
        length: finding.length,
        message: message.as_ptr(),
        key: if finding.key.is_some() { key.as_ptr().cast() } else { std::ptr::null() },
        key_len: key.len(),
    };
    match call.show_finding(function, ctx, &finding) {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// The number in the name of a data file.
fn number_of(name: &[u8]) -> u32 {
    let name = std::str::from_utf8(name).unwrap_or_default();
    match crate::format::names::parse(name) {
        Some(crate::format::names::Name::Data(id)) => id,
        _ => 0,
    }
}

fn in_c(report: &CheckReport) -> filedb_check_report {
    filedb_check_report {
        struct_size: 0,
        damaged_files: report.damaged_files,
        files: report.files,
        bytes: report.bytes,
        records: report.records,
        keys: report.keys,
        damaged_places: report.damaged_places,
        keys_lost: report.keys_lost,
    }
}
