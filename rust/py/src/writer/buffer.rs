//! Columns of Python objects by the buffer protocol (PEP 3118).
//!
//! The protocol is in the stable ABI from 3.11 on only, so pyo3 has no binding of it for an extension that begins at 3.10. The two
//! functions and the struct are the same there; they are declared here.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::ops::Range;

use pyo3::ffi;
use pyo3::prelude::*;

const PYBUF_FORMAT: c_int = 0x4;
const PYBUF_STRIDES: c_int = 0x10 | 0x8;

#[repr(C)]
struct PyBufferStruct {
    buf: *mut c_void,
    obj: *mut ffi::PyObject,
    len: ffi::Py_ssize_t,
    itemsize: ffi::Py_ssize_t,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut ffi::Py_ssize_t,
    strides: *mut ffi::Py_ssize_t,
    suboffsets: *mut ffi::Py_ssize_t,
    internal: *mut c_void,
}

extern "C" {
    fn PyObject_GetBuffer(object: *mut ffi::PyObject, view: *mut PyBufferStruct, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut PyBufferStruct);
}

/// A number of eight bytes that a column may hold.
pub trait Element: Copy + Default {
    /// The format characters of the struct module for it.
    const FORMATS: &'static [u8];
}

impl Element for i64 {
    const FORMATS: &'static [u8] = b"lqn";
}

impl Element for f64 {
    const FORMATS: &'static [u8] = b"d";
}

/// A flat buffer of `T`, at any stride.
pub struct Column<'py, T> {
    // Boxed: the view may point into itself. Released in drop.
    view: Box<PyBufferStruct>,
    rows: usize,
    stride: isize,
    _of: std::marker::PhantomData<(Bound<'py, PyAny>, T)>,
}

/// What an object is instead of such a buffer.
pub enum NoColumn {
    NoBuffer,
    Dimensions(usize),
    Format(String),
}

impl<'py, T: Element> Column<'py, T> {
    pub fn of(object: &Bound<'py, PyAny>) -> Result<Column<'py, T>, NoColumn> {
        let mut view = Box::new(PyBufferStruct {
            buf: std::ptr::null_mut(),
            obj: std::ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 0,
            ndim: 0,
            format: std::ptr::null_mut(),
            shape: std::ptr::null_mut(),
            strides: std::ptr::null_mut(),
            suboffsets: std::ptr::null_mut(),
            internal: std::ptr::null_mut(),
        });
        // SAFETY: a live object and a struct of the layout that CPython has had since 3.0. A failure leaves nothing to release.
        if unsafe { PyObject_GetBuffer(object.as_ptr(), &mut *view, PYBUF_FORMAT | PYBUF_STRIDES) } != 0 {
            drop(PyErr::take(object.py()));
            return Err(NoColumn::NoBuffer);
        }
        let mut column = Column { view, rows: 0, stride: 0, _of: std::marker::PhantomData };
        if column.view.ndim != 1 {
            return Err(NoColumn::Dimensions(usize::try_from(column.view.ndim).unwrap_or_default()));
        }
        let format = column.format();
        let plain = format.strip_prefix(['@', '=', '<']).unwrap_or(&format);
        if column.view.itemsize != 8 || plain.len() != 1 || !T::FORMATS.contains(&plain.as_bytes()[0]) {
            return Err(NoColumn::Format(format));
        }
        // SAFETY: asked for strides and got one dimension, so both point to one number.
        unsafe {
            column.rows = usize::try_from(*column.view.shape).unwrap_or_default();
            column.stride = *column.view.strides;
        }
        Ok(column)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Copies a part. Whatever another thread does to the buffer meanwhile, each element is one that it held.
    pub fn copy(&self, rows: Range<usize>, target: &mut Vec<T>) {
        target.clear();
        let rows = rows.start..rows.end.min(self.rows);
        if rows.is_empty() {
            return;
        }
        target.resize(rows.len(), T::default());
        // SAFETY: the rows are inside of the view, which lasts until `self` is dropped, and have eight bytes each, at the stride that the
        // exporter gave (which may be negative, and need not be aligned).
        unsafe {
            let first = self.view.buf.cast::<u8>().offset(self.stride * rows.start as isize);
            if self.stride == 8 {
                std::ptr::copy_nonoverlapping(first, target.as_mut_ptr().cast::<u8>(), 8 * rows.len());
            } else {
                for (i, slot) in target.iter_mut().enumerate() {
                    *slot = first.offset(self.stride * i as isize).cast::<T>().read_unaligned();
                }
            }
        }
    }

    fn format(&self) -> String {
        if self.view.format.is_null() {
            return "B".to_owned();
        }
        // SAFETY: a C string of the exporter, which lasts as long as the view.
        unsafe { CStr::from_ptr(self.view.format) }.to_string_lossy().into_owned()
    }
}

impl<T> Drop for Column<'_, T> {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, not moved since, and released once; 'py says that we are attached.
        unsafe { PyBuffer_Release(&mut *self.view) }
    }
}
