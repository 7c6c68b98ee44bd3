//! One Push stream: batches out, acknowledgements in.

use std::time::Duration;

use stepline_core::batch::{BatchLimits, EncodedBatch};
use stepline_wire::v1::push_reply::Kind as Reply;
use stepline_wire::v1::push_request::Kind as Request;
use stepline_wire::{v1, Failure, Link};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::settings::Tuning;
use crate::window::Window;

/// Frames between this side and the connection. The window bounds what is under way; this only smooths.
const QUEUE: usize = 4;

pub(crate) struct Push {
    requests: mpsc::Sender<v1::PushRequest>,
    replies: Streaming<v1::PushReply>,
    window: Window,
    /// When the service last moved, or was given something to move.
    moved: Instant,
    /// A service that settles nothing for so long has failed.
    patience: Duration,
    /// The highest sequence that the service had when the stream began.
    pub committed: u64,
    /// The largest batch that the service takes; 0 where it does not say.
    max_points: usize,
    max_bytes: usize,
    /// Batches that the service will never store, since they were last asked for.
    rejected: Vec<v1::Rejected>,
}

impl Push {
    /// Says Hello and waits for the Welcome.
    pub async fn open(link: &Link, hello: v1::Hello, tuning: &Tuning) -> Result<Push, Failure> {
        match tokio::time::timeout(tuning.call, Push::greet(link, hello, tuning.ack)).await {
            Ok(push) => push,
            Err(_) => Err(Failure::timed_out("the Welcome of Ingest.Push", tuning.call)),
        }
    }

    async fn greet(link: &Link, hello: v1::Hello, patience: Duration) -> Result<Push, Failure> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let hello = v1::PushRequest { kind: Some(Request::Hello(hello)) };
        if requests.try_send(hello).is_err() {
            return Err(Failure::protocol("the stream ended before it began"));
        }
        let mut replies = link.ingest().push(ReceiverStream::new(queue)).await?.into_inner();
        let welcome = match next(&mut replies).await? {
            Reply::Welcome(welcome) => welcome,
            other => {
                return Err(Failure::protocol(format!("the service began a stream with {other:?}, not with Welcome")))
            }
        };
        Ok(Push {
            requests,
            replies,
            window: Window::new(welcome.window_batches, welcome.window_bytes, welcome.committed_seq),
            moved: Instant::now(),
            patience,
            committed: welcome.committed_seq,
            max_points: usize::try_from(welcome.max_batch_points).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(welcome.max_batch_bytes).unwrap_or(usize::MAX),
            rejected: Vec::new(),
        })
    }

    /// The smaller of `wanted` and what the service takes.
    pub fn limits(&self, wanted: BatchLimits) -> BatchLimits {
        let smaller = |wanted: usize, allowed: usize| {
            if allowed == 0 {
                wanted
            } else {
                wanted.min(allowed)
            }
        };
        BatchLimits {
            max_points: smaller(wanted.max_points, self.max_points),
            max_raw_bytes: smaller(wanted.max_raw_bytes, self.max_bytes),
        }
    }

    /// Sends a batch once the window has room for it.
    pub async fn send(&mut self, batch: EncodedBatch) -> Result<(), Failure> {
        let bytes = batch.bytes.len() as u64;
        while !self.window.has_room(bytes) {
            self.receive().await?;
        }
        let (first_seq, last_seq) = (batch.first_seq, batch.last_seq);
        let encoding = Some(v1::batch::Encoding::Columnar(batch.bytes.into()));
        let batch = v1::Batch { first_seq, last_seq, encoding };
        let frame = v1::PushRequest { kind: Some(Request::Batch(batch)) };
        let queued = loop {
            let deadline = self.deadline();
            let reply = tokio::select! {
                biased;
                reply = next_by(&mut self.replies, deadline) => reply?,
                permit = self.requests.reserve() => break permit.map(|permit| permit.send(frame)).is_ok(),
            };
            self.take(reply)?;
        };
        if !queued {
            // The stream has ended; what comes next on it says why.
            return Err(self.ended().await);
        }
        if self.window.is_empty() {
            self.moved = Instant::now();
        }
        self.window.sent(first_seq, last_seq, bytes);
        Ok(())
    }

    /// Takes the next reply. May be cancelled.
    pub async fn receive(&mut self) -> Result<(), Failure> {
        let deadline = self.deadline();
        let reply = next_by(&mut self.replies, deadline).await?;
        self.take(reply)
    }

    fn take(&mut self, reply: Reply) -> Result<(), Failure> {
        self.moved = Instant::now();
        match reply {
            Reply::Ack(ack) => self.window.acknowledge(ack.committed_seq),
            Reply::Rejected(batch) => {
                self.window.reject(batch.first_seq, batch.last_seq);
                self.rejected.push(batch);
            }
            Reply::Welcome(_) => return Err(Failure::protocol("the service said Welcome twice")),
        }
        Ok(())
    }

    /// Until when the service must have moved; None while nothing is under way.
    fn deadline(&self) -> Option<(Instant, Duration)> {
        (!self.window.is_empty()).then(|| (self.moved + self.patience, self.patience))
    }

    pub fn is_settled(&self) -> bool {
        self.window.is_empty()
    }

    /// Everything up to here is stored or rejected for ever.
    pub fn settled_seq(&self) -> u64 {
        self.window.settled()
    }

    pub fn take_rejected(&mut self) -> Vec<v1::Rejected> {
        std::mem::take(&mut self.rejected)
    }

    async fn ended(&mut self) -> Failure {
        loop {
            if let Err(failure) = self.receive().await {
                return failure;
            }
        }
    }
}

async fn next_by(
    replies: &mut Streaming<v1::PushReply>,
    deadline: Option<(Instant, Duration)>,
) -> Result<Reply, Failure> {
    let Some((at, patience)) = deadline else {
        return next(replies).await;
    };
    match tokio::time::timeout_at(at, next(replies)).await {
        Ok(reply) => reply,
        Err(_) => Err(Failure::timed_out("an acknowledgement", patience)),
    }
}

async fn next(replies: &mut Streaming<v1::PushReply>) -> Result<Reply, Failure> {
    loop {
        match replies.message().await? {
            Some(v1::PushReply { kind: Some(reply) }) => return Ok(reply),
            // Of a kind that a later version of the protocol has.
            Some(v1::PushReply { kind: None }) => {}
            None => return Err(Failure::protocol("the service ended the stream")),
        }
    }
}
