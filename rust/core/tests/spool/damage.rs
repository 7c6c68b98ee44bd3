//! Scenario: segment files are cut or changed. Guarantees: what is read was written, the longest valid prefix of each segment comes,
//! the loss is reported with its place, and nothing panics.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use stepline_core::spool::{SpoolMeta, SpoolReader, SpoolWriter};
use tempfile::TempDir;

use crate::outage::Chance;
use crate::support::{log, meta, options, read_all, record_bounds, segments, Contents};

/// A spool with records of every kind.
fn spool(rows: i64) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(4096)).unwrap();
    for step in 0..rows {
        log(&mut writer, step, &[("loss", step as f64), ("lr", 0.5)]).unwrap();
        if step % 5 == 2 {
            let id = writer.name_id("array").unwrap();
            writer.append_array(id, step, &[1, 2, 3], &[f64::NAN, 0.5, step as f64]).unwrap();
            writer.append_sparse(&[id], step, step, &[1.0]).unwrap();
            writer.append_control(step, &format!("{{\"update\":{step}}}")).unwrap();
        }
    }
    let dir = writer.dir().to_owned();
    (root, dir)
}

/// Reads the spool with one segment file replaced.
fn read_with(dir: &Path, file: &Path, bytes: &[u8]) -> (Contents, Vec<String>) {
    fs::write(file, bytes).unwrap();
    let read = read_all(dir);
    (read.contents, read.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_segment_cut_at_any_byte_gives_the_records_before_the_cut() {
    let (_root, dir) = spool(12);
    let file = segments(&dir).remove(0);
    let whole = fs::read(&file).unwrap();
    let bounds = record_bounds(&whole);
    assert!(bounds.len() > 20);
    for cut in 0..=whole.len() {
        let (found, errors) = read_with(&dir, &file, &whole[..cut]);
        let torn_record = bounds.iter().find(|(_, end)| cut < *end);
        let mut prefix = whole.clone();
        prefix[torn_record.map_or(cut.max(64), |(start, _)| *start)..].fill(0);
        let (expected, none) = read_with(&dir, &file, &prefix);
        assert_eq!(none, Vec::<String>::new());
        assert_eq!(found, expected, "cut at {cut}");
        // Less than a length word and a checksum cannot be told from the end.
        let torn = cut < 64 || torn_record.is_some_and(|(start, _)| cut >= start + 8);
        assert_eq!(errors.len(), usize::from(torn), "cut at {cut}: {errors:?}");
    }
}

#[test]
fn any_flipped_bit_ends_the_prefix_and_never_changes_it() {
    let (_root, dir) = spool(8);
    let file = segments(&dir).remove(0);
    let whole = fs::read(&file).unwrap();
    let (original, _) = read_with(&dir, &file, &whole);
    let (_, end) = *record_bounds(&whole).last().unwrap();
    for bit in 0..(end + 16) * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (found, _) = read_with(&dir, &file, &bad);
        assert!(original.points.starts_with(&found.points), "bit {bit}");
        assert!(original.controls.starts_with(&found.controls), "bit {bit}");
    }
}

/// STEPLINE_BIT_FLIPS says how many bits are flipped, one at a time, anywhere in a spool of several segments.
#[test]
fn a_bit_that_flips_anywhere_never_makes_wrong_data() {
    let (_root, dir) = spool(100);
    let original = read_all(&dir).contents;
    let known: std::collections::HashSet<_> = original.points.iter().collect();
    let files: Vec<_> = segments(&dir).iter().map(|path| (fs::read(path).unwrap(), path.clone())).collect();
    let flips = std::env::var("STEPLINE_BIT_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let mut chance = Chance::new(1);
    for flip in 0..flips {
        let (bytes, path) = &files[chance.below(files.len() as u64) as usize];
        let at = chance.below(bytes.len() as u64);
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&[bytes[at as usize] ^ 1 << chance.below(8)], at).unwrap();
        let found = read_all(&dir).contents;
        file.write_all_at(&bytes[at as usize..=at as usize], at).unwrap();
        assert!(found.points.iter().all(|point| known.contains(point)), "flip {flip}: wrong data");
        assert!(found.points.windows(2).all(|w| w[0].seq <= w[1].seq), "flip {flip}: order");
        assert!(found.controls.iter().all(|control| original.controls.contains(control)), "flip {flip}: controls");
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_the_next_segments_are_read() {
    let (_root, dir) = spool(200);
    let files = segments(&dir);
    assert!(files.len() > 3);
    let (original, _) = read_with(&dir, &files[1], &fs::read(&files[1]).unwrap());
    let whole = fs::read(&files[1]).unwrap();
    let bounds = record_bounds(&whole);
    let (at, _) = bounds[bounds.len() / 2];

    for way in ["flip a value", "zero the length", "spoil the header", "delete the file"] {
        let mut bad = whole.clone();
        match way {
            "flip a value" => bad[at + 20] ^= 1,
            "zero the length" => bad[at..at + 4].fill(0),
            _ => bad[3] ^= 1,
        }
        fs::write(&files[1], &bad).unwrap();
        if way == "delete the file" {
            fs::remove_file(&files[1]).unwrap();
        }
        let read = read_all(&dir);
        let expected = if way == "delete the file" { &files[0] } else { &files[1] };
        let (file, offset) = read.errors[0].place().unwrap();
        assert_eq!((file, read.errors.len()), (expected.as_path(), 1), "{way}: {:?}", read.errors);
        assert!(offset == at as u64 || way == "spoil the header" || way == "delete the file", "{way}: {offset}");
        let found = read.contents;
        assert!(found.points.iter().all(|p| original.points.contains(p)), "{way}");
        assert_eq!(found.points.last(), original.points.last(), "{way}");
        assert!(found.points.len() < original.points.len(), "{way}");
        let mut reader = SpoolReader::open(&dir).unwrap();
        let last = (original.points.last().unwrap().seq, original.controls.last().unwrap().0);
        assert_eq!(reader.last().unwrap(), last, "{way}");
        assert!(reader.is_drained(last.0, last.1).unwrap(), "{way}");
        fs::write(&files[1], &whole).unwrap();
    }
}

#[test]
fn a_lost_tail_of_a_closed_spool_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(4096)).unwrap();
    for step in 0..3 {
        log(&mut writer, step, &[("loss", 0.0)]).unwrap();
    }
    let dir = writer.dir().to_owned();
    writer.seal().unwrap();
    assert!(read_all(&dir).errors.is_empty());
    let file = segments(&dir).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let bounds = record_bounds(&bytes);
    bytes[bounds[bounds.len() - 1].0..].fill(0);
    fs::write(&file, &bytes).unwrap();
    let read = read_all(&dir);
    assert_eq!(read.contents.points.len(), 2);
    assert!(read.errors[0].to_string().contains("before the spool was closed"), "{:?}", read.errors);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_in_random_places_never_become_points(
        patches in prop::collection::vec((0usize..6, 0usize..4096, prop::collection::vec(any::<u8>(), 1..200)), 1..6),
    ) {
        let (_root, dir) = spool(150);
        let original = read_all(&dir).contents;
        let files = segments(&dir);
        for (which, at, patch) in patches {
            let file = &files[which % files.len()];
            let mut bytes = fs::read(file).unwrap();
            let end = (at + patch.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&patch[..end - at]);
            fs::write(file, &bytes).unwrap();
        }
        let read = read_all(&dir);
        let known: std::collections::HashSet<_> = original.points.iter().collect();
        prop_assert!(read.contents.points.iter().all(|p| known.contains(p)));
        prop_assert!(read.contents.controls.iter().all(|c| original.controls.contains(c)));
        prop_assert!(read.contents.points.windows(2).all(|w| w[0].seq <= w[1].seq));
    }

    #[test]
    fn a_segment_of_random_bytes_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..3000), headed in any::<bool>()) {
        let (_root, dir) = spool(1);
        let file = segments(&dir).remove(0);
        let mut contents = if headed { fs::read(&file).unwrap()[..64].to_vec() } else { Vec::new() };
        contents.extend(bytes);
        let (found, _) = read_with(&dir, &file, &contents);
        prop_assert_eq!(found, Contents::default());
    }

    #[test]
    fn a_description_of_random_bytes_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_root, dir) = spool(1);
        fs::write(dir.join("spool.json"), bytes).unwrap();
        prop_assert!(SpoolMeta::load(&dir).is_err());
        prop_assert!(SpoolReader::open(&dir).is_err());
    }
}
