//! One reading of the whole machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::kernel::{self, Processors};
use super::nvidia::Nvidia;
use super::process::{Processes, Trainer};
use super::traffic::{self, Traffic};
use super::{amd, Values};

/// What was found, for the runs to take from.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Of the machine.
    pub values: Values,
    /// Of each processor.
    pub cores: Values,
    /// Of the trainers.
    pub processes: HashMap<Trainer, Values>,
}

/// Remembers the counters of the last look, since most of what is worth knowing is a difference.
#[derive(Debug)]
pub(super) struct Machine {
    root: PathBuf,
    processors: Processors,
    traffic: Traffic,
    processes: Processes,
    /// None before the first look: who has no run to measure for asks no driver.
    nvidia: Option<Nvidia>,
    looked: Option<Instant>,
}

impl Machine {
    /// `root` is where /proc and /sys lie.
    pub fn new(root: &Path) -> Machine {
        Machine {
            root: root.to_owned(),
            processors: Processors::default(),
            traffic: Traffic::default(),
            processes: Processes::default(),
            nvidia: None,
            looked: None,
        }
    }

    /// `dir` is on the file system whose room matters.
    pub fn read(&mut self, dir: &Path, trainers: &[Trainer]) -> Reading {
        let (proc, sys) = (self.root.join("proc"), self.root.join("sys"));
        let now = Instant::now();
        let seconds = self.looked.map_or(0.0, |then| (now - then).as_secs_f64());
        self.looked = Some(now);
        let mut values = Values::new();
        let mut processors = Values::new();
        self.processors.read(&proc, true, &mut processors);
        let (all, cores) = processors.into_iter().partition(|(name, _)| name == "cpu/percent");
        values.extend::<Values>(all);
        kernel::load(&proc, &mut values);
        kernel::memory(&proc, &mut values);
        self.traffic.read(&proc, &sys, seconds, &mut values);
        traffic::room(dir, &mut values);
        let first = self.nvidia.get_or_insert_with(Nvidia::find).read(&mut values);
        amd::read(&sys, first, &mut values);
        let processes = self.processes.read(&proc, trainers, seconds);
        Reading { values, cores, processes }
    }
}
