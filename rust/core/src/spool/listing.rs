//! Remembers that a directory had nothing new when it was listed, so that whoever waits for its next file need not list it each time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A change in the same tick as the one before it does not show, so a directory is trusted only this long after its last one.
const SETTLED: Duration = Duration::from_secs(1);
/// And no longer than this, for file systems that do not say when a directory changed.
const TRUSTED: Duration = Duration::from_millis(500);

/// A directory that was listed and had nothing new.
#[derive(Debug)]
pub(super) struct Listing {
    at: Instant,
    changed: SystemTime,
}

impl Listing {
    /// To be taken before the directory is listed; None when it would say nothing.
    pub fn begin(dir: &Path) -> Option<Listing> {
        let changed = changed(dir)?;
        let age = SystemTime::now().duration_since(changed).ok()?;
        (age > SETTLED).then(|| Listing { at: Instant::now(), changed })
    }

    /// A list would be the same.
    pub fn holds(&self, dir: &Path) -> bool {
        self.at.elapsed() < TRUSTED && changed(dir) == Some(self.changed)
    }
}

fn changed(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn age(dir: &Path, age: Duration) {
        File::open(dir).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_directory_that_changed_just_now_is_listed_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Listing::begin(dir.path()).is_none());
        assert!(Listing::begin(&dir.path().join("none")).is_none());
    }

    #[test]
    fn a_new_file_ends_what_a_list_said() {
        let dir = tempfile::tempdir().unwrap();
        age(dir.path(), 2 * SETTLED);
        let listing = Listing::begin(dir.path()).unwrap();
        assert!(listing.holds(dir.path()));
        File::create(dir.path().join("00000002.seg")).unwrap();
        assert!(!listing.holds(dir.path()));
    }

    #[test]
    fn it_is_not_trusted_for_long() {
        let dir = tempfile::tempdir().unwrap();
        age(dir.path(), 2 * SETTLED);
        let listing = Listing::begin(dir.path()).unwrap();
        let old = Listing { at: listing.at.checked_sub(TRUSTED).unwrap(), ..listing };
        assert!(!old.holds(dir.path()));
    }
}
