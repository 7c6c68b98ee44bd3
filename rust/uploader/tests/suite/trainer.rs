//! What a trainer does: it makes a spool and logs, and remembers what.

use std::path::{Path, PathBuf};

use stepline_core::id::WriterId;
use stepline_core::spool::{SpoolMeta, SpoolWriter, WriterOptions};

use crate::store::{metric, Points};

pub struct Trainer {
    pub writer: SpoolWriter,
    pub id: WriterId,
    pub dir: PathBuf,
    pub logged: Points,
    step: i64,
}

pub const TIME: i64 = 1_700_000_000_000;

pub fn meta(server: &str, run_id: &str) -> SpoolMeta {
    SpoolMeta {
        run_id: run_id.into(),
        project: "p".into(),
        config_json: "{}".into(),
        resume: "never".into(),
        launch_id: "launch".into(),
        world_size: 1,
        server: server.into(),
        mode: "online".into(),
        ..SpoolMeta::default()
    }
}

impl Trainer {
    pub fn new(root: &Path, server: &str, run_id: &str) -> Trainer {
        Trainer::with(root, meta(server, run_id))
    }

    pub fn with(root: &Path, meta: SpoolMeta) -> Trainer {
        // Small segments, so that many of them come and go.
        Trainer::with_options(root, meta, WriterOptions { segment_bytes: 16 << 10, ..WriterOptions::default() })
    }

    pub fn with_options(root: &Path, meta: SpoolMeta, options: WriterOptions) -> Trainer {
        let writer = SpoolWriter::create(root, meta, options).unwrap();
        Trainer { id: writer.writer_id(), dir: writer.dir().to_owned(), writer, logged: Points::new(), step: 0 }
    }

    fn remember(&mut self, seq: u64, name: &str, step: i64, time_ms: i64, value: f64) {
        self.logged.insert((seq, metric(name)), (step, time_ms, value.to_bits()));
    }

    /// `rows` calls of log() with the same `width` metrics.
    pub fn rows(&mut self, rows: usize, width: usize) {
        let names: Vec<String> = (0..width).map(|i| format!("m{i}")).collect();
        let ids: Vec<u32> = names.iter().map(|name| self.writer.name_id(name).unwrap()).collect();
        let keyset = self.writer.keyset_id(&ids).unwrap();
        for _ in 0..rows {
            self.step += 1;
            let values: Vec<f64> = (0..width).map(|i| odd_value(self.step, i)).collect();
            let seq = self.writer.append_row(keyset, self.step, TIME + self.step, &values).unwrap();
            for (name, value) in names.iter().zip(values) {
                self.remember(seq, name, self.step, TIME + self.step, value);
            }
        }
    }

    /// One call of log() with keys of its own.
    pub fn sparse(&mut self, width: usize) {
        self.step += 1;
        let names: Vec<String> = (0..width).map(|i| format!("s{}", (self.step as usize + i) % 17)).collect();
        let ids: Vec<u32> = names.iter().map(|name| self.writer.name_id(name).unwrap()).collect();
        let values: Vec<f64> = (0..width).map(|i| odd_value(self.step, i)).collect();
        let seq = self.writer.append_sparse(&ids, self.step, TIME, &values).unwrap();
        for (name, value) in names.iter().zip(values) {
            self.remember(seq, name, self.step, TIME, value);
        }
    }

    /// One call of log_array().
    pub fn array(&mut self, points: usize) {
        self.array_of(points, |step| odd_value(step, 1));
    }

    /// Values that no codec makes smaller.
    pub fn noise(&mut self, points: usize) {
        self.array_of(points, |step| f64::from_bits(stepline_core::id::siphash64(&step.to_string())));
    }

    fn array_of(&mut self, points: usize, value: impl Fn(i64) -> f64) {
        let id = self.writer.name_id("a").unwrap();
        let steps: Vec<i64> = (0..points as i64).map(|i| self.step + i).collect();
        let values: Vec<f64> = steps.iter().map(|step| value(*step)).collect();
        let first = self.writer.append_array(id, TIME, &steps, &values).unwrap();
        for (i, (step, value)) in steps.into_iter().zip(values).enumerate() {
            self.remember(first + i as u64, "a", step, TIME, value);
        }
    }

    pub fn control(&mut self, json: &str) {
        self.writer.append_control(TIME, json).unwrap();
    }

    pub fn update(&mut self, n: usize) {
        self.control(&format!(r#"{{"update": {{"summary_json": "{{\"n\":{n}}}"}}}}"#));
    }

    pub fn finish(&mut self, exit_code: i32) {
        self.control(&format!(r#"{{"finish": {{"exit_code": {exit_code}, "finished_ms": 1}}}}"#));
        self.writer.seal().unwrap();
    }

    pub fn seal(&mut self) {
        self.writer.seal().unwrap();
    }

    /// As SIGKILL does: the lock is free and nothing is sealed.
    pub fn vanish(self) -> (WriterId, Points, PathBuf) {
        (self.id, self.logged, self.dir)
    }

    pub fn exists(&self) -> bool {
        self.dir.exists()
    }
}

/// Finite ones, and all the others.
fn odd_value(step: i64, i: usize) -> f64 {
    match (step as usize + i) % 11 {
        3 => f64::NAN,
        5 => f64::NEG_INFINITY,
        7 => -0.0,
        8 => f64::from_bits(0x7ff8_0000_dead_beef),
        9 => f64::MIN_POSITIVE / 4.0,
        _ => step as f64 * 0.1 + i as f64,
    }
}
