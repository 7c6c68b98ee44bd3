//! The one error of this layer. Each message says what is wrong and ends with what to do about it.

use crate::codec::CodecError;

/// What kind of fault was found in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The batch is of a format version or has flags that this build does not know.
    Version,
    /// The bytes are not those that were sent.
    Checksum,
    /// The batch ends before what it declares.
    Truncated,
    /// Larger than a limit allows.
    Limit,
    /// The bytes contradict the format.
    Malformed,
    /// A name or key set is used that was not defined on this stream.
    UnknownDefinition,
    /// The sequences have a hole or a double, or are not those that the envelope says.
    Sequence,
}

/// Why a batch could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BatchError {
    kind: ErrorKind,
    message: String,
}

impl BatchError {
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// True when the bytes were damaged on their way: the same records, encoded again, may pass.
    pub fn is_corruption(&self) -> bool {
        matches!(self.kind, ErrorKind::Checksum | ErrorKind::Truncated)
    }

    /// True when a limit was exceeded; the batch itself may be sound.
    pub fn is_limit(&self) -> bool {
        self.kind == ErrorKind::Limit
    }

    pub(super) fn version(what: impl std::fmt::Display) -> Self {
        Self::with(ErrorKind::Version, what, "Update the service, or send the plain encoding.")
    }

    pub(super) fn checksum() -> Self {
        let what = "the checksum of the batch does not match its bytes";
        Self::with(ErrorKind::Checksum, what, "Encode the same records again and resend them.")
    }

    pub(super) fn limit(what: impl std::fmt::Display) -> Self {
        Self::with(ErrorKind::Limit, what, "Cut smaller batches, or raise the limit of the service.")
    }

    pub(super) fn malformed(what: impl std::fmt::Display) -> Self {
        let remedy = "The sender does not follow docs/format.md; update or correct it.";
        Self::with(ErrorKind::Malformed, what, remedy)
    }

    pub(super) fn unknown(what: impl std::fmt::Display) -> Self {
        let remedy =
            "Define names and key sets on each stream before they are used; after a reconnect, define them anew.";
        Self::with(ErrorKind::UnknownDefinition, what, remedy)
    }

    pub(super) fn sequence(what: impl std::fmt::Display) -> Self {
        let remedy = "A batch holds each sequence from first_seq to last_seq once; correct the sender.";
        Self::with(ErrorKind::Sequence, what, remedy)
    }

    fn with(kind: ErrorKind, what: impl std::fmt::Display, remedy: &str) -> Self {
        BatchError { kind, message: format!("{what}. {remedy}") }
    }
}

impl From<CodecError> for BatchError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Truncated(_) => {
                let remedy = "Encode the same records again and resend them.";
                BatchError::with(ErrorKind::Truncated, error, remedy)
            }
            CodecError::Malformed(_) => BatchError::malformed(error),
        }
    }
}
