//! Waiting for a spool that is at its limit.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::state::{Appended, Shared};
use super::warning::Warnings;

/// Between two attempts. Signals are looked for as often.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a call waits. After one that waited so long in vain, calls are refused at once until there is room again: a service that
/// is away for a day must not hold up each step of the training.
pub struct Patience {
    longest: Duration,
}

impl Patience {
    pub fn new(longest: Duration) -> Patience {
        Patience { longest }
    }

    /// Calls `append` until it is not told to wait. Other threads run meanwhile.
    pub fn until_taken(
        &self,
        py: Python<'_>,
        shared: &Shared,
        warnings: &Warnings,
        mut append: impl FnMut() -> Appended,
    ) -> PyResult<Appended> {
        let mut began = None;
        loop {
            let done = append();
            let Some((error, _)) = done.error.as_ref().filter(|(e, _)| e.is_busy()) else { return Ok(done) };
            let began = *began.get_or_insert_with(Instant::now);
            warnings.notice(py, &format!("log() waits up to {:?}: {error} (shown once)", self.longest))?;
            if began.elapsed() >= self.longest {
                shared.with(|state| state.stop_waiting());
                continue;
            }
            py.detach(|| std::thread::sleep(PAUSE.min(self.longest)));
            py.check_signals()?;
        }
    }
}
