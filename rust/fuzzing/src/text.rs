//! Text from other hands: addresses, JSON, and what a service says about a failed call.

use stepline_core::id::WriterId;
use stepline_core::spool::SpoolMeta;
use stepline_wire::{json, Failure, ServerAddress};
use tonic::{Code, Status};

use crate::memory::bounded;

/// A few copies of the input.
const MEMORY: usize = 4 << 20;

pub fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    bounded(MEMORY, || match kind % 4 {
        0 => failure(rest),
        1 => with_text(rest, address),
        2 => with_text(rest, request),
        _ => with_text(rest, metadata),
    });
}

fn with_text(data: &[u8], target: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(data) {
        target(text);
    }
}

fn address(text: &str) {
    let Ok(address) = text.parse::<ServerAddress>() else { return };
    let shown = address.to_string();
    assert!(shown.parse::<ServerAddress>().as_ref() == Ok(&address), "{text:?} became {shown:?}");
}

fn request(text: &str) {
    let _ = json::create_run(text);
    let _ = json::update_run(text);
    let _ = json::finish_run(text);
    let _ = json::writer(text);
}

fn metadata(text: &str) {
    if let Some(id) = WriterId::from_hex(text) {
        assert!(WriterId::from_hex(&id.to_hex()) == Some(id));
    }
    if let Ok(meta) = SpoolMeta::from_json(text) {
        let again = serde_json::to_string(&meta).ok().and_then(|text| SpoolMeta::from_json(&text).ok());
        assert!(again == Some(meta), "{text:?} did not come back");
    }
}

fn failure(data: &[u8]) {
    let Some((code, details)) = data.split_first() else { return };
    let message = String::from_utf8_lossy(details).into_owned();
    let failure = Failure::new(&Status::with_details(Code::from(i32::from(*code)), message, details.to_vec().into()));
    let _ = (failure.verdict(), failure.code_name(), failure.message().len(), failure.is_transport());
    assert!(!failure.to_string().is_empty());
}
