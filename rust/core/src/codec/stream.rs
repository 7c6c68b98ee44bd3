//! A stream of bytes whose length both sides know: as it is, one byte repeated, or one zstd frame, whichever is smallest.
//!
//! ```text
//! length 0:  nothing at all
//! raw:       0x00, the bytes
//! fill:      0x01, the byte
//! zstd:      0x02, varint length of the frame, the frame
//! ```
//!
//! This is the only place that calls zstd. Its contexts are large (about 0.1 MB to read, 1 MB to write) and empty between calls, so
//! they belong to threads, not to streams.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::varint::{put_u64, Reader};
use super::CodecError;

const RAW: u8 = 0;
const FILL: u8 = 1;
const ZSTD: u8 = 2;

const LEVEL: i32 = 1;
/// Below these the headers of a frame and of its Huffman table cost more than they save, and a call costs microseconds.
const SMALLEST_FRAME: usize = 256;
const SMALLEST_TEXT: usize = 48;
/// How much likelier than in noise two bytes must be equal for the entropy coder to be worth its time: 7.75 bits a byte.
const SKEWED: f64 = 1.19;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// Appends `bytes` to `out` as a stream.
pub fn put(bytes: &[u8], out: &mut Vec<u8>) {
    let Some(&first) = bytes.first() else { return };
    if bytes.iter().all(|&b| b == first) {
        out.extend_from_slice(&[FILL, first]);
        return;
    }
    if bytes.len() >= SMALLEST_FRAME && is_skewed(bytes) && put_frame(bytes, out) {
        return;
    }
    out.push(RAW);
    out.extend_from_slice(bytes);
}

/// Like [`put`], without asking first whether it pays: for text and small integers, where order-0 statistics say little.
pub fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() >= SMALLEST_TEXT && put_frame(bytes, out) {
        return;
    }
    if !bytes.is_empty() {
        out.push(RAW);
        out.extend_from_slice(bytes);
    }
}

/// Appends a zstd stream if it is smaller than the bytes; otherwise leaves `out` as it was.
fn put_frame(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let frame = COMPRESSOR.with_borrow_mut(|context| {
        // Destination as large as the source: zstd stops there, and then raw is the better choice.
        let mut frame = Vec::with_capacity(bytes.len());
        let done = context.as_mut()?.compress_to_buffer(bytes, &mut frame).is_ok();
        done.then_some(frame)
    });
    let Some(frame) = frame else { return false };
    out.push(ZSTD);
    put_u64(out, frame.len() as u64);
    if out.len() - start + frame.len() > bytes.len() {
        out.truncate(start);
        return false;
    }
    out.extend_from_slice(&frame);
    true
}

/// Reads a stream of `len` bytes into `out`, which is cleared first. `len` has been checked by the caller; what the stream itself
/// declares must equal it, before anything is reserved or decompressed.
pub fn get(reader: &mut Reader<'_>, len: usize, what: &'static str, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.clear();
    if len == 0 {
        return Ok(());
    }
    match reader.u8(what)? {
        RAW => out.extend_from_slice(reader.take(len, what)?),
        FILL => {
            let byte = reader.u8(what)?;
            out.resize(len, byte);
        }
        ZSTD => {
            let frame_len = usize::try_from(reader.u64(what)?).map_err(|_| CodecError::Truncated(what))?;
            get_frame(reader.take(frame_len, what)?, len, out)?;
        }
        _ => return Err(CodecError::Malformed("a stream has an unknown tag")),
    }
    Ok(())
}

fn get_frame(frame: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    const SIZE: CodecError = CodecError::Malformed("a zstd frame is not of the size it should be");
    match zstd::zstd_safe::get_frame_content_size(frame) {
        Ok(Some(size)) if size == len as u64 => {}
        _ => return Err(SIZE),
    }
    // Exactly one frame: a second one would be decompressed behind the first.
    if zstd::zstd_safe::find_frame_compressed_size(frame) != Ok(frame.len()) {
        return Err(CodecError::Malformed("bytes follow a zstd frame"));
    }
    out.resize(len, 0);
    let written = DECOMPRESSOR.with_borrow_mut(|context| {
        // The destination is a slice of `len` bytes: whatever the frame says inside, zstd cannot write more.
        context.as_mut()?.decompress_to_buffer(frame, out.as_mut_slice()).ok()
    });
    match written {
        Some(n) if n == len => Ok(()),
        _ => Err(CodecError::Malformed("a zstd frame is damaged")),
    }
}

/// Whether an order-0 coder would win something, judged by at most 32 KiB of the bytes. The chance that two of the bytes are equal is
/// 1/256 for noise; its logarithm (the Renyi entropy of order 2) is a lower bound of Shannon's and needs no logarithms of counts.
fn is_skewed(bytes: &[u8]) -> bool {
    const WINDOW: usize = 4096;
    const WINDOWS: usize = 8;
    // Two tables, so that equal neighbours do not wait for each other's increment.
    let mut counts = [[0u32; 256]; 2];
    let mut count = |part: &[u8]| {
        for pair in part.chunks_exact(2) {
            counts[0][usize::from(pair[0])] += 1;
            counts[1][usize::from(pair[1])] += 1;
        }
    };
    if bytes.len() <= WINDOW * WINDOWS {
        count(bytes);
    } else {
        let stride = (bytes.len() - WINDOW) / (WINDOWS - 1);
        for i in 0..WINDOWS {
            count(&bytes[i * stride..i * stride + WINDOW]);
        }
    }
    let (mut total, mut squares) = (0u64, 0u64);
    for (a, b) in counts[0].iter().zip(&counts[1]) {
        let n = u64::from(a + b);
        total += n;
        squares += n * n;
    }
    let pairs = (total * (total - 1)) as f64;
    (squares - total) as f64 / pairs > SKEWED / 256.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(bytes: &[u8]) -> usize {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        put(bytes, &mut out);
        let mut reader = Reader::new(&out);
        get(&mut reader, bytes.len(), "test", &mut back).unwrap();
        assert_eq!(reader.remaining(), 0);
        assert_eq!(back, bytes);
        out.len()
    }

    #[test]
    fn takes_the_smallest_form() {
        let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let skewed: Vec<u8> = noise.iter().map(|b| b & 7).collect();
        assert_eq!(round_trip(&[]), 0);
        assert_eq!(round_trip(&[9]), 2);
        assert_eq!(round_trip(&[7; 100_000]), 2);
        assert_eq!(round_trip(&noise), 4097);
        assert!(round_trip(&skewed) < 2048);
    }

    #[test]
    fn a_frame_of_another_size_is_refused_before_it_is_decompressed() {
        let bomb = zstd::bulk::compress(&vec![0u8; 64 << 20], 1).unwrap();
        let mut stream = vec![ZSTD];
        put_u64(&mut stream, bomb.len() as u64);
        stream.extend_from_slice(&bomb);
        let mut out = Vec::new();
        let got = get(&mut Reader::new(&stream), 1000, "test", &mut out);
        assert!(matches!(got, Err(CodecError::Malformed(_))));
        assert!(out.capacity() <= 1000);
    }

    #[test]
    fn a_frame_that_lies_about_its_size_cannot_write_more() {
        // A frame whose header says 1,000 while its blocks hold more.
        let honest = zstd::bulk::compress(&vec![0u8; 5_000], 1).unwrap();
        let small = zstd::bulk::compress(&vec![0u8; 1_000], 1).unwrap();
        // Magic, descriptor and content size come from the small one, blocks from the honest one.
        let header = 4 + 1 + 2;
        let mut frame = small[..header].to_vec();
        frame.extend_from_slice(&honest[header..]);
        let mut stream = vec![ZSTD];
        put_u64(&mut stream, frame.len() as u64);
        stream.extend_from_slice(&frame);
        let mut out = Vec::new();
        assert!(get(&mut Reader::new(&stream), 1_000, "test", &mut out).is_err());
        assert!(out.len() <= 1_000);
    }
}
