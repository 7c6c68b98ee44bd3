//! Rust code from `proto/`, without `protoc`: protox parses, tonic-prost-build writes.
//!
//! The result is committed, so that building Stepline needs neither; the check keeps it true.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const PROTOS: &[&str] = &[
    "stepline/v1/ingest.proto",
    "stepline/v1/runs.proto",
    "stepline/v1/query.proto",
    "stepline/v1/live.proto",
    "stepline/v1/audit.proto",
    "stepline/v1/keys.proto",
    "stepline/v1/admin.proto",
    "stepline/v1/catalogue.proto",
    "stepline/v1/capture.proto",
];
const GENERATED: &str = "stepline.v1.rs";

pub fn generate() -> Result<(), Box<dyn Error>> {
    let target = committed();
    if let Some(dir) = target.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(target, render()?)?;
    Ok(())
}

pub fn check() -> Result<(), Box<dyn Error>> {
    let target = committed();
    let found = fs::read_to_string(&target).unwrap_or_default();
    if found == render()? {
        return Ok(());
    }
    Err(format!("{} is not what proto/ gives: run `make proto` and commit the result", target.display()).into())
}

fn render() -> Result<String, Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    let descriptors = protox::compile(PROTOS, [root().join("proto")])?;
    tonic_prost_build::configure()
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        // Frames and columns are handed on without a copy.
        .bytes(".")
        // Only tests serve; the extension need not carry it.
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    let code = fs::read_to_string(out.path().join(GENERATED))?;
    Ok(format!("// Generated from proto/ by `make proto`. Do not edit.\n{code}"))
}

fn committed() -> PathBuf {
    root().join("rust/wire/src/gen").join(GENERATED)
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    #[test]
    fn committed_code_is_what_proto_gives() -> Result<(), Box<dyn Error>> {
        super::check()
    }
}
