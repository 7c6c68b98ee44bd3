//! What can be wrong with coded bytes.

/// A fault found while decoding. The batch layer adds what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end before what they declare.
    #[error("the bytes end inside {0}")]
    Truncated(&'static str),
    /// The bytes contradict the format.
    #[error("{0}")]
    Malformed(&'static str),
}
