//! Long columns: pco (<https://github.com/pcodec/pcodec>), which fits bins to the distribution and so comes within a few per cent of
//! the entropy, at several times the price of the short form and with a header that only many numbers pay for.
//!
//! A long column is one pco chunk of one page in pco's format 4.1, without the file header: both sides know the version. The count
//! is known from the batch. Of pco's modes and delta encodings only those whose memory is bounded by the count are allowed: no
//! dictionary, no look-back window, no convolution.

use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use super::varint::zigzag;
use super::CodecError;

/// Fewest numbers of a long column; below, pco's header weighs more than its bins save.
pub const MIN_LEN: usize = 1_000;
/// Most numbers of a pco chunk.
pub const MAX_LEN: usize = 1 << 24;

/// The version bytes that a pco file would begin with.
const FORMAT: [u8; 2] = [4, 1];
/// Levels above 4 take twice the time for half a per cent.
const LEVEL: usize = 4;
/// Highest of the delta orders that are tried.
const MAX_ORDER: usize = 6;
/// Highest mode number that a reader accepts: classic, integer multiples, float multiples, quantised floats.
const MAX_MODE: u8 = 3;

/// How pco is to look at the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// As integers near each other. Fast.
    Plain,
    /// Also as multiples of a common base, such as decimal fractions.
    Multiples,
}

/// Compresses the numbers as differences of this order, or None when pco refuses them.
pub fn compress<T: Number>(numbers: &[T], order: usize, search: Search) -> Option<Vec<u8>> {
    let mode = match search {
        Search::Plain => ModeSpec::Classic,
        Search::Multiples => ModeSpec::Auto,
    };
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(mode)
        .with_delta_spec(DeltaSpec::TryConsecutive(order))
        .with_paging_spec(PagingSpec::Exact(vec![numbers.len()]));
    let mut chunk = FileCompressor::default().chunk_compressor(numbers, &config).ok()?;
    let bytes = Vec::with_capacity(chunk.meta_size_hint() + chunk.page_size_hint(0));
    let bytes = chunk.write_meta(bytes).ok()?;
    chunk.write_page(0, bytes).ok()
}

/// Fills `numbers` from a chunk that must hold exactly as many, and must end where `bytes` end.
pub fn decompress<T: Number>(bytes: &[u8], numbers: &mut [T]) -> Result<(), CodecError> {
    const DAMAGED: CodecError = CodecError::Malformed("a long column is damaged");
    const FORBIDDEN: CodecError =
        CodecError::Malformed("a long column uses a pco feature that is not part of the format");
    // The mode is the low four bits, and a dictionary is allocated as soon as it is read: so look first.
    match bytes.first() {
        Some(first) if first & 15 <= MAX_MODE => {}
        Some(_) => return Err(FORBIDDEN),
        None => return Err(CodecError::Truncated("a long column")),
    }
    let (file, _) = FileDecompressor::new(FORMAT.as_slice()).map_err(|_| DAMAGED)?;
    let (mut chunk, page) = file.chunk_decompressor::<T, _>(bytes).map_err(|_| DAMAGED)?;
    if !matches!(chunk.meta().delta_encoding, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. }) {
        return Err(FORBIDDEN);
    }
    let mut page = chunk.page_decompressor(page, numbers.len()).map_err(|_| DAMAGED)?;
    let progress = page.read(numbers).map_err(|_| DAMAGED)?;
    if progress.n_processed != numbers.len() || !page.into_src().is_empty() {
        return Err(DAMAGED);
    }
    Ok(())
}

/// The order of differences with the shortest numbers, judged by a few windows, and how many bits these have on average.
pub fn delta_order(words: &[u64]) -> (usize, f64) {
    const WINDOW: usize = 64;
    const WINDOWS: usize = 8;
    let stride = (words.len().saturating_sub(WINDOW) / (WINDOWS - 1)).max(1);
    // Order 0 is judged by the distance from the middle of what is seen.
    let sampled = || words.windows(WINDOW.min(words.len())).step_by(stride).take(WINDOWS);
    let (mut sum, mut seen) = (0.0, 0u64);
    let Some(&first) = words.first() else { return (0, 0.0) };
    for &word in sampled().flatten() {
        sum += word.wrapping_sub(first) as i64 as f64;
        seen += 1;
    }
    let middle = first.wrapping_add((sum / seen as f64) as i64 as u64);
    let (mut costs, mut terms) = ([0u64; MAX_ORDER + 1], 0u64);
    let mut differences = [0u64; WINDOW];
    for window in sampled() {
        let mut left = window.len();
        differences[..left].copy_from_slice(window);
        // The same number of terms for each order.
        terms += left.saturating_sub(MAX_ORDER) as u64;
        for (order, cost) in costs.iter_mut().enumerate() {
            let origin = if order == 0 { middle } else { 0 };
            let judged = differences[..left].iter().skip(MAX_ORDER - order);
            *cost += judged.map(|d| u64::from(bits(zigzag(d.wrapping_sub(origin) as i64)))).sum::<u64>();
            left = left.saturating_sub(1);
            for at in 0..left {
                differences[at] = differences[at + 1].wrapping_sub(differences[at]);
            }
        }
    }
    let order = (0..=MAX_ORDER).min_by_key(|&order| costs[order]).unwrap_or(0);
    (order, costs[order] as f64 / terms.max(1) as f64)
}

/// Of a sample of the numbers.
pub fn mean_bits(numbers: &[u64]) -> f64 {
    const SAMPLE: usize = 512;
    let seen = || numbers.iter().step_by(numbers.len().div_ceil(SAMPLE).max(1));
    seen().map(|number| f64::from(bits(*number))).sum::<f64>() / seen().count().max(1) as f64
}

fn bits(word: u64) -> u32 {
    64 - word.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_still_writes_the_format_that_readers_assume() {
        assert_eq!(FileCompressor::default().write_header(Vec::new()).unwrap(), FORMAT);
    }

    #[test]
    fn floats_keep_their_bits() {
        let mut values: Vec<f64> = (0..3_000).map(|i| f64::from(i) * 0.001).collect();
        values[7] = f64::from_bits(0x7ff0_0000_0000_0001);
        values[8] = -0.0;
        values[9] = f64::NEG_INFINITY;
        values[10] = 5e-324;
        let words: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
        let bytes = compress(&values, delta_order(&words).0, Search::Multiples).unwrap();
        assert!(bytes.len() < 6_000, "{}", bytes.len());
        let mut back = vec![0.0f64; values.len()];
        decompress(&bytes, &mut back).unwrap();
        assert!(values.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn another_count_is_an_error() {
        let words: Vec<u64> = (0..2_000).map(|i| i * i % 977).collect();
        let bytes = compress(&words, delta_order(&words).0, Search::Plain).unwrap();
        for count in [0, 1, 1_000, 4_000] {
            assert!(decompress(&bytes, &mut vec![0u64; count]).is_err(), "{count}");
        }
    }

    /// Every byte in turn, under the values that fields of few bits are most likely to mind.
    fn damage<T: Number + Default>(numbers: &[T], words: &[u64], search: Search) {
        let bytes = compress(numbers, delta_order(words).0, search).unwrap();
        let mut back = vec![T::default(); numbers.len()];
        for at in 0..bytes.len() {
            assert!(decompress(&bytes[..at], &mut back).is_err(), "cut at {at}");
            for value in (0..8).map(|bit| bytes[at] ^ 1 << bit).chain([0, 0xff]) {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                // Anything but a panic: the checksum of the batch is what finds damage.
                let _ = decompress(&damaged, &mut back);
            }
        }
    }

    #[test]
    fn damage_never_panics() {
        let noise = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        let words: Vec<u64> = (0..1_000).map(|i| (1 << 40) + noise(i) * 12).collect();
        damage(&words, &words, Search::Plain);
        let ints: Vec<i64> = words.iter().map(|&w| w as i64).collect();
        damage(&ints, &words, Search::Multiples);
        let narrow: Vec<u32> = (0..1_000).map(|i| noise(i) as u32).collect();
        damage(&narrow, &words, Search::Plain);
        let decimals: Vec<f64> = (0..1_000).map(|i| noise(i) as f64 * 0.01).collect();
        damage(&decimals, &words, Search::Multiples);
    }

    #[test]
    fn features_without_bounded_memory_are_refused() {
        let numbers: Vec<u64> = (0..4_000).map(|i| (i * i) % 61 * 0x0123_4567_89ab).collect();
        for config in [
            ChunkConfig::default().with_mode_spec(ModeSpec::TryDict),
            ChunkConfig::default().with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::TryLookback),
        ] {
            let mut chunk = FileCompressor::default().chunk_compressor(&numbers, &config).unwrap();
            let bytes = chunk.write_meta(Vec::new()).unwrap();
            let bytes = chunk.write_page(0, bytes).unwrap();
            let refused = decompress(&bytes, &mut vec![0u64; numbers.len()]).unwrap_err();
            assert!(refused.to_string().contains("not part of the format"), "{config:?} {refused}");
        }
    }
}
