//! Random histories against a plain list of points.

use proptest::prelude::*;
use stepline_core::spool::{scan, SpoolReader, SpoolWriter};

use crate::support::{meta, options, read_all, segments, Collector, Contents, Point};

#[derive(Clone, Debug)]
enum Op {
    /// A call with these names (bits of the mask) and values.
    Row {
        mask: u16,
        step: i64,
        values: Vec<u64>,
        sparse: bool,
    },
    Array {
        name: u8,
        steps: Vec<i64>,
        seed: u64,
    },
    Control {
        bytes: usize,
    },
    /// The reader that follows reads what there is.
    Follow,
    /// The service acknowledges a share of what there is.
    Release {
        share: u8,
    },
    /// Another reader begins behind a share of what there is.
    Seek {
        share: u8,
    },
    Sync,
}

fn op() -> impl Strategy<Value = Op> {
    let bits =
        prop_oneof![any::<u64>(), Just(f64::NAN.to_bits()), Just((-0.0f64).to_bits()), Just(0x7ff0_0000_0000_0001)];
    prop_oneof![
        6 => (1u16.., any::<i64>(), prop::collection::vec(bits, 16), any::<bool>())
            .prop_map(|(mask, step, values, sparse)| Op::Row { mask, step, values, sparse }),
        2 => (0u8..20, prop::collection::vec(any::<i64>(), 1..3000), any::<u64>())
            .prop_map(|(name, steps, seed)| Op::Array { name, steps, seed }),
        1 => (0usize..3000).prop_map(|bytes| Op::Control { bytes }),
        1 => Just(Op::Follow),
        1 => any::<u8>().prop_map(|share| Op::Release { share }),
        1 => any::<u8>().prop_map(|share| Op::Seek { share }),
        1 => Just(Op::Sync),
    ]
}

fn name(i: usize) -> String {
    format!("metric/{i}/{}", "n".repeat(i * 20))
}

fn part(of: u64, share: u8) -> u64 {
    (u128::from(of) * u128::from(share) / 255) as u64
}

/// Appends the operation to the spool and to the model.
fn append(writer: &mut SpoolWriter, model: &mut Contents, time_ms: i64, op: &Op) {
    match op {
        Op::Row { mask, step, values, sparse } => {
            let picked: Vec<usize> = (0..16).filter(|i| mask >> i & 1 == 1).collect();
            let ids: Vec<u32> = picked.iter().map(|i| writer.name_id(&name(*i)).unwrap()).collect();
            let row: Vec<f64> = picked.iter().map(|i| f64::from_bits(values[*i])).collect();
            let seq = if *sparse {
                writer.append_sparse(&ids, *step, time_ms, &row).unwrap()
            } else {
                let keyset = writer.keyset_id(&ids).unwrap();
                writer.append_row(keyset, *step, time_ms, &row).unwrap()
            };
            model.points.extend(picked.iter().map(|i| Point {
                seq,
                name: name(*i),
                step: *step,
                time_ms,
                bits: values[*i],
            }));
        }
        Op::Array { name: n, steps, seed } => {
            let values: Vec<f64> = (0..steps.len() as u64).map(|i| f64::from_bits(seed.wrapping_mul(i))).collect();
            let id = writer.name_id(&name(usize::from(*n))).unwrap();
            let first = writer.append_array(id, time_ms, steps, &values).unwrap();
            model.points.extend(steps.iter().zip(&values).enumerate().map(|(i, (step, value))| Point {
                seq: first + i as u64,
                name: name(usize::from(*n)),
                step: *step,
                time_ms,
                bits: value.to_bits(),
            }));
        }
        Op::Control { bytes } => {
            let json = format!("{{\"update\":\"{}\"}}", "x".repeat(*bytes));
            let ordinal = writer.append_control(time_ms, &json).unwrap();
            model.controls.push((ordinal, json));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_spool_gives_what_was_put_in(
        ops in prop::collection::vec(op(), 1..60),
        segment_bytes in prop_oneof![Just(0usize), 4096usize..20_000, Just(1 << 20)],
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::create(root.path(), meta(), options(segment_bytes)).unwrap();
        let dir = writer.dir().to_owned();
        prop_assert_eq!(scan(root.path()).unwrap(), vec![dir.clone()]);
        let mut model = Contents::default();
        let (mut released_seq, mut released_control) = (0, 0);
        let mut follower = SpoolReader::open(&dir).unwrap();
        let mut followed = Collector::default();
        for (i, op) in ops.iter().enumerate() {
            append(&mut writer, &mut model, i as i64, op);
            let (last_seq, last_control) = (writer.last_seq(), writer.last_control());
            match op {
                Op::Follow => {
                    followed.drain(&mut follower);
                    prop_assert_eq!(&followed.contents, &model);
                }
                Op::Release { share } => {
                    followed.drain(&mut follower);
                    released_seq = released_seq.max(part(last_seq, *share));
                    released_control = released_control.max(part(last_control, *share));
                    let before = segments(&dir).len();
                    let deleted = follower.release(released_seq, released_control).unwrap();
                    prop_assert_eq!(segments(&dir).len() + deleted as usize, before);
                    let (first_seq, first_control) = follower.first_available().unwrap();
                    prop_assert!(first_seq <= released_seq + 1 && first_control <= released_control + 1);
                }
                Op::Seek { share } => {
                    let (seq, control) = (part(last_seq, *share).max(released_seq), part(last_control, *share).max(released_control));
                    let mut reader = SpoolReader::open(&dir).unwrap();
                    reader.seek(seq, control).unwrap();
                    let mut found = Collector::default();
                    found.drain(&mut reader);
                    prop_assert!(found.errors.is_empty());
                    prop_assert_eq!(found.contents.after(seq, control), model.after(seq, control));
                    // At most the array that `seq` lies in comes from before it.
                    let early: Vec<_> = found.contents.points.iter().filter(|p| p.seq <= seq).collect();
                    prop_assert!(early.windows(2).all(|w| w[0].name == w[1].name && w[0].time_ms == w[1].time_ms));
                    prop_assert_eq!(reader.last().unwrap(), (last_seq, last_control));
                }
                Op::Sync => { writer.sync().unwrap(); follower.sync().unwrap(); }
                _ => {}
            }
            prop_assert!(!follower.is_drained(last_seq, last_control).unwrap(), "the writer lives");
        }
        followed.drain(&mut follower);
        prop_assert_eq!(&followed.contents, &model);
        prop_assert!(followed.errors.is_empty());
        prop_assert!(released_seq > 0 || released_control > 0 || read_all(&dir).contents == model);

        let (last_seq, last_control) = (writer.last_seq(), writer.last_control());
        writer.seal().unwrap();
        drop(writer);
        prop_assert!(follower.is_drained(last_seq, last_control).unwrap());
        prop_assert!(last_seq == 0 || !follower.is_drained(last_seq - 1, last_control).unwrap());
        prop_assert!(last_control == 0 || !follower.is_drained(last_seq, last_control - 1).unwrap());
        follower.remove().unwrap();
        prop_assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn ten_thousand_metrics_and_a_million_points_take_their_place() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(64 << 10)).unwrap();
    let ids: Vec<u32> = (0..10_000).map(|i| writer.name_id(&format!("layer/{i}")).unwrap()).collect();
    let keyset = writer.keyset_id(&ids).unwrap();
    let row: Vec<f64> = (0..10_000).map(f64::from).collect();
    for step in 0..3 {
        writer.append_row(keyset, step, 0, &row).unwrap();
    }
    let steps: Vec<i64> = (0..1_000_000).collect();
    let values: Vec<f64> = steps.iter().map(|s| *s as f64 / 3.0).collect();
    assert_eq!(writer.append_array(ids[7], 0, &steps, &values).unwrap(), 4);
    assert_eq!(writer.last_seq(), 1_000_003);

    let read = read_all(writer.dir());
    assert!(read.errors.is_empty());
    let (rows, array) = read.contents.points.split_at(30_000);
    assert!(rows
        .iter()
        .enumerate()
        .all(|(i, p)| p.bits == ((i % 10_000) as f64).to_bits() && p.step == i as i64 / 10_000));
    assert!(array.iter().zip(&values).all(|(p, v)| p.name == "layer/7" && p.bits == v.to_bits()));
    assert!(array.iter().enumerate().all(|(i, p)| p.seq == 4 + i as u64 && p.step == i as i64));
    assert_eq!(array.len(), 1_000_000);
}

#[test]
fn what_cannot_be_a_record_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::create(root.path(), meta(), options(0)).unwrap();
    let id = writer.name_id("a").unwrap();
    let keyset = writer.keyset_id(&[id]).unwrap();
    assert!(writer.append_row(keyset, 0, 0, &[]).is_err());
    assert!(writer.append_row(keyset, 0, 0, &[1.0, 2.0]).is_err());
    assert!(writer.append_row(99, 0, 0, &[1.0]).is_err());
    assert!(writer.append_sparse(&[99], 0, 0, &[1.0]).is_err());
    assert!(writer.append_array(id, 0, &[1, 2], &[1.0]).is_err());
    assert_eq!(writer.last_seq(), 0);
    writer.seal().unwrap();
    writer.seal().unwrap();
    assert_eq!(writer.append_row(keyset, 0, 0, &[1.0]).unwrap_err().kind().as_str(), "closed");
}
