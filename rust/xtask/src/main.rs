//! The automation of the repository that wants Rust: `cargo run -p xtask -- proto [--check]`.

mod proto;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- proto [--check]
  proto           generate rust/wire/src/gen from proto/
  proto --check   fail when rust/wire/src/gen is not what proto/ gives";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["proto"] => proto::generate(),
        ["proto", "--check"] => proto::check(),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            complain(&err.to_string());
            ExitCode::FAILURE
        }
    }
}

/// This is a program for a terminal, so its errors go there.
#[allow(clippy::print_stderr)]
fn complain(message: &str) {
    eprintln!("{message}");
}
