//! `spool.json`: what the run is, so that a drainer needs nothing but the directory.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::error::SpoolError;
use super::layout;
use crate::id::WriterId;

/// The version of the directory layout and of `spool.json`.
pub const META_VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpoolMeta {
    /// 0 in what a caller passes; `META_VERSION` in the file.
    pub version: u32,
    /// 32 hexadecimal digits. Empty in what a caller passes to let the writer choose.
    pub writer: String,
    pub run_id: String,
    pub project: String,
    pub name: String,
    /// A JSON object as text.
    pub config_json: String,
    pub tags: Vec<String>,
    pub group: String,
    pub job_type: String,
    /// never | allow | must | auto
    pub resume: String,
    /// "RUN_ID@STEP"; empty for none.
    pub fork_from: String,
    pub launch_id: String,
    pub rank: u32,
    pub world_size: u32,
    pub host: String,
    pub pid: u32,
    pub created_ms: i64,
    /// HOST:PORT
    pub server: String,
    pub api_key: Option<String>,
    /// PEM files: whom to trust instead of the system's roots, and the certificate to show with its key.
    pub tls_ca: Option<String>,
    pub tls_cert: Option<String>,
    pub tls_key: Option<String>,
    /// Some when the trainer registered the run itself.
    pub attempt: Option<u32>,
    /// online | offline. An offline spool waits for `stepline sync`.
    pub mode: String,
    /// refuse | take_over | new_run: what becomes of a start whose run is alive; empty for none.
    pub on_live: String,
    /// Of a process that was forked or spawned by that which started the run, and whose end says nothing about it.
    pub child: bool,
    /// Among the ranks of this host, from 0; None where no launcher says.
    pub local_rank: Option<u32>,
    /// Between two readings of the host for this run; 0 for none.
    pub system_ms: u64,
    /// Readings of each processor as well.
    pub system_cores: bool,
    /// mapped | buffered: how records reach the files. Chosen by the writer.
    pub write: String,
}

impl SpoolMeta {
    /// Reads a JSON object; what is absent or null has its default.
    pub fn from_json(text: &str) -> Result<Self, SpoolError> {
        let read = || -> serde_json::Result<SpoolMeta> {
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
            fields.retain(|_, value| !value.is_null());
            serde_json::from_value(fields.into())
        };
        read().map_err(|e| SpoolError::invalid(format!("the metadata of a spool is not as expected: {e}")))
    }

    /// Reads `spool.json` of the spool at `dir`.
    pub fn load(dir: &Path) -> Result<Self, SpoolError> {
        let path = dir.join(layout::META_FILE);
        let text = fs::read_to_string(&path).map_err(|e| SpoolError::io("read", &path, e))?;
        let meta = Self::from_json(&text).map_err(|e| {
            SpoolError::invalid(format!("{}: {e}; move the directory away to go on without it", path.display()))
        })?;
        if meta.version != META_VERSION {
            return Err(SpoolError::invalid(format!(
                "{} has version {}, this program reads version {META_VERSION}; update stepline",
                path.display(),
                meta.version
            )));
        }
        meta.writer_id()?;
        Ok(meta)
    }

    pub fn writer_id(&self) -> Result<WriterId, SpoolError> {
        WriterId::from_hex(&self.writer).ok_or_else(|| {
            SpoolError::invalid(format!("{:?} is no writer id; it has 32 hexadecimal digits", self.writer))
        })
    }

    /// Writes the file, readable by its owner only because it may hold an API key.
    pub(super) fn store(&self, dir: &Path, disk: &dyn Disk) -> Result<(), SpoolError> {
        let path = dir.join(layout::META_FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| SpoolError::invalid(format!("the metadata of a spool cannot be written as JSON: {e}")))?;
        disk.create(&path)
            .and_then(|file| disk.write_at(&file, text.as_bytes(), 0))
            .map_err(|e| SpoolError::io("write", &path, e))
    }
}
