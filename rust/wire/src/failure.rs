//! What a failed call means for the caller: later, never, or not yours any more.

use std::error::Error;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use crate::tls;

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same call may succeed later. With a delay, not before it has passed.
    Later(Option<Duration>),
    /// The same call will fail again.
    Never,
    /// ABORTED: a drainer with a higher epoch owns the writer.
    Superseded,
    /// DATA_LOSS: the service lacks sequences below the first that the client can still send.
    DataLost,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    verdict: Verdict,
    code: Code,
    transport: bool,
    message: String,
}

/// How tonic begins what it says of an answer without a gRPC status.
const FROM_HTTP: &str = "grpc-status header missing, mapped from HTTP status";

impl Failure {
    pub fn new(status: &Status) -> Self {
        // A status with a source was made on this side, by the connection: what code it carries says little, and it passes.
        // One that was made of an HTTP status is of a proxy, not of the service.
        let transport = status.source().is_some() || status.message().starts_with(FROM_HTTP);
        let verdict = if transport { Verdict::Later(None) } else { judge(status) };
        Failure { verdict, code: status.code(), transport, message: text(status) }
    }

    /// The service took longer than the caller waits.
    pub fn timed_out(what: &str, after: Duration) -> Self {
        Failure {
            verdict: Verdict::Later(None),
            code: Code::DeadlineExceeded,
            transport: false,
            message: format!("{what} took longer than {} s", after.as_secs_f32()),
        }
    }

    /// The service spoke out of turn or ended the stream without a word.
    pub fn protocol(message: impl Into<String>) -> Self {
        Failure { verdict: Verdict::Later(None), code: Code::Internal, transport: false, message: message.into() }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub fn code(&self) -> Code {
        self.code
    }

    /// The name of the code as the gRPC documents write it, such as "NOT_FOUND".
    pub fn code_name(&self) -> &'static str {
        code_name(self.code)
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The connection failed, not the service.
    pub fn is_transport(&self) -> bool {
        self.transport
    }

    pub fn is_retryable(&self) -> bool {
        matches!(self.verdict, Verdict::Later(_))
    }

    /// Nobody there, or nobody who has time: what the user calls unreachable.
    pub fn is_unreachable(&self) -> bool {
        self.transport || matches!(self.code, Code::Unavailable | Code::DeadlineExceeded)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::new(&status)
    }
}

fn judge(status: &Status) -> Verdict {
    let delay = retry_delay(status.details());
    match status.code() {
        Code::Aborted => Verdict::Superseded,
        Code::DataLoss => Verdict::DataLost,
        Code::ResourceExhausted if delay.is_none() => Verdict::Never,
        // INTERNAL and UNKNOWN are what a bug or a dying handler of the service looks like: another version of it may do better, and
        // giving up would strand the data.
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Cancelled
        | Code::Internal
        | Code::Unknown
        | Code::Ok => Verdict::Later(delay),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Verdict::Never,
    }
}

/// The message of a status with the reasons below it, which hold what matters when a connection fails ("Connection refused").
fn text(status: &Status) -> String {
    let mut text = joined(status.message(), status.source());
    if text.is_empty() {
        return status.code().description().to_owned();
    }
    if let Some(remedy) = tls::remedy(&text).filter(|_| status.source().is_some()) {
        text.push_str("; ");
        text.push_str(remedy);
    }
    text
}

/// What an error of the connection says, with the reasons below it.
pub(crate) fn reasons(err: &dyn Error) -> String {
    joined(&err.to_string(), err.source())
}

fn joined(first: &str, mut source: Option<&(dyn Error + 'static)>) -> String {
    let mut parts = vec![first.to_owned()];
    while let Some(err) = source {
        parts.push(err.to_string());
        source = err.source();
    }
    let mut text = String::new();
    // "transport error" is what tonic calls the layer, not what happened.
    for part in parts.iter().filter(|part| !part.is_empty() && *part != "transport error") {
        if !text.contains(part.as_str()) {
            let separator = if text.is_empty() { "" } else { ": " };
            text.push_str(separator);
            text.push_str(part);
        }
    }
    text
}

pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// google.rpc.Status, as it travels in `grpc-status-details-bin`: only what is read here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// google.rpc.RetryInfo
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Span>,
}

/// google.protobuf.Duration
#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// A service that asks for more than this is answered with this.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let span = RetryInfo::decode(info.value.as_slice()).ok()?.delay.unwrap_or_default();
    let delay = Duration::new(
        u64::try_from(span.seconds).unwrap_or(0),
        u32::try_from(span.nanos).unwrap_or(0).min(999_999_999),
    );
    Some(delay.min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(seconds: i64) -> prost::bytes::Bytes {
        let info = RetryInfo { delay: Some(Span { seconds, nanos: 500_000_000 }) };
        let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() };
        RpcStatus { details: vec![any] }.encode_to_vec().into()
    }

    fn verdict(code: Code) -> Verdict {
        Failure::new(&Status::new(code, "no")).verdict()
    }

    #[test]
    fn codes_are_later_never_or_not_yours() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Unknown, Code::Cancelled] {
            assert_eq!(verdict(code), Verdict::Later(None), "{code:?}");
        }
        for code in [
            Code::InvalidArgument,
            Code::AlreadyExists,
            Code::NotFound,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::FailedPrecondition,
            Code::Unimplemented,
            Code::OutOfRange,
            Code::ResourceExhausted,
        ] {
            assert_eq!(verdict(code), Verdict::Never, "{code:?}");
        }
        assert_eq!(verdict(Code::Aborted), Verdict::Superseded);
        assert_eq!(verdict(Code::DataLoss), Verdict::DataLost);
    }

    #[test]
    fn retry_info_gives_the_delay_and_makes_exhaustion_pass() {
        let status = Status::with_details(Code::ResourceExhausted, "busy", details(2));
        assert_eq!(Failure::new(&status).verdict(), Verdict::Later(Some(Duration::from_millis(2500))));
        let status = Status::with_details(Code::Unavailable, "busy", details(i64::MAX));
        assert_eq!(Failure::new(&status).verdict(), Verdict::Later(Some(LONGEST_DELAY)));
        let status = Status::with_details(Code::Unavailable, "busy", details(-5));
        assert_eq!(Failure::new(&status).verdict(), Verdict::Later(Some(Duration::from_millis(500))));
        let status = Status::with_details(Code::Unavailable, "busy", prost::bytes::Bytes::from_static(b"\xff\xff"));
        assert_eq!(Failure::new(&status).verdict(), Verdict::Later(None));
    }

    #[test]
    fn what_the_connection_says_passes_whatever_its_code() {
        let mut status = Status::new(Code::PermissionDenied, "h2 protocol error");
        status.set_source(std::sync::Arc::new(std::io::Error::other("connection reset")));
        let failure = Failure::new(&status);
        assert!(failure.is_retryable() && failure.is_transport() && failure.is_unreachable());
        assert_eq!(failure.to_string(), "h2 protocol error: connection reset");
    }
}
