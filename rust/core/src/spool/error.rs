//! The one error type of the spool.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What kind of trouble: the strings of `CoreError.kind` in the Python stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolErrorKind {
    /// An argument or a file that no retry makes right.
    Invalid,
    /// The operating system refused a file operation.
    Io,
    /// No room for another segment. The record was not taken; the writer counts it and tries again by itself.
    Full,
    /// Bytes that a writer never wrote like this. Whatever was read before them stands.
    Corrupt,
    /// The writer was closed.
    Closed,
    /// The spool is at its limit and was told to wait. Nothing was taken and nothing counted: try again.
    Busy,
}

impl SpoolErrorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            SpoolErrorKind::Invalid => "invalid",
            SpoolErrorKind::Io => "io",
            SpoolErrorKind::Full => "full",
            SpoolErrorKind::Corrupt => "corrupt",
            SpoolErrorKind::Closed => "closed",
            SpoolErrorKind::Busy => "full",
        }
    }
}

const MORE_ROOM: &str = "free some space there or set STEPLINE_DIR to a larger disk";
const LOCKS: &str = "the file system has no such operation: set STEPLINE_DIR to a directory on a local disk";
const ELSEWHERE: &str =
    "check that the directory is there and writable by this user, or set STEPLINE_DIR to one that is";

#[derive(Clone, Debug)]
pub struct SpoolError {
    kind: SpoolErrorKind,
    message: String,
    /// File and offset, of corrupt bytes.
    place: Option<(PathBuf, u64)>,
    source: Option<Arc<io::Error>>,
}

impl SpoolError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(SpoolErrorKind::Invalid, message)
    }

    /// What a writer says that was closed.
    pub fn closed() -> Self {
        Self::new(SpoolErrorKind::Closed, "the spool is closed: log before finish(), or start another run with init()")
    }

    /// Wraps what the operating system said; a lack of room becomes `Full`.
    pub(crate) fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let (kind, remedy) = if is_lack_of_room(&source) {
            (SpoolErrorKind::Full, MORE_ROOM)
        } else if has_no_locks(&source) {
            (SpoolErrorKind::Io, LOCKS)
        } else {
            (SpoolErrorKind::Io, ELSEWHERE)
        };
        let message = format!("cannot {action} {}: {source}; {remedy}", path.display());
        SpoolError { kind, message, place: None, source: Some(Arc::new(source)) }
    }

    pub(crate) fn no_room(dir: &Path) -> Self {
        Self::new(SpoolErrorKind::Full, format!("no room left in {}; {MORE_ROOM}", dir.display()))
    }

    /// What a writer says whose spool holds as much as it may.
    pub(crate) fn at_limit(dir: &Path, limit: u64, kind: SpoolErrorKind) -> Self {
        let limit = limit as f64 / f64::from(1 << 20);
        let message = format!(
            "the spool {} holds its limit of {limit:.1} MiB; see what is in the way with `stepline status`, or set spool_limit higher",
            dir.display()
        );
        Self::new(kind, message)
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl fmt::Display) -> Self {
        let message = format!(
            "{} is damaged at byte {offset}: {what}; the records before it are kept, those after it in this file are lost",
            path.display()
        );
        SpoolError { place: Some((path.to_owned(), offset)), ..Self::new(SpoolErrorKind::Corrupt, message) }
    }

    pub(crate) fn new(kind: SpoolErrorKind, message: impl Into<String>) -> Self {
        SpoolError { kind, message: message.into(), place: None, source: None }
    }

    pub fn kind(&self) -> SpoolErrorKind {
        self.kind
    }

    /// The record found no room; the writer has counted it.
    pub fn is_full(&self) -> bool {
        self.kind == SpoolErrorKind::Full
    }

    /// The spool is at its limit and was told to wait: the record was not taken and not counted.
    pub fn is_busy(&self) -> bool {
        self.kind == SpoolErrorKind::Busy
    }

    /// Reading may go on: the next call to `next()` continues behind the damage.
    pub fn is_corrupt(&self) -> bool {
        self.kind == SpoolErrorKind::Corrupt
    }

    /// The file or directory is gone.
    pub fn is_not_found(&self) -> bool {
        self.source.as_ref().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
    }

    /// The same operation may succeed later: what refused it is neither a matter of rights nor of what the file system can do.
    pub fn may_pass(&self) -> bool {
        let passes = |e: &Arc<io::Error>| e.kind() != io::ErrorKind::PermissionDenied && !has_no_locks(e);
        self.source.as_ref().is_some_and(passes)
    }

    /// Where the damage begins: file and byte offset.
    pub fn place(&self) -> Option<(&Path, u64)> {
        self.place.as_ref().map(|(path, offset)| (path.as_path(), *offset))
    }
}

/// What a network file system without a lock service says.
fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP].contains(&errno))
}

fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
