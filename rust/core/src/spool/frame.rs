//! Records as bytes: the layout that the module page of `spool` describes.

use bytemuck::try_cast_slice;

use crate::record::Record;

/// The length word and the checksum before each body.
pub(super) const PREFIX_BYTES: usize = 8;
/// The longest body that is written. Larger rows are refused, larger arrays are cut.
pub(super) const MAX_BODY_BYTES: usize = 1 << 30;

const NAME: u8 = 1;
const KEY_SET: u8 = 2;
const ROW: u8 = 3;
const SPARSE: u8 = 4;
const ARRAY: u8 = 5;
const CONTROL: u8 = 6;

const ID_HEAD: usize = 8;
const LONGEST_HEAD: usize = 32;

/// The bytes that a record of this body takes, prefix and padding included.
pub(super) const fn framed(body: usize) -> usize {
    PREFIX_BYTES + body.next_multiple_of(8)
}

/// A record in pieces, in the order in which they lie in the body.
pub(super) struct Frame<'a> {
    head: [u8; LONGEST_HEAD],
    head_bytes: usize,
    columns: [&'a [u8]; 2],
}

impl<'a> Frame<'a> {
    pub fn new(record: &Record<'a>) -> Frame<'a> {
        match *record {
            Record::Name { id, name } => Frame::of(NAME, id, &[], [name.as_bytes(), &[]]),
            Record::KeySet { id, names } => Frame::of(KEY_SET, id, &[], [bytemuck::cast_slice(names), &[]]),
            Record::Row { seq, time_ms, step, keyset, values } => {
                let words = [seq, step as u64, time_ms as u64];
                Frame::of(ROW, keyset, &words, [bytemuck::cast_slice(values), &[]])
            }
            Record::Sparse { seq, time_ms, step, names, values } => {
                let words = [seq, step as u64, time_ms as u64];
                let columns = [bytemuck::cast_slice(values), bytemuck::cast_slice(names)];
                Frame::of(SPARSE, names.len() as u32, &words, columns)
            }
            Record::Array { seq, time_ms, name, steps, values } => {
                let columns = [bytemuck::cast_slice(steps), bytemuck::cast_slice(values)];
                Frame::of(ARRAY, name, &[seq, time_ms as u64], columns)
            }
            Record::Control { ordinal, json } => Frame::of(CONTROL, 0, &[ordinal], [json.as_bytes(), &[]]),
        }
    }

    fn of(kind: u8, number: u32, words: &[u64], columns: [&'a [u8]; 2]) -> Frame<'a> {
        let mut head = [0u8; LONGEST_HEAD];
        head[0] = kind;
        head[4..8].copy_from_slice(&number.to_le_bytes());
        for (slot, word) in head[ID_HEAD..].chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        Frame { head, head_bytes: ID_HEAD + 8 * words.len(), columns }
    }

    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.head[..self.head_bytes], self.columns[0], self.columns[1]]
    }

    /// Bytes of the body, without prefix and padding.
    pub fn body_bytes(&self) -> usize {
        self.head_bytes + self.columns[0].len() + self.columns[1].len()
    }
}

/// Reads a body whose checksum fits. The columns are borrowed; `body` must lie at a multiple of 8.
pub(super) fn parse(body: &[u8]) -> Result<Record<'_>, &'static str> {
    let (kind, number) = match *body {
        [kind, 0, 0, 0, a, b, c, d, ..] => (kind, u32::from_le_bytes([a, b, c, d])),
        _ => return Err("the record is cut off"),
    };
    match kind {
        NAME => {
            let name = std::str::from_utf8(&body[ID_HEAD..]).map_err(|_| "a name is not UTF-8")?;
            Ok(Record::Name { id: number, name })
        }
        KEY_SET => Ok(Record::KeySet { id: number, names: column(&body[ID_HEAD..])? }),
        ROW => {
            let ([seq, step, time_ms], rest) = words(body)?;
            let (step, time_ms) = (step as i64, time_ms as i64);
            Ok(Record::Row { seq, time_ms, step, keyset: number, values: column(rest)? })
        }
        SPARSE => {
            let ([seq, step, time_ms], rest) = words(body)?;
            let (step, time_ms) = (step as i64, time_ms as i64);
            let count = number as usize;
            let cut =
                count.checked_mul(8).filter(|cut| *cut <= rest.len()).ok_or("a row has more values than bytes")?;
            let (values, names) = rest.split_at(cut);
            let names: &[u32] = column(names)?;
            if names.len() != count {
                return Err("a row has more names than values");
            }
            Ok(Record::Sparse { seq, time_ms, step, names, values: column(values)? })
        }
        ARRAY => {
            let ([seq, time_ms], rest) = words(body)?;
            if rest.len() % 16 != 0 {
                return Err("an array has more steps than values");
            }
            let (steps, values) = rest.split_at(rest.len() / 2);
            let time_ms = time_ms as i64;
            Ok(Record::Array { seq, time_ms, name: number, steps: column(steps)?, values: column(values)? })
        }
        CONTROL => {
            let ([ordinal], rest) = words(body)?;
            let json = std::str::from_utf8(rest).map_err(|_| "a control record is not UTF-8")?;
            Ok(Record::Control { ordinal, json })
        }
        _ => Err("a record of an unknown kind"),
    }
}

fn words<const N: usize>(body: &[u8]) -> Result<([u64; N], &[u8]), &'static str> {
    let (head, rest) = body.split_at_checked(ID_HEAD + 8 * N).ok_or("the record is cut off")?;
    let mut out = [0u64; N];
    for (word, bytes) in out.iter_mut().zip(head[ID_HEAD..].chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |acc, byte| acc << 8 | u64::from(*byte));
    }
    Ok((out, rest))
}

fn column<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Result<&[T], &'static str> {
    try_cast_slice(bytes).map_err(|_| "a column is cut off")
}

/// The bytes of the body of a definition, before it is written.
pub(super) const fn name_body(name_bytes: usize) -> usize {
    ID_HEAD + name_bytes
}

pub(super) const fn keyset_body(count: usize) -> usize {
    ID_HEAD + 4 * count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body at an 8-aligned place, as the reader has it.
    fn body(record: &Record<'_>) -> (Vec<u64>, usize) {
        let frame = Frame::new(record);
        let bytes = frame.parts().concat();
        assert_eq!(bytes.len(), frame.body_bytes());
        let mut aligned = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut aligned)[..bytes.len()].copy_from_slice(&bytes);
        (aligned, bytes.len())
    }

    #[test]
    fn each_kind_reads_back() {
        let records = [
            Record::Name { id: 7, name: "größe" },
            Record::KeySet { id: 1, names: &[1, 2, 3] },
            Record::Row { seq: 1, time_ms: -2, step: i64::MIN, keyset: 5, values: &[1.5, -0.0] },
            Record::Sparse { seq: u64::MAX, time_ms: 3, step: 4, names: &[9], values: &[2.5] },
            Record::Array { seq: 3, time_ms: 1, name: 2, steps: &[1, 2], values: &[0.5, 1.5] },
            Record::Control { ordinal: 1, json: "{}" },
        ];
        for record in records {
            let (aligned, bytes) = body(&record);
            assert_eq!(parse(&bytemuck::cast_slice(&aligned)[..bytes]), Ok(record));
        }
    }

    #[test]
    fn the_size_of_a_definition_is_foretold() {
        assert_eq!(body(&Record::Name { id: 7, name: "größe" }).1, name_body(7));
        assert_eq!(body(&Record::KeySet { id: 1, names: &[1, 2, 3] }).1, keyset_body(3));
    }

    #[test]
    fn a_body_of_a_wrong_size_is_an_error() {
        let (aligned, bytes) =
            body(&Record::Sparse { seq: 1, time_ms: 0, step: 0, names: &[1, 2], values: &[1.0, 2.0] });
        for cut in 0..bytes {
            assert!(parse(&bytemuck::cast_slice(&aligned)[..cut]).is_err(), "cut at {cut}");
        }
        assert!(parse(&[9, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
