//! Lines that a process printed, gathered so that one call carries many.

use std::time::Duration;

use serde::Deserialize;
use stepline_core::spool::SpoolMeta;
use stepline_wire::json::{self, JsonError};
use stepline_wire::v1;
use tokio::time::Instant;

/// Lines wait this long for company: a call for each would cost the service more than they are worth.
const LINGER: Duration = Duration::from_secs(1);
const MOST_LINES: usize = 2_000;
const MOST_BYTES: usize = 256 << 10;
/// An earlier state of a line is looked for among so many.
const NEAR: usize = 32;

#[derive(Deserialize)]
struct Record {
    console: Line,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: u64,
    stream: i32,
    time_ms: i64,
    text: String,
    #[serde(default)]
    open: bool,
}

/// The line in a control record; None for a record of another kind.
pub(crate) fn line(record: &str, ordinal: u64) -> Option<v1::ConsoleLine> {
    let Record { console: it } = serde_json::from_str(record).ok()?;
    let Line { line, stream, time_ms, text, open } = it;
    Some(v1::ConsoleLine { line, ordinal, stream, time_ms, text, open, ..Default::default() })
}

/// Lines on their way. What is dropped with it is read from the spool again.
#[derive(Debug, Default)]
pub(crate) struct Console {
    lines: Vec<v1::ConsoleLine>,
    bytes: usize,
    since: Option<Instant>,
}

impl Console {
    pub fn push(&mut self, line: v1::ConsoleLine) {
        self.bytes += line.text.len();
        // Of two states of one line that travel together only the later one matters.
        let near = self.lines.len().saturating_sub(NEAR);
        if let Some(at) = self.lines.iter().skip(near).position(|old| old.line == line.line) {
            self.lines.remove(near + at);
        }
        self.lines.push(line);
        self.since.get_or_insert_with(Instant::now);
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn is_due(&self) -> bool {
        self.lines.len() >= MOST_LINES
            || self.bytes >= MOST_BYTES
            || self.since.is_some_and(|since| since.elapsed() >= LINGER)
    }

    /// Everything that waits, as a request of the spool of `meta`, and the ordinal up to which it settles.
    pub fn take(
        &mut self,
        meta: &SpoolMeta,
        attempt: u32,
    ) -> Result<Option<(v1::AppendConsoleRequest, u64)>, JsonError> {
        let lines = std::mem::take(self).lines;
        let Some(last) = lines.last().map(|line| line.ordinal) else { return Ok(None) };
        let request = v1::AppendConsoleRequest {
            run_id: meta.run_id.clone(),
            attempt,
            rank: meta.rank,
            writer: json::writer(&meta.writer)?,
            lines,
        };
        Ok(Some((request, last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(number: u64, ordinal: u64, text: &str, open: bool) -> v1::ConsoleLine {
        let record = format!(
            r#"{{"console": {{"line": {number}, "stream": 1, "time_ms": 5, "text": "{text}", "open": {open}}}}}"#
        );
        line(&record, ordinal).unwrap()
    }

    #[test]
    fn other_records_are_no_lines() {
        for record in [r#"{"update": {}}"#, "{}", r#"{"console": {"line": 1}}"#] {
            assert_eq!(line(record, 1), None, "{record}");
        }
    }

    #[test]
    fn a_progress_bar_travels_in_its_last_state() {
        let mut console = Console::default();
        for (ordinal, text) in [(1, "10%"), (2, "20%"), (3, "30%")] {
            console.push(state(1, ordinal, text, true));
        }
        console.push(state(2, 4, "next", false));
        let meta = SpoolMeta { run_id: "r".into(), writer: "00".repeat(16), ..SpoolMeta::default() };
        let (request, settled) = console.take(&meta, 2).unwrap().unwrap();
        let texts: Vec<_> = request.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts, settled), (vec!["30%", "next"], 4));
        assert!(console.take(&meta, 2).unwrap().is_none());
    }
}
