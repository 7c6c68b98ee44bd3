//! Records in, bytes in the segment out.

use super::definitions::Uses;
use super::error::SpoolError;
use super::frame::{framed, Frame, MAX_BODY_BYTES};
use super::gap::{Gap, GAP_RESERVE};
use super::header::HEADER_BYTES;
use super::writer::SpoolWriter;
use crate::record::Record;

/// Rows leave this much of a segment to control records, and those leave `GAP_RESERVE` to a gap record: so a run can be
/// finished, and say what it lost, on a disk that is full.
pub(super) const CONTROL_RESERVE: usize = 1024;
/// Arrays are cut here, so that no record makes a reader hold more than a mebibyte.
const ARRAY_POINTS: usize = 64 << 10;
/// The rest of a segment is filled with a piece of an array only when it is worth a record.
const LEAST_ARRAY_POINTS: usize = 1024;

impl SpoolWriter {
    /// One row; one value a name of the key set. Returns its sequence. An error of kind `Full` or `Io` means that the row found no
    /// room; it is counted for the gap record. One that `is_busy()` says that there may be room later; nothing is counted.
    pub fn append_row(&mut self, keyset: u32, step: i64, time_ms: i64, values: &[f64]) -> Result<u64, SpoolError> {
        let names = self.dictionary.keyset(keyset).map_or(0, |entry| entry.content.len());
        if values.is_empty() || values.len() != names {
            return Err(SpoolError::invalid(format!("{} values for a key set of {names} names", values.len())));
        }
        let seq = self.next_seq;
        let record = Record::Row { seq, time_ms, step, keyset, values };
        self.take(Uses::KeySet(keyset), &record, values.len() as u64, time_ms)?;
        self.next_seq += 1;
        Ok(seq)
    }

    /// One row with its names, which must be different ones.
    pub fn append_sparse(&mut self, names: &[u32], step: i64, time_ms: i64, values: &[f64]) -> Result<u64, SpoolError> {
        if values.is_empty() || values.len() != names.len() || !self.dictionary.are_known(names) {
            return Err(SpoolError::invalid(format!("{} values for {} known names", values.len(), names.len())));
        }
        let seq = self.next_seq;
        let record = Record::Sparse { seq, time_ms, step, names, values };
        self.take(Uses::Names(names), &record, values.len() as u64, time_ms)?;
        self.next_seq += 1;
        Ok(seq)
    }

    /// Points of one metric, cut into several records when they are many. Returns their first sequence. After an error the points
    /// of the records before it are kept (`last_seq` says how many), the rest is counted for the gap record, unless the error
    /// `is_busy()`.
    pub fn append_array(&mut self, name: u32, time_ms: i64, steps: &[i64], values: &[f64]) -> Result<u64, SpoolError> {
        if values.is_empty() || values.len() != steps.len() || !self.dictionary.are_known(&[name]) {
            return Err(SpoolError::invalid(format!(
                "{} steps and {} values of a known name",
                steps.len(),
                values.len()
            )));
        }
        let first = self.next_seq;
        let mut done = 0;
        while done < values.len() {
            let count = self.array_piece(values.len() - done);
            let (seq, range) = (self.next_seq, done..done + count);
            let record = Record::Array { seq, time_ms, name, steps: &steps[range.clone()], values: &values[range] };
            if let Err(e) = self.take(Uses::Names(&[name]), &record, count as u64, time_ms) {
                if !e.is_busy() {
                    self.count_lost((values.len() - done - count) as u64, time_ms);
                }
                return Err(e);
            }
            self.next_seq += count as u64;
            done += count;
        }
        Ok(first)
    }

    /// A JSON object for the run itself. Returns its ordinal.
    pub fn append_control(&mut self, time_ms: i64, json: &str) -> Result<u64, SpoolError> {
        if !self.sealed {
            // A new segment may begin with a gap record, which takes an ordinal.
            let draft = Frame::new(&Record::Control { ordinal: self.next_control, json });
            self.reserve(Uses::Nothing, &draft, time_ms)?;
        }
        let ordinal = self.next_control;
        self.take(Uses::Nothing, &Record::Control { ordinal, json }, 0, time_ms)?;
        self.next_control += 1;
        Ok(ordinal)
    }

    fn array_piece(&self, left: usize) -> usize {
        let whole = self.options.usual_segment(self.is_buffered()) - HEADER_BYTES - 2 * CONTROL_RESERVE;
        let room = self.segment.room().saturating_sub(2 * CONTROL_RESERVE) / 16;
        let most = if room >= LEAST_ARRAY_POINTS { room } else { whole / 16 };
        left.min(most).clamp(1, ARRAY_POINTS)
    }

    fn take(&mut self, uses: Uses<'_>, record: &Record<'_>, points: u64, time_ms: i64) -> Result<(), SpoolError> {
        if self.sealed {
            return Err(SpoolError::closed());
        }
        let frame = Frame::new(record);
        if frame.body_bytes() > MAX_BODY_BYTES {
            return Err(SpoolError::invalid(format!(
                "a record of {} bytes is too large; log fewer values in one call",
                frame.body_bytes()
            )));
        }
        match self.write(uses, &frame, time_ms) {
            Ok(()) => {
                self.stats.points += points;
                self.stats.records += 1;
                if self.segment.is_buffered() {
                    self.pace(points == 0, time_ms);
                }
                Ok(())
            }
            Err(e) if e.is_busy() => Err(e),
            Err(e) => {
                self.count_lost(points, time_ms);
                Err(e)
            }
        }
    }

    fn write(&mut self, uses: Uses<'_>, frame: &Frame<'_>, time_ms: i64) -> Result<(), SpoolError> {
        self.reserve(uses, frame, time_ms)?;
        if self.define(uses) && self.append(frame) {
            return Ok(());
        }
        let error = SpoolError::no_room(&self.dir);
        self.gap.get_or_insert_with(|| Gap::new(&error, time_ms));
        Err(error)
    }

    /// Makes sure that the segment has room for a record and what it uses.
    #[inline]
    fn reserve(&mut self, uses: Uses<'_>, frame: &Frame<'_>, time_ms: i64) -> Result<(), SpoolError> {
        let is_control = matches!(uses, Uses::Nothing);
        let reserve = if is_control { GAP_RESERVE } else { CONTROL_RESERVE };
        let record = framed(frame.body_bytes());
        if self.definition_bytes(uses, self.segment.index()) + record + reserve > self.segment.room() {
            self.roll(self.definition_bytes(uses, 0), record, is_control, time_ms)?;
        }
        Ok(())
    }

    pub(super) fn append(&mut self, frame: &Frame<'_>) -> bool {
        if self.segment.is_short_of_pages(framed(frame.body_bytes())) {
            self.work_ahead();
        }
        let before = self.segment.end();
        let done = self.segment.append(frame);
        self.stats.bytes += (self.segment.end() - before) as u64;
        done
    }
}
