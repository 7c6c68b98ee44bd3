//! Processor time and memory of the trainers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::Values;

/// A trainer of a run on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Trainer {
    pub rank: u32,
    pub pid: u32,
}

/// Processor ticks of processes at the last look.
#[derive(Debug, Default)]
pub(super) struct Processes(HashMap<u32, u64>);

impl Processes {
    /// What each of `trainers` takes, by the `seconds` since the last look; 100 percent is one processor.
    pub fn read(&mut self, proc: &Path, trainers: &[Trainer], seconds: f64) -> HashMap<Trainer, Values> {
        let mut now = HashMap::new();
        let mut found = HashMap::new();
        for trainer in trainers {
            let dir = proc.join(trainer.pid.to_string());
            let Some(ticks) = ticks(&dir) else { continue };
            let mut values = Values::new();
            if let Some(passed) = self.0.get(&trainer.pid).and_then(|then| ticks.checked_sub(*then)) {
                if seconds > 0.0 {
                    let per_second = rustix::param::clock_ticks_per_second() as f64;
                    let percent = 100.0 * passed as f64 / per_second / seconds;
                    values.push((format!("process/{}/cpu_percent", trainer.rank), percent));
                }
            }
            if let Some(pages) = resident(&dir) {
                let bytes = pages as f64 * rustix::param::page_size() as f64;
                values.push((format!("process/{}/memory", trainer.rank), bytes));
            }
            found.insert(*trainer, values);
            now.insert(trainer.pid, ticks);
        }
        self.0 = now;
        found
    }
}

/// utime + stime: fields 14 and 15 of `stat`. The name before them may hold anything, a closing bracket included.
fn ticks(dir: &Path) -> Option<u64> {
    let text = fs::read_to_string(dir.join("stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace().skip(11);
    let user: u64 = words.next()?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(dir: &Path) -> Option<u64> {
    fs::read_to_string(dir.join("statm")).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_between_two_looks() {
        let dir = tempfile::tempdir().unwrap();
        let process = dir.path().join("77");
        fs::create_dir(&process).unwrap();
        fs::write(process.join("statm"), "900 10 5 1 0 200 0\n").unwrap();
        let stat = |user: u64| format!("77 (a ) strange (name) S 1 77 77 0 -1 4194560 1 0 0 0 {user} 50 0 0 20 0\n");
        fs::write(process.join("stat"), stat(100)).unwrap();
        let trainers = [Trainer { rank: 3, pid: 77 }, Trainer { rank: 4, pid: 78 }];
        let mut processes = Processes::default();
        let memory = ("process/3/memory".to_owned(), 10.0 * rustix::param::page_size() as f64);
        assert_eq!(processes.read(dir.path(), &trainers, 1.0), HashMap::from([(trainers[0], vec![memory.clone()])]));
        let second = rustix::param::clock_ticks_per_second();
        fs::write(process.join("stat"), stat(100 + second)).unwrap();
        let busy = ("process/3/cpu_percent".to_owned(), 50.0);
        assert_eq!(processes.read(dir.path(), &trainers, 2.0), HashMap::from([(trainers[0], vec![busy, memory])]));
    }
}
