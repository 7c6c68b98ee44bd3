//! Says for all spools of this process that their attempts live: one call now and then for each way to a service, however many spools
//! there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stepline_core::spool::SpoolMeta;
use stepline_wire::{v1, Link};
use tonic::Code;

use crate::pool::Way;
use crate::registration;
use crate::settings::Tuning;

/// After a failure, and where the service does not say when.
const AGAIN: Duration = Duration::from_secs(5);
/// A service that does not know heartbeats may be updated some day.
const UNKNOWN: Duration = Duration::from_secs(600);

type Attempt = (String, u32);

#[derive(Clone, Default)]
pub(crate) struct Heart(Arc<Mutex<HashMap<Way, Group>>>);

/// The attempts of one way to a service, and how many spools each rank has.
struct Group {
    link: Link,
    attempts: HashMap<Attempt, BTreeMap<u32, usize>>,
}

/// One spool; its rank lives until this is dropped, as far as this process knows.
pub(crate) struct Beat {
    heart: Heart,
    way: Way,
    attempt: Attempt,
    rank: u32,
}

impl Heart {
    /// Begins to say that the rank of `meta` lives in `attempt`. Call it within a runtime.
    pub fn beat(&self, way: Way, link: &Link, meta: &SpoolMeta, attempt: u32, tuning: Tuning) -> Beat {
        let attempt = (meta.run_id.clone(), attempt);
        let mut groups = self.groups();
        let known = groups.contains_key(&way);
        let group = groups.entry(way.clone()).or_insert_with(|| Group { link: link.clone(), attempts: HashMap::new() });
        // Certificates may have been renewed.
        group.link = link.clone();
        *group.attempts.entry(attempt.clone()).or_default().entry(meta.rank).or_default() += 1;
        drop(groups);
        if !known {
            tokio::spawn(self.clone().keep_beating(way.clone(), tuning));
        }
        Beat { heart: self.clone(), way, attempt, rank: meta.rank }
    }

    async fn keep_beating(self, way: Way, tuning: Tuning) {
        // The first word comes soon, but not at once: spools that begin together are told together.
        let mut pause = tuning.heartbeat;
        loop {
            tokio::time::sleep(pause).await;
            let Some((link, signs)) = self.signs(&way) else { return };
            pause = match registration::heartbeat(&link, signs, tuning.call).await {
                Ok(reply) if reply.next_ms > 0 => Duration::from_millis(reply.next_ms.into()),
                Ok(_) => AGAIN,
                Err(failure) if failure.code() == Code::Unimplemented => UNKNOWN,
                // The streams tell what is wrong.
                Err(_) => AGAIN,
            };
        }
    }

    /// What there is to say; None when nothing is left, and the group ends.
    fn signs(&self, way: &Way) -> Option<(Link, Vec<v1::SignOfLife>)> {
        let mut groups = self.groups();
        let group = groups.get(way)?;
        if group.attempts.is_empty() {
            groups.remove(way);
            return None;
        }
        let signs = group.attempts.iter().map(|((run_id, attempt), ranks)| v1::SignOfLife {
            run_id: run_id.clone(),
            attempt: *attempt,
            ranks: ranks.keys().copied().collect(),
        });
        Some((group.link.clone(), signs.collect()))
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Way, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut groups = self.heart.groups();
        let Some(group) = groups.get_mut(&self.way) else { return };
        let Some(ranks) = group.attempts.get_mut(&self.attempt) else { return };
        if let Some(spools) = ranks.get_mut(&self.rank) {
            *spools -= 1;
            if *spools == 0 {
                ranks.remove(&self.rank);
            }
        }
        if ranks.is_empty() {
            group.attempts.remove(&self.attempt);
        }
    }
}
