//! Segments with bytes that no writer wrote. What could be read of them is sent, then the file is set aside, never deleted:
//! `ROOT/<writer>-<segment>.bad`.

use std::path::{Path, PathBuf};

use stepline_core::spool::SpoolError;

#[derive(Debug, Default)]
pub(crate) struct Damage {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    segment: PathBuf,
    /// The last sequence that was read before the damage.
    after_seq: u64,
    set_aside: bool,
}

impl Damage {
    /// Remembers where `error` says that the damage is; false when it was known.
    pub fn remember(&mut self, error: &SpoolError, after_seq: u64) -> bool {
        let Some((segment, _)) = error.place() else {
            return true;
        };
        if self.places.iter().any(|place| place.segment == segment) {
            return false;
        }
        self.places.push(Place { segment: segment.to_owned(), after_seq, set_aside: false });
        true
    }

    pub fn segments(&self) -> usize {
        self.places.len()
    }

    /// Moves the damaged segments whose readable part is stored out of the spool, before that is cleaned up.
    pub fn set_aside(&mut self, settled: u64) {
        for place in self.places.iter_mut().filter(|place| !place.set_aside && place.after_seq <= settled) {
            place.set_aside = true;
            let Some(target) = target(&place.segment) else {
                continue;
            };
            match std::fs::rename(&place.segment, &target) {
                Ok(()) => log::warn!("the damaged segment is kept as {}", target.display()),
                Err(err) => log::warn!("cannot keep the damaged segment {}: {err}", place.segment.display()),
            }
        }
    }
}

/// `ROOT/<writer>/00000001.seg` becomes `ROOT/<writer>-00000001.seg.bad`.
fn target(segment: &Path) -> Option<PathBuf> {
    let spool = segment.parent()?;
    let name = format!("{}-{}.bad", spool.file_name()?.to_str()?, segment.file_name()?.to_str()?);
    Some(spool.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_after_its_spool_when_it_is_set_aside() {
        assert_eq!(target(Path::new("/root/ab12/00000003.seg")), Some(PathBuf::from("/root/ab12-00000003.seg.bad")));
        assert_eq!(target(Path::new("x")), None);
    }
}
