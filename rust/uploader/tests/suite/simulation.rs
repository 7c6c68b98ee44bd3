//! Everything at once, at random: trainers that log, end and die, uploader processes that get SIGKILL at any moment, `stepline sync` beside
//! them, and a service that breaks, refuses, rejects, fences and goes back to a backup.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use stepline_core::id::WriterId;
use stepline_core::spool::{status, LimitPolicy, SpoolMeta, SpoolReader, Status, WriterOptions};
use stepline_uploader::{drain, Stop};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::service::Service;
use crate::store::{Event, Points, Store};
use crate::support::{patient, segments, soon, start_process, until};
use crate::trainer::{meta, Trainer};

const ACTS: usize = 150;
const MOST_TRAINERS: usize = 4;

/// A spool, and what may have become of its sequences.
struct Actor {
    /// None when the process is gone.
    trainer: Option<Trainer>,
    id: WriterId,
    dir: PathBuf,
    run_id: String,
    logged: Points,
    updates: usize,
    finished: bool,
    /// One of its segments was damaged, and nobody can read these any more.
    hurt: bool,
    damaged: BTreeSet<u64>,
    /// Up to here the trainer deleted segments unsent.
    dropped: u64,
    /// Up to here the service had settled everything when it went back.
    forgiven: u64,
    /// The highest mark that the service ever had.
    settled: u64,
    /// The service forgot the control records up to this one when they were gone from the spool.
    forgotten: u64,
}

impl Actor {
    fn is_excused(&self, seq: u64) -> bool {
        seq <= self.forgiven.max(self.dropped) || self.damaged.contains(&seq)
    }

    fn readable(&self) -> BTreeSet<u64> {
        let Ok(mut reader) = SpoolReader::open(&self.dir) else { return BTreeSet::new() };
        let mut found = BTreeSet::new();
        loop {
            match reader.next() {
                Ok(Some(record)) => found.extend(record.seqs().into_iter().flat_map(|(first, last)| first..=last)),
                Ok(None) => return found,
                Err(err) => assert!(err.is_corrupt(), "{err}"),
            }
        }
    }
}

struct Story {
    chance: Chance,
    root: TempDir,
    service: Option<Service>,
    uploader: Option<Child>,
    actors: Vec<Actor>,
    backups: Vec<Store>,
}

impl Story {
    fn new(seed: u64) -> Story {
        let root = tempfile::tempdir().unwrap();
        let (service, backups) = (Some(Service::start()), vec![Store::default()]);
        Story { chance: Chance::new(seed), root, service, uploader: None, actors: Vec::new(), backups }
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    async fn act(&mut self) {
        let live: Vec<usize> = (0..self.actors.len()).filter(|at| self.actors[*at].trainer.is_some()).collect();
        if live.is_empty() || (live.len() < MOST_TRAINERS && self.chance.below(15) == 0) {
            return self.begin();
        }
        let at = live[self.chance.upto(live.len())];
        let (some, width) = (1 + self.chance.upto(100), 1 + self.chance.upto(8));
        let Actor { trainer: Some(trainer), updates, .. } = &mut self.actors[at] else { return };
        match self.chance.below(27) {
            0..=3 => trainer.rows(some, width),
            4 => trainer.sparse(width),
            5 => trainer.array(4 * some),
            6 | 7 => {
                *updates += 1;
                trainer.update(*updates);
            }
            8 => {
                let next = trainer.writer.last_seq() + 1;
                self.service().shared.behaviour().reject.push(next);
            }
            9 => self.die(at).await,
            10..=14 => {
                let fault = self.chance.fault();
                self.service().shared.behaviour().streams.push_back(fault);
            }
            15 => {
                let (status, after) = (self.chance.passing(), self.chance.below(2) == 0);
                self.service().shared.behaviour().calls.push_back((status, after));
            }
            16 => self.service().shared.behaviour().calls.push_back((tonic::Status::not_found("who?"), false)),
            17 => {
                let hung_up = self.chance.below(2) == 0;
                self.service().shared.behaviour().reject_ends = hung_up;
            }
            18 => self.end_uploader().await,
            19 => self.restart_service(None),
            20 => {
                let backup = self.service().shared.store().clone();
                self.backups.push(backup);
            }
            21 => {
                self.kill_uploader();
                let backup = self.backups[self.chance.upto(self.backups.len())].clone();
                self.restart_service(Some(backup));
            }
            22 => {
                let id = self.actors[at].id;
                *self.service().shared.behaviour().epochs.entry(id).or_default() += 1;
            }
            23 => {
                let (_stopper, stop) = Stop::new();
                let limit = Duration::from_millis(self.chance.below(20));
                drain(self.root.path(), patient(), Some(limit), stop).await.unwrap();
            }
            _ => tokio::time::sleep(Duration::from_millis(self.chance.below(25))).await,
        }
        self.start_uploader();
    }

    /// As each trainer does now and then.
    fn start_uploader(&mut self) {
        if self.uploader.as_mut().is_none_or(|uploader| uploader.try_wait().unwrap().is_some()) {
            self.uploader = Some(start_process(self.root.path(), None));
        }
    }

    fn begin(&mut self) {
        let run_id = format!("r{}", self.actors.len());
        let limit_bytes = [0, 64 << 10][self.chance.upto(2)];
        let policy = LimitPolicy::DropOldest;
        let options = WriterOptions { segment_bytes: 8 << 10, limit_bytes, policy, ..WriterOptions::default() };
        let meta = SpoolMeta { child: self.chance.below(3) == 0, ..meta(&self.service().server(), &run_id) };
        let trainer = Trainer::with_options(self.root.path(), meta, options);
        let (id, dir) = (trainer.id, trainer.dir.clone());
        self.actors.push(Actor {
            trainer: Some(trainer),
            id,
            dir,
            run_id,
            logged: Points::new(),
            updates: 0,
            finished: false,
            hurt: false,
            damaged: BTreeSet::new(),
            dropped: 0,
            forgiven: 0,
            settled: 0,
            forgotten: 0,
        });
    }

    async fn die(&mut self, at: usize) {
        let damages = self.chance.below(4) == 0;
        if damages {
            self.kill_uploader();
        }
        let how = self.chance.below(4);
        let Some(mut trainer) = self.actors[at].trainer.take() else { return };
        match how {
            0 => trainer.seal(),
            1 | 2 => trainer.finish(0),
            _ => tear(&trainer.dir),
        }
        let actor = &mut self.actors[at];
        (actor.finished, actor.hurt) = (matches!(how, 1 | 2), damages);
        actor.logged = trainer.logged.clone();
        drop(trainer);
        if damages {
            let before = actor.readable();
            let segments = segments(&actor.dir);
            let victim = &segments[self.chance.upto(segments.len())];
            let mut bytes = std::fs::read(victim).unwrap();
            let from = self.chance.upto(bytes.len() - 64);
            bytes[from..from + 64].fill(0xa5);
            std::fs::write(victim, bytes).unwrap();
            let after = actor.readable();
            actor.damaged.extend(before.difference(&after));
        }
    }

    fn kill_uploader(&mut self) {
        if let Some(mut uploader) = self.uploader.take() {
            uploader.kill().unwrap();
            uploader.wait().unwrap();
        }
    }

    /// Its side files are hints: they may be lost.
    async fn end_uploader(&mut self) {
        if let Some(uploader) = self.uploader.as_mut().filter(|_| self.chance.below(3) == 0) {
            let pid = rustix::process::Pid::from_child(uploader);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            until("the uploader stops", || uploader.try_wait().unwrap().is_some()).await;
        }
        self.kill_uploader();
        for actor in &self.actors {
            match self.chance.below(6) {
                0 => drop(std::fs::remove_file(actor.dir.join("state"))),
                1 if actor.dir.exists() => std::fs::write(actor.dir.join("state"), [0xa5; 100]).unwrap(),
                _ => {}
            }
        }
    }

    fn restart_service(&mut self, backup: Option<Store>) {
        let (shared, address) = self.service.take().unwrap().kill();
        self.look(&shared.store());
        if let Some(backup) = backup {
            for actor in &mut self.actors {
                actor.forgiven = actor.forgiven.max(actor.settled);
                // Who finds the mark that it knows cannot tell that the service went back.
                let notices = status(&actor.dir).is_some_and(|spool| spool.acked_seq > backup.settled(actor.id));
                let spool = SpoolReader::open(&actor.dir).and_then(|mut spool| spool.first_available());
                let left = spool.ok().filter(|_| notices).map_or(u64::MAX, |(_, control)| control);
                actor.forgotten = actor.forgotten.max(left - 1);
            }
            shared.store().restore(backup);
        }
        self.service = Some(Service::restart(shared, Some(address)));
    }

    /// What must hold at any time.
    fn look(&mut self, store: &Store) {
        for actor in &mut self.actors {
            let spool = SpoolReader::open(&actor.dir).ok();
            assert!(spool.is_some() || actor.trainer.is_none(), "the spool of a living trainer is gone");
            let last = match &actor.trainer {
                Some(trainer) => trainer.writer.last_seq(),
                None => actor.logged.keys().next_back().map_or(0, |(seq, _)| *seq),
            };
            let dropped = spool.as_ref().map_or(0, SpoolReader::dropped_up_to);
            let first = spool.filter(|_| !segments(&actor.dir).is_empty());
            let first = first.and_then(|mut spool| spool.first_available().ok()).map_or(last + 1, |(first, _)| first);
            (actor.settled, actor.dropped) = (actor.settled.max(store.settled(actor.id)), actor.dropped.max(dropped));
            let early = (actor.settled + 1..first).find(|seq| !actor.is_excused(*seq));
            assert_eq!(early, None, "it was deleted before it was settled, of {last}");
            for (begin, end) in store.gaps(actor.id) {
                assert!(
                    actor.hurt || end < first,
                    "given up, and still in the spool from {first} on; gap {begin} to {end}"
                );
                let lost = (begin..=end).find(|seq| !actor.is_excused(*seq));
                assert_eq!(lost, None, "lost for no reason; gap {begin} to {end}");
            }
        }
    }

    async fn good_weather(&mut self) {
        {
            let mut behaviour = self.service().shared.behaviour();
            (behaviour.streams, behaviour.calls, behaviour.reject) = Default::default();
        }
        for at in 0..self.actors.len() {
            self.die(at).await;
        }
        // What was refused waits for a new uploader.
        for _ in 0..2 {
            self.start_uploader();
            let mut uploader = self.uploader.take().unwrap();
            let ends = until("the uploader ends", || uploader.try_wait().unwrap().is_some());
            let ended = tokio::time::timeout(Duration::from_secs(10), ends).await;
            let _ = uploader.kill();
            assert!(ended.is_ok(), "it has not ended: {:#?}", self.spools());
        }
        assert!(self.spools().is_empty(), "it has ended without {:#?}", self.spools());
    }

    fn spools(&self) -> Vec<Status> {
        self.actors.iter().filter_map(|actor| status(&actor.dir)).collect()
    }

    fn judge(&mut self) {
        let shared = self.service().shared.clone();
        let store = shared.store();
        self.look(&store);
        for actor in &self.actors {
            let settled: BTreeSet<u64> = store
                .gaps(actor.id)
                .into_iter()
                .chain(store.rejected(actor.id))
                .flat_map(|(first, last)| first..=last)
                .collect();
            // Of damage at the very end, and of what a service forgot that had everything, nobody tells.
            let mark = store.settled(actor.id);
            let told = |seq: u64| settled.contains(&seq) || (seq > mark && actor.is_excused(seq));
            let left = actor.logged.iter().filter(|((seq, _), _)| !told(*seq));
            store.expect(actor.id, &left.map(|(key, value)| (*key, *value)).collect());
            if actor.dropped > 0 || actor.hurt {
                continue;
            }
            let of_run = |event: &&Event| match event {
                Event::Updated { run_id, .. } | Event::Finished { run_id, .. } => *run_id == actor.run_id,
                _ => false,
            };
            let told: Vec<_> = store.events.iter().filter(of_run).collect();
            for n in (1..=actor.updates).filter(|n| *n as u64 > actor.forgotten) {
                let wanted = format!("{{\"n\":{n}}}");
                let is_it =
                    |event: &&Event| matches!(event, Event::Updated { summary_json, .. } if *summary_json == wanted);
                assert!(told.iter().any(is_it), "update {n} of {} is missing", actor.run_id);
            }
            if actor.updates as u64 >= actor.forgotten {
                assert_eq!(actor.finished, matches!(told.last(), Some(Event::Finished { .. })), "{told:?}");
            }
        }
    }
}

/// As a SIGKILL in the middle of an append leaves it: bytes behind a length that is still zero.
fn tear(spool: &Path) {
    let Some(last) = segments(spool).pop() else { return };
    let bytes = std::fs::read(&last).unwrap();
    let length = |at: usize| bytes.get(at..at + 4).map(|word| u32::from_le_bytes(word.try_into().unwrap()) as usize);
    let mut at = 64;
    while let Some(length) = length(at).filter(|length| *length > 0) {
        at += 8 + length.next_multiple_of(8);
    }
    let rest = bytes.len().saturating_sub(at + 4).min(100);
    let file = std::fs::File::options().write(true).open(&last).unwrap();
    file.write_all_at(&vec![0x5a; rest], at as u64 + 4).unwrap();
}

/// Scenario: as above, with segments of 8 KiB and batches of 40 points; then good weather. Guarantees: at any time, no segment is gone
/// before what it held was settled, and nothing is given up that the spool still has. In the end all spools are gone, and every point is
/// stored once, as it was logged, but for what was rejected, dropped by the trainer, damaged, or forgotten by the service after it had
/// settled it; updates came in full, and the end of the run last.
#[test]
fn any_weather() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("STEPLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STEPLINE_CASES").unwrap_or(8),
    };
    for seed in seeds {
        println!("replay with STEPLINE_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(soon("the story ends", async {
            let mut story = Story::new(seed);
            for _ in 0..ACTS {
                story.act().await;
                let shared = story.service().shared.clone();
                story.look(&shared.store());
            }
            story.good_weather().await;
            story.judge();
        }));
    }
}
