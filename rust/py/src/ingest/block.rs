//! Batches as one block for the database.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::BorrowedFd;

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stepline_core::batch::DecodedBatch;
use stepline_core::block::{Plan, WriterKey};

use super::session::Batch;

type Parts = Vec<(Py<Batch>, u64)>;

fn borrow(batches: &Parts) -> Vec<(&WriterKey, &DecodedBatch, u64)> {
    let parts = batches.iter().map(|(batch, after_seq)| (batch.get(), *after_seq));
    parts.map(|(batch, after_seq)| (&batch.key, &batch.decoded, after_seq)).collect()
}

/// One `bytes` a column, and the number of rows.
#[pyfunction]
pub fn build_block<'py>(py: Python<'py>, batches: Parts, received: u32) -> PyResult<(Vec<Bound<'py, PyBytes>>, usize)> {
    let parts = borrow(&batches);
    let plan = py.detach(|| Plan::new(&parts, received));
    let pieces =
        (0..plan.pieces()).map(|piece| bytes_with(py, plan.piece_len(piece), |region| plan.write_piece(piece, region)));
    Ok((pieces.collect::<PyResult<_>>()?, plan.rows()))
}

/// The same block, written to an open file; returns the number of rows. Nothing of the block's size is allocated.
#[pyfunction]
pub fn write_block(py: Python<'_>, batches: Parts, received: u32, fd: i32) -> PyResult<usize> {
    const BUFFER: usize = 256 << 10;
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF).into());
    }
    let parts = borrow(&batches);
    let rows = py.detach(|| -> io::Result<usize> {
        // The caller keeps the descriptor open during the call, as with os.write; it is only duplicated here.
        #[allow(unsafe_code)]
        let file = File::from(unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?);
        let plan = Plan::new(&parts, received);
        let mut out = BufWriter::with_capacity(BUFFER, file);
        (0..plan.pieces()).try_for_each(|piece| plan.write_piece(piece, &mut out))?;
        out.flush()?;
        Ok(plan.rows())
    })?;
    Ok(rows)
}

/// A `bytes` object that is filled without the interpreter and without being set to zero first: blocks have many megabytes.
fn bytes_with<'py>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut Region) -> io::Result<()> + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    let size = ffi::Py_ssize_t::try_from(len).map_err(|_| PyMemoryError::new_err("the block is too large"))?;
    // A null source leaves the bytes uninitialised. Until this function returns nobody else has the object, so its bytes may be written;
    // they are only handed out when all of them were.
    #[allow(unsafe_code)]
    let (object, mut region) = unsafe {
        let pointer = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
        let object = Bound::from_owned_ptr_or_err(py, pointer)?.cast_into_unchecked::<PyBytes>();
        (object, Region { at: ffi::PyBytes_AsString(pointer).cast(), left: len })
    };
    py.detach(|| fill(&mut region).map(|()| region.left)).and_then(|left| match left {
        0 => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    })?;
    Ok(object)
}

/// Memory that is written from its beginning to its end and never read.
struct Region {
    at: *mut u8,
    left: usize,
}

// The memory belongs to an object that the creator of the region holds and nobody else knows.
#[allow(unsafe_code)]
unsafe impl Send for Region {}

impl Write for Region {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.left);
        // `left` bytes from `at` on are the region's own.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, n);
            self.at = self.at.add(n);
        }
        self.left -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
