//! Any mapping as names and numbers. Runs Python code, and so works on references of its own: the mapping may change meanwhile.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashSet};

use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use super::number::{type_name, Numbers, Value};
use super::refusal::{Kind, Problem, Refusal};
use super::shown;

pub const MAX_NAME_BYTES: usize = 1024;
/// Deeper nesting is a cycle.
const MAX_DEPTH: usize = 32;
/// As many as a run may have metrics.
const MAX_VALUES: usize = 1_000_000;

/// The values of one call.
#[derive(Default)]
pub struct Flat<'py> {
    /// For values of the outer dict whose key is an exact str: the key itself.
    keys: Vec<Bound<'py, PyString>>,
    /// For all others (then for all): the name.
    joined: Vec<String>,
    values: Vec<f64>,
    /// By their place among the values, which holds nothing yet.
    on_device: BTreeMap<usize, Bound<'py, PyAny>>,
    nested: bool,
    numbers: Numbers<'py>,
    pub refused: Vec<Refusal>,
}

/// The values of `metrics`; Ok(Err) when it is no mapping at all.
pub fn flatten<'py>(metrics: &Bound<'py, PyAny>) -> PyResult<Result<Flat<'py>, Refusal>> {
    let mut flat = Flat::default();
    let Some(items) = items(metrics)? else {
        let what = format!("log() got a {}", type_name(metrics));
        return Ok(Err(Refusal::of_call(Problem::new(Kind::Metrics, what, "pass a dict of names and numbers"))));
    };
    flat.take(items, "", 0)?;
    flat.drop_duplicates();
    Ok(Ok(flat))
}

type Item<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// What a mapping holds now; None when it is none.
fn items<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Item<'py>>>> {
    let Ok(dict) = object.cast_exact::<PyDict>() else {
        return match object.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.iter().map(|item| item.extract()).collect::<PyResult<_>>().map(Some),
            Err(_) => Ok(None),
        };
    };
    let mut found = Vec::with_capacity(dict.len());
    let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the references are borrowed from the dict, which does not change until each has been taken: nothing in the loop runs
    // Python code.
    unsafe {
        while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
            found.push((Bound::from_borrowed_ptr(dict.py(), key), Bound::from_borrowed_ptr(dict.py(), value)));
        }
    }
    Ok(Some(found))
}

impl<'py> Flat<'py> {
    fn take(&mut self, items: Vec<Item<'py>>, prefix: &str, depth: usize) -> PyResult<()> {
        for (key, value) in items {
            let converted = if value.is_exact_instance_of::<PyDict>() {
                Ok(Err(None))
            } else {
                self.numbers.read(&value).map(|n| n.map_err(Some))
            };
            match converted? {
                Ok(Value::Number(number)) => drop(self.push(key, prefix, number)),
                Ok(Value::OnDevice) => {
                    if self.push(key, prefix, 0.0) {
                        self.on_device.insert(self.values.len() - 1, value);
                    }
                }
                Err(problem) => match self.nested_items(&value)? {
                    Some(_) if depth >= MAX_DEPTH => {
                        let what = format!("is nested deeper than {MAX_DEPTH} dicts");
                        let problem = Problem::new(Kind::Depth, what, "break the cycle or flatten it before the call");
                        self.refused.push(Refusal::new(shown(&key), problem));
                    }
                    Some(inner) => {
                        self.join();
                        match name(&key) {
                            Ok(name) => self.take(inner, &format!("{prefix}{name}/"), depth + 1)?,
                            Err(problem) => self.refused.push(Refusal::new(shown(&key), problem)),
                        }
                    }
                    None => {
                        let problem = problem.unwrap_or_else(too_many);
                        self.refused.push(Refusal::new(shown_name(prefix, &key), problem));
                    }
                },
            }
            if self.values.len() + self.refused.len() > MAX_VALUES {
                self.refused.push(Refusal::of_call(too_many()));
                return Ok(());
            }
        }
        Ok(())
    }

    fn nested_items(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Item<'py>>>> {
        if self.values.len() + self.refused.len() > MAX_VALUES {
            return Ok(None);
        }
        match items(value) {
            Err(e) if e.is_instance_of::<PyException>(value.py()) => Ok(None),
            other => other,
        }
    }

    /// False when the name is refused.
    fn push(&mut self, key: Bound<'py, PyAny>, prefix: &str, value: f64) -> bool {
        let problem = match name(&key) {
            Ok(name) if prefix.len() + name.len() <= MAX_NAME_BYTES => {
                if !self.nested && !key.is_exact_instance_of::<PyString>() {
                    self.join();
                }
                match key.cast_exact::<PyString>() {
                    Ok(key) if !self.nested => self.keys.push(key.clone()),
                    _ => self.joined.push(format!("{prefix}{name}")),
                }
                self.values.push(value);
                return true;
            }
            Ok(_) => too_long(),
            Err(problem) => problem,
        };
        self.refused.push(Refusal::new(shown_name(prefix, &key), problem));
        false
    }

    /// From here on names are texts.
    fn join(&mut self) {
        if !self.nested {
            self.nested = true;
            self.joined.extend(self.keys.drain(..).map(|key| key.to_string_lossy().into_owned()));
        }
    }

    /// Leaves out values whose name was there before.
    fn drop_duplicates(&mut self) {
        if !self.nested {
            return;
        }
        let mut seen = HashSet::with_capacity(self.joined.len());
        let keep: Vec<bool> = self.joined.iter().map(|name| seen.insert(name.as_str())).collect();
        for (name, _) in self.joined.iter().zip(&keep).filter(|(_, keep)| !**keep) {
            let problem = Problem::new(Kind::Duplicate, "is in the call twice", "rename one of the two keys");
            self.refused.push(Refusal::new(shown_text(name), problem));
        }
        self.retain(&keep);
    }

    fn retain(&mut self, keep: &[bool]) {
        let kept = |keep: &[bool], at: usize| keep.get(at).copied().unwrap_or_default();
        let mut at = 0..;
        self.values.retain(|_| at.next().is_some_and(|at| kept(keep, at)));
        let mut at = 0..;
        self.joined.retain(|_| at.next().is_some_and(|at| kept(keep, at)));
        let mut at = 0..;
        self.keys.retain(|_| at.next().is_some_and(|at| kept(keep, at)));
        let moved = std::mem::take(&mut self.on_device).into_iter().filter(|(at, _)| kept(keep, *at));
        let place = |at: usize| keep.iter().take(at).filter(|keep| **keep).count();
        self.on_device = moved.map(|(at, value)| (place(at), value)).collect();
    }

    /// Takes out the values that lie on devices, with their names.
    pub fn take_on_device(&mut self) -> (Vec<String>, Vec<Bound<'py, PyAny>>) {
        if self.on_device.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let taken = std::mem::take(&mut self.on_device);
        let name = |at: usize| match self.joined.get(at) {
            Some(name) => name.clone(),
            None => self.keys.get(at).map(|key| key.to_string_lossy().into_owned()).unwrap_or_default(),
        };
        let names = taken.keys().map(|at| name(*at)).collect();
        let keep: Vec<bool> = (0..self.values.len()).map(|at| !taken.contains_key(&at)).collect();
        self.retain(&keep);
        (names, taken.into_values().collect())
    }

    /// Calls `append` with the names, the objects that hold them (when each is one) and the values.
    pub fn with_names<R>(
        mut self,
        append: impl FnOnce(&[&str], Option<&[Bound<'py, PyString>]>, &mut Vec<f64>) -> R,
    ) -> PyResult<R> {
        if self.nested {
            let names: Vec<&str> = self.joined.iter().map(String::as_str).collect();
            return Ok(append(&names, None, &mut self.values));
        }
        let names: Vec<&str> = self.keys.iter().map(|key| key.to_str()).collect::<PyResult<_>>()?;
        Ok(append(&names, Some(&self.keys), &mut self.values))
    }
}

/// The text of a key that can be a name.
pub fn name<'a>(key: &'a Bound<'_, PyAny>) -> Result<&'a str, Problem> {
    let Ok(text) = key.cast::<PyString>() else {
        let what = format!("has a {} as its name", type_name(key));
        return Err(Problem::new(Kind::Name, what, "use a str"));
    };
    let Ok(text) = text.to_str() else {
        return Err(Problem::new(
            Kind::Name,
            "has a name with a lone surrogate, which is no text",
            "use valid Unicode",
        ));
    };
    if text.is_empty() {
        return Err(Problem::new(Kind::Name, "has an empty name", "use at least one character"));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(too_long());
    }
    if text.as_bytes().contains(&0) {
        return Err(Problem::new(Kind::Name, "has a NUL character in its name", "leave it out"));
    }
    Ok(text)
}

fn too_many() -> Problem {
    let what = format!("log() got more than {MAX_VALUES} values");
    Problem::new(Kind::Depth, what, "break the cycle or log fewer values in one call")
}

fn too_long() -> Problem {
    Problem::new(Kind::Name, format!("has a name of more than {MAX_NAME_BYTES} bytes"), "use a shorter one")
}

fn shown_name(prefix: &str, key: &Bound<'_, PyAny>) -> String {
    if prefix.is_empty() {
        shown(key)
    } else {
        let key = key.cast::<PyString>().map_or_else(|_| shown(key), |text| text.to_string_lossy().into_owned());
        shown_text(&format!("{prefix}{key}"))
    }
}

fn shown_text(text: &str) -> String {
    format!("'{}'", text.chars().take(80).collect::<String>())
}
