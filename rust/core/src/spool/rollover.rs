//! Going on in the next segment, and what is done when there is none.

use super::append::CONTROL_RESERVE;
use super::backing::Medium;
use super::error::{SpoolError, SpoolErrorKind};
use super::frame::Frame;
use super::gap::{Gap, GAP_RESERVE};
use super::header::{SegmentHeader, HEADER_BYTES};
use super::options::{LimitPolicy, WriteMode, MIN_SEGMENT_BYTES};
use super::segment::Segment;
use super::writer::SpoolWriter;
use crate::record::Record;

impl SpoolWriter {
    /// Goes on in a new segment with room for a record and its definitions.
    #[cold]
    pub(super) fn roll(
        &mut self,
        definitions: usize,
        record: usize,
        is_control: bool,
        time_ms: i64,
    ) -> Result<(), SpoolError> {
        if let Some(gap) = self.gap.as_ref().filter(|gap| !gap.may_try_again(self.options.retry_pause)) {
            return Err(gap.error());
        }
        let needed = HEADER_BYTES + definitions + record + CONTROL_RESERVE + GAP_RESERVE;
        // Definitions that fill most of a segment would be written anew after every few records.
        let usual = self.options.usual_segment(self.is_buffered());
        let bytes = segment_size(usual.max(needed).max(4 * definitions));
        match self.next_segment(bytes, is_control, time_ms) {
            Ok(segment) => {
                if self.options.limit_bytes > 0 {
                    self.quota.leave(&self.segment, self.next_seq, self.next_control, self.stats.points);
                }
                self.ahead.keep(self.segment.backing());
                self.segment = segment;
                self.stats.segments += 1;
                self.stats.bytes += HEADER_BYTES as u64;
                self.waited_in_vain = false;
                self.write_gap();
                Ok(())
            }
            Err(e) if e.is_busy() => Err(e),
            Err(e) => {
                self.gap.get_or_insert_with(|| Gap::new(&e, time_ms)).tried_again(&e);
                Err(e)
            }
        }
    }

    fn next_segment(&mut self, bytes: usize, is_control: bool, time_ms: i64) -> Result<Segment, SpoolError> {
        self.tend()?;
        let header = SegmentHeader {
            writer: self.id,
            index: self.segment.index() + 1,
            first_seq: self.next_seq,
            first_control: self.next_control,
            created_ms: time_ms,
        };
        let medium = self.medium();
        if let Some(segment) = self.ahead.take(&self.dir, header, bytes, &medium) {
            return Ok(segment);
        }
        // Control records are few and small, and a run must be able to end.
        if self.options.limit_bytes > 0 && !is_control {
            self.make_room(bytes as u64)?;
        }
        Segment::create(&self.dir, header, bytes, &medium)
    }

    pub(super) fn medium(&self) -> Medium {
        self.options.medium(if self.is_buffered() { WriteMode::Buffered } else { self.options.write })
    }

    /// There may be another segment of `bytes`.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        let limit = self.options.limit_bytes;
        limit == 0 || self.quota.has_room(&self.dir, self.segment.size(), bytes, limit)
    }

    /// Does what the policy says when another segment of `bytes` is too much.
    fn make_room(&mut self, bytes: u64) -> Result<(), SpoolError> {
        if self.has_room(bytes) {
            return Ok(());
        }
        let (limit, current) = (self.options.limit_bytes, self.segment.size());
        match self.options.policy {
            LimitPolicy::DropOldest => {
                let lost = self.quota.drop_oldest(&self.dir, current, bytes, limit, &*self.options.disk)?;
                if lost > 0 && self.stats.dropped_points == 0 {
                    let text = SpoolError::at_limit(&self.dir, limit, SpoolErrorKind::Full).to_string();
                    self.notice = Some(format!("the oldest points are deleted unsent: {text}"));
                }
                self.stats.dropped_points += lost;
                Ok(())
            }
            LimitPolicy::Block if !self.waited_in_vain => {
                Err(SpoolError::at_limit(&self.dir, limit, SpoolErrorKind::Busy))
            }
            LimitPolicy::Block | LimitPolicy::Refuse => {
                Err(SpoolError::at_limit(&self.dir, limit, SpoolErrorKind::Full))
            }
        }
    }

    /// Says what was refused since the disk was full, if it was.
    pub(super) fn write_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        if let Some(json) = gap.json() {
            let record = Record::Control { ordinal: self.next_control, json: &json };
            if self.append(&Frame::new(&record)) {
                self.next_control += 1;
                self.stats.records += 1;
            } else {
                self.gap = Some(gap);
            }
        }
    }
}

pub(super) fn segment_size(bytes: usize) -> usize {
    bytes.max(MIN_SEGMENT_BYTES).next_multiple_of(MIN_SEGMENT_BYTES)
}
