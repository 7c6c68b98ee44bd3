//! Points that found no room, until a control record can say so.

use std::time::{Duration, Instant};

use super::error::{SpoolError, SpoolErrorKind};

/// Room at the end of each segment that only a gap record may use, so that a writer that is closed on a full disk can still say
/// what is missing.
pub(super) const GAP_RESERVE: usize = 512;
/// In bytes, so that the record fits there.
const MAX_REASON: usize = 160;

/// Since when no segment can be had, and what was refused since.
#[derive(Debug)]
pub(super) struct Gap {
    points: u64,
    first_ms: i64,
    last_ms: i64,
    kind: SpoolErrorKind,
    reason: String,
    tried: Instant,
}

impl Gap {
    pub fn new(error: &SpoolError, time_ms: i64) -> Gap {
        Gap {
            points: 0,
            first_ms: time_ms,
            last_ms: time_ms,
            kind: error.kind(),
            reason: error.to_string(),
            tried: Instant::now(),
        }
    }

    pub fn count(&mut self, points: u64, time_ms: i64) {
        self.points += points;
        self.first_ms = self.first_ms.min(time_ms);
        self.last_ms = self.last_ms.max(time_ms);
    }

    pub fn may_try_again(&self, pause: Duration) -> bool {
        self.tried.elapsed() >= pause
    }

    pub fn tried_again(&mut self, error: &SpoolError) {
        self.kind = error.kind();
        self.reason = error.to_string();
        self.tried = Instant::now();
    }

    /// What a record that is refused meanwhile is told.
    pub fn error(&self) -> SpoolError {
        SpoolError::new(self.kind, self.reason.clone())
    }

    /// The control record, or None when nothing was refused.
    pub fn json(&self) -> Option<String> {
        let mut reason = String::with_capacity(MAX_REASON);
        // Without the characters that JSON writes longer.
        for c in self.reason.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '\'' } else { c }) {
            if reason.len() + c.len_utf8() > MAX_REASON {
                break;
            }
            reason.push(c);
        }
        let gap = serde_json::json!({"gap": {
            "count": self.points,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "reason": reason,
        }});
        (self.points > 0).then(|| gap.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::spool::frame::{framed, Frame};

    #[test]
    fn the_longest_gap_record_fits_into_its_reserve() {
        for text in ["\u{1}".repeat(500), "é\"".repeat(300)] {
            let mut gap = Gap::new(&SpoolError::invalid(text), i64::MIN);
            gap.count(u64::MAX, i64::MAX);
            let json = gap.json().unwrap();
            assert!(
                framed(Frame::new(&Record::Control { ordinal: 1, json: &json }).body_bytes()) <= GAP_RESERVE,
                "{}",
                json.len()
            );
        }
    }
}
