//! Who waits for a service that does not answer gives a spool to whoever asks for it: `stepline sync` knows a better server, or knows
//! that the service is back. To ask is to make the file `wanted` in the spool.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

fn file(spool: &Path) -> PathBuf {
    spool.join("wanted")
}

pub(crate) fn ask(spool: &Path) {
    // Who cannot write there cannot take the lock either, and that is where it is said.
    let _ = fs::File::create(file(spool));
}

/// Who has the lock answers the wish of whoever asked.
pub(crate) fn forget(spool: &Path) {
    let _ = fs::remove_file(file(spool));
}

/// Waits for so long; true when somebody asked meanwhile.
pub(crate) async fn asked_within(spool: &Path, pause: Duration) -> bool {
    let file = file(spool);
    let looks = async {
        while !file.exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(pause, looks).await.is_ok()
}
