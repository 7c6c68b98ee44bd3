//! A writing process for the tests, to be killed or followed: `spool-child ROOT COUNT`. Prints the directory of its spool, then each
//! sequence once it is appended. COUNT rows, then it closes the spool; 0 for no end.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Write;
use std::path::Path;

use stepline_core::spool::{SpoolMeta, SpoolWriter, WriterOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (root, count) = (arguments.next().ok_or("no root")?, arguments.next().ok_or("no count")?.parse::<u64>()?);
    let options = WriterOptions { segment_bytes: 16 << 10, ahead_bytes: 512, ..WriterOptions::default() };
    let meta = SpoolMeta { run_id: "child".into(), ..SpoolMeta::default() };
    let mut writer = SpoolWriter::create(Path::new(&root), meta, options)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", writer.dir().display())?;
    let names = [writer.name_id("a")?, writer.name_id("b")?];
    let keysets = [writer.keyset_id(&names[..1]).ok_or("no key set")?, writer.keyset_id(&names).ok_or("no key set")?];
    for step in 1.. {
        // Each record says what its values must be.
        let (x, width) = (step as f64, 1 + (step % 2) as usize);
        let seq = writer.append_row(keysets[width - 1], step, step, &[x, -x][..width])?;
        // One write a line, so that the parent sees a sequence only when it is in the spool.
        out.write_all(format!("{seq}\n").as_bytes())?;
        out.flush()?;
        if seq == count {
            break;
        }
    }
    writer.seal()?;
    Ok(())
}
