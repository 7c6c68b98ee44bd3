//! What ends a stream, and what ends the draining of a spool.

use std::time::Duration;

use stepline_core::spool::SpoolError;
use stepline_wire::{Failure, Link, Verdict};
use tonic::Code;

/// Why a stream ended before its spool did.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Try again, not before the given time.
    Later {
        text: String,
        after: Option<Duration>,
    },
    /// Begin a new stream at once: sequences were lost in the spool and the service must be told.
    Hole,
    /// The service does not know the run or the attempt.
    Unregistered(String),
    /// The service lacks sequences that were deleted here because it had acknowledged them.
    DataLost(String),
    /// Never in this way.
    Refused(String),
    /// Another drainer owns the writer.
    Superseded(String),
    Spool(SpoolError),
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Self {
        Trouble::Spool(error)
    }
}

impl Trouble {
    /// What a failed call to the service of `link` means for the spool.
    pub fn of(failure: &Failure, link: &Link) -> Trouble {
        let text = describe(failure, link);
        match failure.verdict() {
            Verdict::Later(after) => Trouble::Later { text, after },
            Verdict::Superseded => Trouble::Superseded(text),
            Verdict::DataLost => Trouble::DataLost(text),
            Verdict::Never if failure.code() == Code::NotFound => Trouble::Unregistered(text),
            Verdict::Never => Trouble::Refused(text),
        }
    }
}

fn describe(failure: &Failure, link: &Link) -> String {
    let (address, message) = (link.address(), failure.message());
    if failure.is_transport() {
        let remedy = if message.contains("; ") { "" } else { "start `stepline serve` there or check the address, " };
        return format!("cannot reach {address}: {message}; {remedy}the points wait in the spool");
    }
    match failure.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            format!("{address} refuses the API key: {message}; set STEPLINE_API_KEY to a key for this project")
        }
        Code::Unimplemented => {
            format!(
                "{address} does not know what this client sends: {message}; give the gRPC port of `stepline serve`, \
                 and update the service if it is older than the client"
            )
        }
        _ => format!("{address} answers {}: {message}", failure.code_name()),
    }
}

/// How the draining of a spool ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything is stored and the spool is deleted, or somebody else deleted it.
    Drained,
    /// Everything that was there is stored; its writer lives.
    CaughtUp,
    /// The work was to end.
    Stopped,
    /// Somebody else wants to drain it.
    HandedOver,
    /// Only a new drainer tries again.
    GivenUp,
}
