//! The series of a block in the order of the table's key.

use super::track::Track;

/// One column of one track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub metric: u64,
    pub track: u32,
    pub column: u32,
}

/// All series, sorted by (run, metric, rank, attempt, first step), given tracks that are sorted by (run, rank, attempt, first step).
/// Within a series rows are in the order of logging. So the rows are sorted by the whole key as long as steps go up.
pub(super) fn sort(tracks: &[Track<'_>]) -> Vec<Series> {
    let mut all = Vec::with_capacity(tracks.iter().map(|track| track.metrics.len()).sum());
    let mut track = 0u32;
    for run in tracks.chunk_by(|a, b| a.key.run == b.key.run) {
        let begin = all.len();
        for t in run {
            let columns = (0..).zip(t.metrics).filter(|(column, _)| t.len_of(*column as usize) > 0);
            all.extend(columns.map(|(column, &metric)| Series { metric, track, column }));
            track += 1;
        }
        all[begin..].sort_unstable_by_key(|series| (series.metric, series.track));
    }
    all
}
