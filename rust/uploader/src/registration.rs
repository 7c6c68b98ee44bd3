//! The unary calls of a spool: registering its run, and what its control records ask for.

use std::future::Future;
use std::time::Duration;

use stepline_core::spool::SpoolMeta;
use stepline_wire::json::{self, JsonError};
use stepline_wire::{v1, Failure, Link};
use tonic::{Response, Status};

use crate::control::Call;

/// The request that registers the start of the run. It may be repeated: ranks with the same launch id join the same attempt.
pub(crate) fn request(meta: &SpoolMeta) -> Result<v1::CreateRunRequest, JsonError> {
    Ok(v1::CreateRunRequest {
        project: meta.project.clone(),
        run_id: meta.run_id.clone(),
        name: meta.name.clone(),
        config_json: meta.config_json.clone(),
        tags: meta.tags.clone(),
        group: meta.group.clone(),
        job_type: meta.job_type.clone(),
        resume: json::resume(&meta.resume)?.into(),
        fork_from: meta.fork_from.clone(),
        launch_id: meta.launch_id.clone(),
        rank: meta.rank,
        world_size: meta.world_size,
        writer: json::writer(&meta.writer)?,
        host: meta.host.clone(),
        pid: meta.pid,
        created_ms: meta.created_ms,
        on_live: json::on_live(&meta.on_live)?.into(),
        child: meta.child,
    })
}

pub(crate) async fn create(
    link: &Link,
    request: v1::CreateRunRequest,
    limit: Duration,
) -> Result<v1::CreateRunReply, Failure> {
    let mut runs = link.runs();
    within("Runs.CreateRun", limit, runs.create_run(request)).await
}

/// Says that attempts live. Returns when to say so again.
pub(crate) async fn heartbeat(
    link: &Link,
    signs: Vec<v1::SignOfLife>,
    limit: Duration,
) -> Result<v1::HeartbeatReply, Failure> {
    let mut runs = link.runs();
    within("Runs.Heartbeat", limit, runs.heartbeat(v1::HeartbeatRequest { signs })).await
}

pub(crate) async fn perform(link: &Link, call: Call, limit: Duration) -> Result<(), Failure> {
    let (mut runs, mut capture) = (link.runs(), link.capture());
    match call {
        Call::Update(request) => within("Runs.UpdateRun", limit, runs.update_run(request)).await.map(drop),
        Call::Finish(request) => within("Runs.FinishRun", limit, runs.finish_run(request)).await.map(drop),
        Call::Context(request) => within("Capture.PutContext", limit, capture.put_context(request)).await.map(drop),
        Call::Console(request) => {
            within("Capture.AppendConsole", limit, capture.append_console(request)).await.map(drop)
        }
    }
}

async fn within<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(reply) => Ok(reply?.into_inner()),
        Err(_) => Err(Failure::timed_out(what, limit)),
    }
}
