//! A service in this process, on a thread and a port of its own, that can be told to misbehave.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use stepline_core::batch::{DecodeLimits, StreamDecoder};
use stepline_core::id::WriterId;
use stepline_wire::v1::batch::Encoding;
use stepline_wire::v1::capture_server::{Capture, CaptureServer};
use stepline_wire::v1::ingest_server::{Ingest, IngestServer};
use stepline_wire::v1::push_reply::Kind as Reply;
use stepline_wire::v1::push_request::Kind as Frame;
use stepline_wire::v1::runs_server::{Runs, RunsServer};
use stepline_wire::v1::{self, PushReply, PushRequest};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::store::{Event, Store};

/// What goes wrong on one stream. `after` counts its batches.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// Answers Hello with this.
    Refuse(Status),
    /// Never says Welcome.
    Silent,
    /// Ends the stream before a batch is stored.
    DropBefore { after: usize },
    /// Stores a batch and ends the stream before it is acknowledged.
    DropAfter { after: usize },
    /// Stores everything, acknowledges nothing, and ends the stream after some batches, which must be less than the window.
    LoseAcks { after: usize },
    /// Stores the first half of a batch and ends the stream.
    StoreHalf { after: usize },
    /// Says in Welcome that so many sequences less are stored.
    ForgetfulWelcome { by: u64 },
    /// Stores everything, acknowledges nothing, and stays.
    Mute,
    /// Acknowledges after a pause.
    Slow { ms: u64 },
    /// Acknowledges each batch in two parts, twice, and then again what was settled before.
    Stutter,
    /// Ends the stream with this in the place of a batch.
    FailWith { after: usize, status: Status },
}

pub struct Behaviour {
    /// For the streams to come; without an entry nothing goes wrong.
    pub streams: VecDeque<Fault>,
    /// For the unary calls to come: refused before, or after they had their effect.
    pub calls: VecDeque<(Status, bool)>,
    /// Batches with one of these sequences are rejected.
    pub reject: Vec<u64>,
    /// Who is told of a rejection is hung up at once, as the service does with columnar batches.
    pub reject_ends: bool,
    pub window_batches: u32,
    pub window_bytes: u64,
    pub max_batch_points: u64,
    pub max_batch_bytes: u64,
    /// Streams and calls so far.
    pub opened: usize,
    pub called: usize,
    pub connections: usize,
    pub epochs: HashMap<WriterId, u64>,
    pub keys: Vec<Option<String>>,
}

#[derive(Clone)]
pub struct Shared {
    pub store: Arc<Mutex<Store>>,
    pub behaviour: Arc<Mutex<Behaviour>>,
}

impl Shared {
    pub fn new() -> Self {
        let behaviour = Behaviour {
            streams: VecDeque::new(),
            calls: VecDeque::new(),
            reject: Vec::new(),
            reject_ends: false,
            window_batches: 4,
            window_bytes: 1 << 20,
            max_batch_points: 0,
            max_batch_bytes: 0,
            opened: 0,
            called: 0,
            connections: 0,
            epochs: HashMap::new(),
            keys: Vec::new(),
        };
        Shared { store: Arc::default(), behaviour: Arc::new(Mutex::new(behaviour)) }
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// Unary calls and streams so far.
    pub fn counts(&self) -> (usize, usize) {
        let behaviour = self.behaviour();
        (behaviour.called, behaviour.opened)
    }

    pub fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }
}

/// Dropping it is a SIGKILL: connections break in the middle of whatever they did.
pub struct Service {
    pub shared: Shared,
    pub address: SocketAddr,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    pub fn start() -> Service {
        Service::restart(Shared::new(), None)
    }

    /// With what another one kept, at its address.
    pub fn restart(shared: Shared, address: Option<SocketAddr>) -> Service {
        let (kill, killed) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let service = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let wanted = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
                let listener = loop {
                    match TcpListener::bind(wanted).await {
                        Ok(listener) => break listener,
                        // Whoever looks for a service at a port that nobody has may find itself there.
                        Err(_) if address.is_some() => tokio::time::sleep(Duration::from_millis(5)).await,
                        Err(err) => panic!("{err}"),
                    }
                };
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = serve(service, listener) => served.unwrap(),
                    _ = killed => {}
                }
            });
            // Dropping the runtime drops the connections.
        });
        Service { shared, address: told.recv().unwrap(), kill: Some(kill), thread: Some(thread) }
    }

    /// Returns when nothing of it is left.
    pub fn kill(mut self) -> (Shared, SocketAddr) {
        self.end();
        (self.shared.clone(), self.address)
    }

    pub fn server(&self) -> String {
        self.address.to_string()
    }

    fn end(&mut self) {
        self.kill.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(shared: Shared, listener: TcpListener) -> Result<(), tonic::transport::Error> {
    let counted = shared.clone();
    let incoming = tokio_stream::StreamExt::map(TcpListenerStream::new(listener), move |connection| {
        counted.behaviour().connections += 1;
        connection
    });
    tonic::transport::Server::builder()
        .add_service(IngestServer::new(shared.clone()))
        .add_service(CaptureServer::new(shared.clone()))
        .add_service(RunsServer::new(shared))
        .serve_with_incoming(incoming)
        .await
}

#[tonic::async_trait]
impl Ingest for Shared {
    type PushStream = ReceiverStream<Result<PushReply, Status>>;

    async fn push(&self, request: Request<Streaming<PushRequest>>) -> Result<Response<Self::PushStream>, Status> {
        let key = request.metadata().get("authorization").map(|key| key.to_str().unwrap().to_owned());
        let fault = {
            let mut behaviour = self.behaviour();
            behaviour.opened += 1;
            behaviour.keys.push(key);
            behaviour.streams.pop_front().unwrap_or(Fault::None)
        };
        let (replies, queue) = mpsc::channel(64);
        let stream = PushTask { shared: self.clone(), frames: request.into_inner(), replies: replies.clone(), fault };
        tokio::spawn(async move {
            if let Err(status) = stream.run().await {
                let _ = replies.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}

struct PushTask {
    shared: Shared,
    frames: Streaming<PushRequest>,
    replies: mpsc::Sender<Result<PushReply, Status>>,
    fault: Fault,
}

impl PushTask {
    async fn run(mut self) -> Result<(), Status> {
        // Whoever is killed between opening a stream and its first word breaks no rule.
        let Some(PushRequest { kind }) = self.frames.message().await? else { return Ok(()) };
        let Some(Frame::Hello(hello)) = kind else {
            return Err(self.violation("a stream began without Hello"));
        };
        let writer = WriterId(hello.writer.as_ref().try_into().unwrap());
        self.fence(writer, hello.epoch)?;
        match &self.fault {
            Fault::Refuse(status) => return Err(status.clone()),
            Fault::Silent => std::future::pending().await,
            _ => {}
        }
        if self.shared.store().attempts.get(&hello.run_id) != Some(&hello.attempt) {
            return Err(Status::not_found(format!("there is no attempt {} of run {}", hello.attempt, hello.run_id)));
        }
        let settled = self.shared.store().settled(writer);
        if hello.first_unacknowledged > settled + 1 {
            if !hello.lost_before_upload {
                return Err(Status::data_loss(format!("{} follows {settled}", hello.first_unacknowledged)));
            }
            self.shared.store().gap(writer, hello.first_unacknowledged - 1);
        }
        let settled = self.shared.store().settled(writer);
        let mut next = settled + 1;
        let forgotten = if let Fault::ForgetfulWelcome { by } = self.fault { by } else { 0 };
        next = next.saturating_sub(forgotten).max(hello.first_unacknowledged);
        let window = self.welcome(next - 1).await;
        let mut decoder = StreamDecoder::new(DecodeLimits::default());
        let mut under_way = VecDeque::new();
        let mut count = 0;
        while let Some(frame) = self.frames.message().await? {
            let Some(Frame::Batch(batch)) = frame.kind else {
                return Err(self.violation("a second Hello"));
            };
            let Some(Encoding::Columnar(data)) = batch.encoding else {
                return Err(self.violation("no columnar batch"));
            };
            if batch.first_seq != next || batch.last_seq < batch.first_seq {
                return Err(
                    self.violation(&format!("batch {}..={} where {next} follows", batch.first_seq, batch.last_seq))
                );
            }
            next = batch.last_seq + 1;
            under_way.push_back((batch.last_seq, data.len() as u64));
            self.check_window(&under_way, window);
            let decoded = match decoder.decode(batch.first_seq, batch.last_seq, &data) {
                Ok(decoded) => decoded,
                Err(err) => return Err(self.violation(&err.to_string())),
            };
            count += 1;
            match &self.fault {
                Fault::DropBefore { after } if count > *after => return Err(Status::unavailable("dropped before")),
                Fault::FailWith { after, status } if count > *after => return Err(status.clone()),
                Fault::StoreHalf { after } if count > *after => {
                    let middle = batch.first_seq + (batch.last_seq - batch.first_seq) / 2;
                    self.shared.store().commit(writer, &decoded, middle);
                    return Err(Status::unavailable("half is stored"));
                }
                Fault::Slow { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
                _ => {}
            }
            let rejected = {
                let behaviour = self.shared.behaviour();
                behaviour.reject.iter().any(|seq| (batch.first_seq..=batch.last_seq).contains(seq))
            };
            if rejected {
                self.shared.store().reject(writer, batch.first_seq, batch.last_seq);
                let reason = "it holds what cannot be stored".to_owned();
                let batch = v1::Rejected { first_seq: batch.first_seq, last_seq: batch.last_seq, reason };
                under_way.clear();
                self.reply(Reply::Rejected(batch)).await;
                if self.shared.behaviour().reject_ends {
                    return Err(Status::unavailable("names are lost"));
                }
                continue;
            }
            self.shared.store().commit(writer, &decoded, batch.last_seq);
            match &self.fault {
                Fault::DropAfter { after } if count > *after => return Err(Status::unavailable("dropped after")),
                Fault::LoseAcks { after } if count > *after => return Err(Status::unavailable("acks are lost")),
                Fault::LoseAcks { .. } | Fault::Mute => continue,
                _ => {}
            }
            under_way.clear();
            let acks = match self.fault {
                Fault::Stutter => vec![batch.first_seq, batch.last_seq, batch.last_seq, batch.first_seq - 1],
                _ => vec![batch.last_seq],
            };
            for committed_seq in acks {
                self.reply(Reply::Ack(v1::Ack { committed_seq })).await;
            }
        }
        Ok(())
    }

    async fn welcome(&self, committed_seq: u64) -> (usize, u64) {
        let welcome = {
            let behaviour = self.shared.behaviour();
            v1::Welcome {
                committed_seq,
                window_batches: behaviour.window_batches,
                window_bytes: behaviour.window_bytes,
                max_batch_bytes: behaviour.max_batch_bytes,
                max_batch_points: behaviour.max_batch_points,
            }
        };
        let window = (welcome.window_batches as usize, welcome.window_bytes);
        self.reply(Reply::Welcome(welcome)).await;
        window
    }

    fn fence(&self, writer: WriterId, epoch: u64) -> Result<(), Status> {
        let mut behaviour = self.shared.behaviour();
        let known = behaviour.epochs.entry(writer).or_default();
        if epoch < *known {
            return Err(Status::aborted(format!("epoch {epoch} is over, {known} has the writer")));
        }
        *known = epoch;
        Ok(())
    }

    fn check_window(&self, under_way: &VecDeque<(u64, u64)>, (batches, bytes): (usize, u64)) {
        let sum: u64 = under_way.iter().map(|(_, bytes)| bytes).sum();
        if under_way.len() > batches || (under_way.len() > 1 && sum > bytes) {
            self.violation(&format!("{} batches of {sum} bytes are under way", under_way.len()));
        }
    }

    fn violation(&self, what: &str) -> Status {
        self.shared.store().violations.push(what.to_owned());
        Status::invalid_argument(what)
    }

    async fn reply(&self, reply: Reply) {
        let _ = self.replies.send(Ok(PushReply { kind: Some(reply) })).await;
    }
}

impl Shared {
    /// The effect of a unary call, or the status that is told in its place.
    fn call<T>(&self, effect: impl FnOnce(&mut Store) -> Result<T, Status>) -> Result<Response<T>, Status> {
        let fault = {
            let mut behaviour = self.behaviour();
            behaviour.called += 1;
            behaviour.calls.pop_front()
        };
        if let Some((status, false)) = fault {
            return Err(status);
        }
        let done = effect(&mut self.store())?;
        match fault {
            Some((status, _)) => Err(status),
            None => Ok(Response::new(done)),
        }
    }
}

#[tonic::async_trait]
impl Runs for Shared {
    async fn create_run(&self, request: Request<v1::CreateRunRequest>) -> Result<Response<v1::CreateRunReply>, Status> {
        let run_id = request.into_inner().run_id;
        self.call(|store| {
            let attempt = *store.attempts.entry(run_id.clone()).or_insert(1);
            store.events.push(Event::Created { run_id, attempt });
            Ok(v1::CreateRunReply { attempt, run: None })
        })
    }

    async fn update_run(&self, request: Request<v1::UpdateRunRequest>) -> Result<Response<v1::UpdateRunReply>, Status> {
        let request = request.into_inner();
        self.call(|store| {
            let stored = store.stored();
            store.events.push(Event::Updated { run_id: request.run_id, summary_json: request.summary_json, stored });
            Ok(v1::UpdateRunReply {})
        })
    }

    async fn finish_run(&self, request: Request<v1::FinishRunRequest>) -> Result<Response<v1::FinishRunReply>, Status> {
        let v1::FinishRunRequest { run_id, attempt, exit_code, vanished, .. } = request.into_inner();
        self.call(|store| {
            let stored = store.stored();
            store.events.push(if vanished {
                Event::Vanished { run_id, attempt, stored }
            } else {
                Event::Finished { run_id, attempt, exit_code, stored }
            });
            Ok(v1::FinishRunReply {})
        })
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Result<Response<v1::HeartbeatReply>, Status> {
        self.store().heartbeats.push(request.into_inner().signs);
        Ok(Response::new(v1::HeartbeatReply { next_ms: 1_000, superseded: Vec::new() }))
    }

    async fn get_lineage(&self, _: Request<v1::GetLineageRequest>) -> Result<Response<v1::GetLineageReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }

    async fn bring_back(&self, _: Request<v1::BringBackRequest>) -> Result<Response<v1::BringBackReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }

    async fn get_run(&self, _: Request<v1::GetRunRequest>) -> Result<Response<v1::GetRunReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }

    async fn delete_run(&self, _: Request<v1::DeleteRunRequest>) -> Result<Response<v1::DeleteRunReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }

    async fn list_runs(&self, _: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }
}

#[tonic::async_trait]
impl Capture for Shared {
    async fn put_context(&self, _: Request<v1::PutContextRequest>) -> Result<Response<v1::PutContextReply>, Status> {
        Ok(Response::new(v1::PutContextReply::default()))
    }

    async fn get_context(&self, _: Request<v1::GetContextRequest>) -> Result<Response<v1::GetContextReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }

    async fn append_console(
        &self,
        request: Request<v1::AppendConsoleRequest>,
    ) -> Result<Response<v1::AppendConsoleReply>, Status> {
        let lines = request.into_inner().lines.into_iter().map(|line| line.text);
        self.store().console.extend(lines);
        Ok(Response::new(v1::AppendConsoleReply::default()))
    }

    async fn read_console(&self, _: Request<v1::ReadConsoleRequest>) -> Result<Response<v1::ReadConsoleReply>, Status> {
        Err(Status::unimplemented("no uploader asks this"))
    }
}
