//! Control records of a spool as calls of the service.

use serde_json::{json, Map, Value};
use stepline_core::spool::SpoolMeta;
use stepline_wire::json::{self, JsonError};
use stepline_wire::v1;

/// What a control record asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Call {
    Update(v1::UpdateRunRequest),
    Finish(v1::FinishRunRequest),
    Context(v1::PutContextRequest),
    Console(v1::AppendConsoleRequest),
}

impl Call {
    /// Nobody misses what a service that is older than the client does not know.
    pub fn is_optional(&self) -> bool {
        matches!(self, Call::Context(_) | Call::Console(_))
    }

    /// Reads the control record `ordinal` of the spool of `meta`.
    pub fn parse(text: &str, ordinal: u64, meta: &SpoolMeta, attempt: u32) -> Result<Call, JsonError> {
        let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let mut entries = object.into_iter();
        match (entries.next(), entries.next()) {
            (Some((kind, Value::Object(body))), None) => match kind.as_str() {
                "update" => update(body, meta, attempt).map(Call::Update),
                "finish" => finish(body, meta, attempt).map(Call::Finish),
                "context" => context(body, meta, attempt).map(Call::Context),
                "gap" => update(gap(body, ordinal, meta), meta, attempt).map(Call::Update),
                other => Err(JsonError::new(format!("a control record of kind {other:?} is unknown"))),
            },
            _ => Err(JsonError::new("a control record is an object with one entry")),
        }
    }

    /// That the writer of the spool is gone and has not said how it ended.
    pub fn vanished(meta: &SpoolMeta, attempt: u32) -> Result<Call, JsonError> {
        finish(Map::from_iter([("vanished".to_owned(), true.into())]), meta, attempt).map(Call::Finish)
    }
}

fn update(mut body: Map<String, Value>, meta: &SpoolMeta, attempt: u32) -> Result<v1::UpdateRunRequest, JsonError> {
    body.insert("run_id".into(), meta.run_id.clone().into());
    body.insert("attempt".into(), attempt.into());
    json::update_run(&Value::Object(body).to_string())
}

fn finish(mut body: Map<String, Value>, meta: &SpoolMeta, attempt: u32) -> Result<v1::FinishRunRequest, JsonError> {
    body.insert("run_id".into(), meta.run_id.clone().into());
    body.insert("attempt".into(), attempt.into());
    body.insert("rank".into(), meta.rank.into());
    body.insert("writer".into(), meta.writer.clone().into());
    json::finish_run(&Value::Object(body).to_string())
}

fn context(body: Map<String, Value>, meta: &SpoolMeta, attempt: u32) -> Result<v1::PutContextRequest, JsonError> {
    let mut request = json::put_context(&Value::Object(body).to_string())?;
    request.run_id = meta.run_id.clone();
    request.attempt = attempt;
    request.rank = meta.rank;
    request.writer = json::writer(&meta.writer)?;
    Ok(request)
}

/// A gap becomes an entry of the run's summary, under a key that is the same when it is sent again.
fn gap(mut body: Map<String, Value>, ordinal: u64, meta: &SpoolMeta) -> Map<String, Value> {
    body.insert("rank".into(), meta.rank.into());
    let key = format!("stepline/gap/{}/{ordinal}", meta.writer);
    let summary = json!({ key: body }).to_string();
    Map::from_iter([("summary_json".to_owned(), summary.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> SpoolMeta {
        SpoolMeta { run_id: "r".into(), rank: 3, writer: "00".repeat(16), ..SpoolMeta::default() }
    }

    fn parse(text: &str) -> Result<Call, JsonError> {
        Call::parse(text, 7, &meta(), 2)
    }

    #[test]
    fn the_spool_says_which_run_and_rank_it_is() {
        let Ok(Call::Finish(finish)) = parse(r#"{"finish": {"exit_code": 1, "finished_ms": 5}}"#) else { panic!() };
        assert_eq!((finish.run_id.as_str(), finish.attempt, finish.rank, finish.exit_code), ("r", 2, 3, 1));
        assert_eq!(finish.writer.len(), 16);
        let Ok(Call::Update(update)) = parse(r#"{"update": {"summary_json": "{\"a\":1}"}}"#) else { panic!() };
        assert_eq!((update.run_id.as_str(), update.summary_json.as_str()), ("r", r#"{"a":1}"#));
    }

    #[test]
    fn a_context_is_that_of_the_process() {
        let Ok(Call::Context(context)) = parse(r#"{"context": {"part": "git", "content": {"a": 1}}}"#) else {
            panic!()
        };
        assert_eq!((context.run_id.as_str(), context.attempt, context.rank, context.part.as_str()), ("r", 2, 3, "git"));
        assert_eq!((context.writer.len(), context.content_json.as_str()), (16, r#"{"a":1}"#));
    }

    #[test]
    fn a_gap_is_an_entry_of_the_summary_with_a_key_of_its_own() {
        let Ok(Call::Update(update)) = parse(r#"{"gap": {"count": 9, "reason": "disk full"}}"#) else { panic!() };
        let summary: Value = serde_json::from_str(&update.summary_json).unwrap();
        let key = format!("stepline/gap/{}/7", meta().writer);
        assert_eq!(summary[key.as_str()], json!({"count": 9, "rank": 3, "reason": "disk full"}));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "[]", "{}", r#"{"a": {}, "b": {}}"#, r#"{"update": 1}"#, r#"{"jump": {}}"#, r#"{"update": {"no": 1}}"#]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
