//! Brings what was logged from the page cache to the disk, twice a second, whatever becomes of the network.
//!
//! With a reader of its own and on a thread of tokio's blocking pool, because a slow disk must not hold up the streams.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stepline_core::spool::{SpoolError, SpoolReader};
use tokio::task::JoinHandle;

/// Ends the work when it is dropped.
pub(crate) struct Syncer(JoinHandle<()>);

impl Syncer {
    /// Begins; it ends by itself after the last record of a writer that is gone.
    pub fn spawn(dir: &Path, every: Duration) -> Syncer {
        Syncer(tokio::spawn(keep_synced(dir.to_owned(), every)))
    }

    /// Returns when the writer is gone and all of its records are on the disk.
    pub async fn finished(mut self) {
        // An error says that the task was ended, which is an end as well.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The same for a spool that is not sent, until its writer is gone.
pub(crate) async fn keep_synced(dir: PathBuf, every: Duration) {
    let Ok(mut reader) = SpoolReader::open(&dir) else {
        return;
    };
    let mut failed = false;
    loop {
        tokio::time::sleep(every).await;
        // In this order: what a writer wrote before it was gone is synced.
        let gone = reader.is_sealed() || !reader.writer_alive();
        let Ok((back, synced)) = tokio::task::spawn_blocking(move || sync(reader)).await else {
            return;
        };
        reader = back;
        match synced {
            Ok(()) if gone => return,
            Ok(()) => failed = false,
            Err(err) if err.is_not_found() => return,
            Err(err) => {
                if !failed {
                    log::warn!("{err}; until this works a power failure can take what was logged");
                }
                failed = true;
            }
        }
    }
}

fn sync(mut reader: SpoolReader) -> (SpoolReader, Result<(), SpoolError>) {
    let synced = reader.sync();
    (reader, synced)
}
