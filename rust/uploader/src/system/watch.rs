//! For which runs readings are taken, and the spools that they go to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stepline_core::spool::{layout, scan, DirLock, SpoolError, SpoolMeta, SpoolWriter, WriterOptions};
use tokio::time::Instant;

use super::machine::{Machine, Reading};
use super::process::Trainer;
use super::Values;
use crate::settings::Clock;

/// In the spool of a trainer: held by whoever takes the readings of its run on this host.
const SYSTEM_LOCK: &str = "system.lock";
/// An interval cannot be shorter.
const SHORTEST: Duration = Duration::from_millis(100);
/// Of a spool: a reading is some 500 bytes.
const SEGMENT_BYTES: usize = 256 << 10;

/// Whose runs are watched.
#[derive(Debug)]
pub(super) enum Scope {
    /// Those of all spools under the root.
    Root,
    /// That of one spool.
    Spool(PathBuf),
}

/// Knows the spools of one root.
pub(super) struct Watch {
    root: PathBuf,
    scope: Scope,
    clock: Arc<dyn Clock>,
    machine: Machine,
    /// None for a spool that is not to be watched, or cannot be read.
    known: HashMap<PathBuf, Option<SpoolMeta>>,
    watched: HashMap<PathBuf, Watched>,
    pub newest_spool: Option<PathBuf>,
}

/// Run id and launch id.
type Start = (String, String);

fn start_of(meta: &SpoolMeta) -> Start {
    (meta.run_id.clone(), meta.launch_id.clone())
}

/// A run whose readings are taken here.
struct Watched {
    meta: SpoolMeta,
    every: Duration,
    due: Instant,
    writer: Option<SpoolWriter>,
    failed: bool,
    _lock: DirLock,
}

impl Watch {
    /// `machine` is where /proc and /sys lie.
    pub fn new(root: &Path, scope: Scope, machine: &Path, clock: Arc<dyn Clock>) -> Watch {
        let machine = Machine::new(machine);
        Watch {
            root: root.to_owned(),
            scope,
            clock,
            machine,
            known: HashMap::new(),
            watched: HashMap::new(),
            newest_spool: None,
        }
    }

    /// Takes the readings that are due.
    pub fn beat(&mut self) {
        let spools = scan(&self.root).unwrap_or_default();
        self.known.retain(|dir, _| spools.contains(dir));
        for dir in &spools {
            if !self.known.contains_key(dir) {
                let meta = SpoolMeta::load(dir).ok().filter(|meta| meta.system_ms > 0 && !meta.child);
                self.known.insert(dir.clone(), meta);
            }
        }
        self.watched.retain(|dir, _| is_alive(dir));
        self.take_up();
        let now = Instant::now();
        if !self.watched.values().any(|watched| now >= watched.due) {
            return;
        }
        let trainers = self.trainers();
        let processes: Vec<Trainer> = trainers.values().flatten().copied().collect();
        let reading = self.machine.read(&self.root, &processes);
        let time_ms = self.clock.unix_ms();
        for watched in self.watched.values_mut().filter(|watched| now >= watched.due) {
            // Not a beat later each time; but after a pause of the machine only once.
            watched.due = (watched.due + watched.every).max(now + watched.every / 2);
            let trainers = trainers.get(&start_of(&watched.meta)).map_or(&[][..], Vec::as_slice);
            watched.record(&self.root, &reading, trainers, time_ms);
            if let Some(writer) = &watched.writer {
                self.newest_spool = Some(writer.dir().to_owned());
            }
        }
    }

    /// Begins with spools that nobody watches yet.
    fn take_up(&mut self) {
        for (dir, meta) in &self.known {
            let Some(meta) = meta else { continue };
            let ours = match &self.scope {
                Scope::Root => true,
                Scope::Spool(spool) => spool == dir,
            };
            if !ours || self.watched.contains_key(dir) || !self.leads(dir, meta) || !is_alive(dir) {
                continue;
            }
            let Ok(Some(lock)) = DirLock::try_acquire(&dir.join(SYSTEM_LOCK)) else { continue };
            let every = Duration::from_millis(meta.system_ms).max(SHORTEST);
            if self.watched.is_empty() {
                // Differences need something to differ from.
                self.machine.read(&self.root, &[]);
            }
            let (meta, due) = (meta.clone(), Instant::now() + every);
            self.watched.insert(dir.clone(), Watched { meta, every, due, writer: None, failed: false, _lock: lock });
        }
    }

    /// The first rank of a host leads. Where no launcher says which that is, the lowest rank here does.
    fn leads(&self, dir: &Path, meta: &SpoolMeta) -> bool {
        if let Some(local_rank) = meta.local_rank {
            return local_rank == 0;
        }
        let mut others = self.known.iter().filter_map(|(other, found)| Some((other, found.as_ref()?)));
        !others.any(|(other, found)| {
            start_of(found) == start_of(meta) && (found.rank, other.as_path()) < (meta.rank, dir) && is_alive(other)
        })
    }

    /// The processes of each start of a run.
    fn trainers(&self) -> HashMap<Start, Vec<Trainer>> {
        let mut found: HashMap<Start, Vec<Trainer>> = HashMap::new();
        for (dir, meta) in &self.known {
            if let Some(meta) = meta.as_ref().filter(|_| is_alive(dir)) {
                let of_start = found.entry(start_of(meta)).or_default();
                // One process a rank: two would give two values for one name.
                if !of_start.iter().any(|trainer| trainer.rank == meta.rank) {
                    of_start.push(Trainer { rank: meta.rank, pid: meta.pid });
                }
            }
        }
        found
    }
}

impl Watched {
    fn record(&mut self, root: &Path, reading: &Reading, trainers: &[Trainer], time_ms: i64) {
        let own = trainers.iter().filter_map(|trainer| reading.processes.get(trainer)).flatten();
        let cores = reading.cores.iter().filter(|_| self.meta.system_cores);
        let values: Values = reading.values.iter().chain(cores).chain(own).cloned().collect();
        if values.is_empty() {
            return;
        }
        match self.append(root, &values, time_ms) {
            Ok(()) => self.failed = false,
            Err(err) if self.failed => log::debug!("{err}"),
            Err(err) => {
                log::warn!("readings of this host for run {} are lost: {err}", self.meta.run_id);
                self.failed = true;
            }
        }
    }

    fn append(&mut self, root: &Path, values: &Values, time_ms: i64) -> Result<(), SpoolError> {
        let writer = match self.writer.take() {
            Some(writer) => self.writer.insert(writer),
            None => {
                let options = WriterOptions { segment_bytes: SEGMENT_BYTES, ..WriterOptions::default() };
                self.writer.insert(SpoolWriter::create(root, spool_of(&self.meta, time_ms), options)?)
            }
        };
        let names: Vec<u32> =
            values.iter().map(|(name, _)| writer.name_id(&format!("system/{name}"))).collect::<Result<_, _>>()?;
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        match writer.keyset_id(&names) {
            Some(keyset) => writer.append_row(keyset, time_ms, time_ms, &numbers)?,
            None => writer.append_sparse(&names, time_ms, time_ms, &numbers)?,
        };
        writer.tend()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(Err(err)) = self.writer.as_mut().map(SpoolWriter::seal) {
            log::debug!("{err}");
        }
    }
}

/// A writer of the same run, attempt and rank. It says nothing about the run that the trainer has not said, or will say.
fn spool_of(trainer: &SpoolMeta, now_ms: i64) -> SpoolMeta {
    SpoolMeta {
        writer: String::new(),
        name: String::new(),
        config_json: "{}".to_owned(),
        tags: Vec::new(),
        group: String::new(),
        job_type: String::new(),
        pid: std::process::id(),
        created_ms: now_ms,
        system_ms: 0,
        child: true,
        ..trainer.clone()
    }
}

fn is_alive(dir: &Path) -> bool {
    !dir.join(layout::SEALED_FILE).exists() && DirLock::held(&dir.join(layout::WRITER_LOCK))
}
