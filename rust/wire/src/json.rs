//! Requests from JSON: mostly objects with the field names of the .proto files, the writer as 32 hexadecimal digits, `resume` and
//! `on_live` as lower-case words. What Python hands over, and what control records of a spool hold.

use prost::bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::v1;

/// The text is not the JSON of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; use the field names of proto/stepline/v1/runs.proto")]
pub struct JsonError(String);

impl JsonError {
    pub fn new(what: impl Into<String>) -> Self {
        JsonError(what.into())
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Create {
    project: String,
    run_id: String,
    name: String,
    config_json: String,
    tags: Vec<String>,
    group: String,
    job_type: String,
    resume: String,
    fork_from: String,
    launch_id: String,
    rank: u32,
    world_size: u32,
    writer: String,
    host: String,
    pid: u32,
    created_ms: i64,
    on_live: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Update {
    run_id: String,
    config_json: String,
    summary_json: String,
    name: Option<String>,
    notes: Option<String>,
    tags: Option<Vec<String>>,
    group: Option<String>,
    job_type: Option<String>,
    add_tags: Vec<String>,
    remove_tags: Vec<String>,
    preempting: bool,
    attempt: u32,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Finish {
    run_id: String,
    attempt: u32,
    rank: u32,
    writer: String,
    exit_code: i32,
    finished_ms: i64,
    vanished: bool,
    error_type: String,
    error_message: String,
    preempted: bool,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Context {
    part: String,
    content: Value,
}

pub fn create_run(json: &str) -> Result<v1::CreateRunRequest, JsonError> {
    let it: Create = read("CreateRunRequest", json)?;
    Ok(v1::CreateRunRequest {
        project: it.project,
        run_id: it.run_id,
        name: it.name,
        config_json: it.config_json,
        tags: it.tags,
        group: it.group,
        job_type: it.job_type,
        resume: resume(&it.resume)?.into(),
        fork_from: it.fork_from,
        launch_id: it.launch_id,
        rank: it.rank,
        world_size: it.world_size,
        writer: writer(&it.writer)?,
        host: it.host,
        pid: it.pid,
        created_ms: it.created_ms,
        on_live: on_live(&it.on_live)?.into(),
        // Who calls init() is no child.
        child: false,
    })
}

pub fn update_run(json: &str) -> Result<v1::UpdateRunRequest, JsonError> {
    let it: Update = read("UpdateRunRequest", json)?;
    Ok(v1::UpdateRunRequest {
        run_id: it.run_id,
        config_json: it.config_json,
        summary_json: it.summary_json,
        name: it.name,
        notes: it.notes,
        tags: it.tags.map(|tags| v1::TagList { tags }),
        group: it.group,
        job_type: it.job_type,
        add_tags: it.add_tags,
        remove_tags: it.remove_tags,
        preempting: it.preempting,
        attempt: it.attempt,
    })
}

pub fn finish_run(json: &str) -> Result<v1::FinishRunRequest, JsonError> {
    let it: Finish = read("FinishRunRequest", json)?;
    Ok(v1::FinishRunRequest {
        run_id: it.run_id,
        attempt: it.attempt,
        rank: it.rank,
        writer: writer(&it.writer)?,
        exit_code: it.exit_code,
        finished_ms: it.finished_ms,
        vanished: it.vanished,
        error_type: it.error_type,
        error_message: it.error_message,
        preempted: it.preempted,
    })
}

/// Of `{"part": .., "content": {..}}`; whose it is, the caller says.
pub fn put_context(json: &str) -> Result<v1::PutContextRequest, JsonError> {
    let it: Context = read("PutContextRequest", json)?;
    Ok(v1::PutContextRequest { part: it.part, content_json: it.content.to_string(), ..Default::default() })
}

/// never | allow | must | auto; empty for none.
pub fn resume(word: &str) -> Result<v1::Resume, JsonError> {
    match word {
        "" => Ok(v1::Resume::Unspecified),
        "never" => Ok(v1::Resume::Never),
        "allow" => Ok(v1::Resume::Allow),
        "must" => Ok(v1::Resume::Must),
        "auto" => Ok(v1::Resume::Auto),
        other => Err(JsonError(format!("resume is {other:?}, which is none of never, allow, must and auto"))),
    }
}

/// refuse | take_over | new_run; empty for none.
pub fn on_live(word: &str) -> Result<v1::OnLive, JsonError> {
    match word {
        "" => Ok(v1::OnLive::Unspecified),
        "refuse" => Ok(v1::OnLive::Refuse),
        "take_over" => Ok(v1::OnLive::TakeOver),
        "new_run" => Ok(v1::OnLive::NewRun),
        other => Err(JsonError(format!("on_live is {other:?}, which is none of refuse, take_over and new_run"))),
    }
}

/// The 16 bytes of a writer id; empty text for none.
pub fn writer(hex: &str) -> Result<Bytes, JsonError> {
    if hex.is_empty() {
        return Ok(Bytes::new());
    }
    let wrong = || JsonError(format!("writer is {hex:?}, which are not 32 hexadecimal digits"));
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let value = u128::from_str_radix(hex, 16).map_err(|_| wrong())?;
    Ok(Bytes::copy_from_slice(&value.to_be_bytes()))
}

/// Through a map, because serde would take an array of the fields as well.
fn read<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, JsonError> {
    serde_json::from_str::<Map<String, Value>>(json)
        .and_then(|fields| T::deserialize(Value::Object(fields)))
        .map_err(|err| JsonError(format!("this is no JSON of a {what}: {err}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_hex_become_what_the_wire_wants() {
        let json = r#"{"run_id": "r", "resume": "allow", "writer": "000102030405060708090a0b0c0d0e0f", "rank": 3, "tags": ["a"]}"#;
        let request = create_run(json).unwrap();
        assert_eq!(request.resume(), v1::Resume::Allow);
        assert_eq!(request.writer.as_ref(), (0u8..16).collect::<Vec<_>>());
        assert_eq!((request.rank, request.tags), (3, vec!["a".to_owned()]));
    }

    #[test]
    fn what_is_absent_in_an_update_stays_unset() {
        let request = update_run(r#"{"run_id": "r", "summary_json": "{}"}"#).unwrap();
        assert_eq!((request.name, request.notes, request.tags), (None, None, None));
        let request = update_run(r#"{"run_id": "r", "tags": []}"#).unwrap();
        assert_eq!(request.tags, Some(v1::TagList { tags: vec![] }));
    }

    #[test]
    fn mistakes_are_named() {
        for json in ["", "[]", r#"{"runid": "r"}"#, r#"{"resume": "maybe"}"#, r#"{"writer": "xyz"}"#, r#"{"rank": -1}"#]
        {
            let message = create_run(json).unwrap_err().to_string();
            assert!(message.contains("use the field names"), "{message}");
        }
        assert!(finish_run(r#"{"writer": "+00102030405060708090a0b0c0d0e0f"}"#).is_err());
    }
}
