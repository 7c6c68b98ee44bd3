//! The common call: a dict with the keys of an earlier call and plain numbers as values. What the product is judged by.
//!
//! Each metric costs one step of the dict, one comparison of an address, one comparison of a type, one store.

#![allow(unsafe_code)]

use super::keys::KeyMemory;
use super::state::{Appended, Shared};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Logs `metrics` when it is such a dict; None when it is not, and then nothing was done.
#[inline]
pub fn log(shared: &Shared, metrics: &Bound<'_, PyAny>, step: Option<i64>) -> Option<Appended> {
    let dict = metrics.cast_exact::<PyDict>().ok()?;
    shared.with(|state| {
        let (keys, scratch) = state.walk_parts()?;
        let keyset = read(dict, keys, scratch)?;
        Some(state.log_scratch(keyset, step))
    })
}

/// The values of the dict, into `scratch`, and its key set. None when a key or a value is not of the common kind.
#[inline]
fn read(dict: &Bound<'_, PyDict>, memory: &KeyMemory, scratch: &mut Vec<f64>) -> Option<u32> {
    let dict = dict.as_ptr();
    let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    scratch.clear();
    // SAFETY: `dict` is a dict that the caller holds. PyDict_Next gives borrowed references that are good as long as the dict does not
    // change, and nothing from here to the end of the walk runs Python code, allocates an object or lets go of the interpreter.
    unsafe {
        if ffi::PyDict_Next(dict, &mut position, &mut key, &mut value) == 0 {
            return None;
        }
        let length = ffi::PyDict_Size(dict) as usize;
        let mut sites = memory.sites(length, key);
        let mut site = sites.next()?;
        scratch.reserve(length);
        loop {
            let at = scratch.len();
            if site.key(at) != Some(key) {
                site = sites.another(site, at, key)?;
            }
            scratch.push(number(value)?);
            if ffi::PyDict_Next(dict, &mut position, &mut key, &mut value) == 0 {
                return (scratch.len() == length).then_some(site.keyset);
            }
        }
    }
}

/// A float (also of a subclass, such as NumPy's float64), an int or a bool. Runs no Python code.
///
/// SAFETY: `value` is a live object and the caller is attached to the interpreter.
#[inline]
unsafe fn number(value: *mut ffi::PyObject) -> Option<f64> {
    // SAFETY: as promised by the caller; for these types the conversions only read the object.
    unsafe {
        let kind = ffi::Py_TYPE(value);
        if kind == &raw mut ffi::PyFloat_Type {
            return Some(ffi::PyFloat_AsDouble(value));
        }
        if kind == &raw mut ffi::PyLong_Type {
            let mut overflow = 0;
            let int = ffi::PyLong_AsLongLongAndOverflow(value, &mut overflow);
            // Rounds to the nearest double above 2**53. Larger ints are for the long way.
            return (overflow == 0).then_some(int as f64);
        }
        if kind == &raw mut ffi::PyBool_Type {
            return Some(f64::from(u8::from(value == ffi::Py_True())));
        }
        if ffi::PyType_IsSubtype(kind, &raw mut ffi::PyFloat_Type) != 0 {
            return Some(ffi::PyFloat_AsDouble(value));
        }
    }
    None
}
