//! What a batch may still use of its limits. Everything declared passes here before it is allocated.

use super::{BatchError, DecodeLimits};

#[derive(Debug)]
pub(super) struct Budget {
    points: usize,
    bytes: usize,
    limits: DecodeLimits,
}

impl Budget {
    pub fn new(limits: DecodeLimits) -> Self {
        Budget { points: limits.max_points, bytes: limits.max_decoded_bytes, limits }
    }

    pub fn points(&mut self, n: usize) -> Result<(), BatchError> {
        self.points = self.points.checked_sub(n).ok_or_else(|| {
            BatchError::limit(format_args!("the batch has more than {} points", self.limits.max_points))
        })?;
        Ok(())
    }

    /// `n` elements of `size` bytes each.
    pub fn memory(&mut self, n: usize, size: usize) -> Result<(), BatchError> {
        let left = n.checked_mul(size).and_then(|bytes| self.bytes.checked_sub(bytes));
        self.bytes = left.ok_or_else(|| {
            BatchError::limit(format_args!(
                "the batch takes more than {} bytes of memory",
                self.limits.max_decoded_bytes
            ))
        })?;
        Ok(())
    }
}
