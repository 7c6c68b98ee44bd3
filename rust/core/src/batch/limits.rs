//! How large a batch may be, on the side that makes it and on the side that reads it.

/// What one encoded batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Points of a batch.
    pub max_points: usize,
    /// Upper bound of the encoded size. Counted before compression, so that no batch is larger however badly it compresses.
    pub max_raw_bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits { max_points: 200_000, max_raw_bytes: 1 << 20 }
    }
}

/// What the decoder of one stream accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of a batch as it arrives.
    pub max_batch_bytes: usize,
    /// Points of a batch.
    pub max_points: usize,
    /// Memory of a decoded batch.
    pub max_decoded_bytes: usize,
    /// Bytes of a metric name.
    pub max_name_bytes: usize,
    /// Metric names of a stream.
    pub max_metrics: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            max_batch_bytes: 1 << 20,
            max_points: 200_000,
            max_decoded_bytes: 16 << 20,
            max_name_bytes: 1024,
            max_metrics: 1_000_000,
        }
    }
}
