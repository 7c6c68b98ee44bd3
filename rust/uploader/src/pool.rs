//! One connection for all spools that go to the same server with the same key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stepline_wire::{Link, LinkError};

type Key = (String, Option<String>);

#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<HashMap<Key, Link>>>);

impl Pool {
    pub fn link(&self, server: &str, api_key: Option<&str>) -> Result<Link, LinkError> {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (server.to_owned(), api_key.map(str::to_owned));
        if let Some(link) = links.get(&key) {
            return Ok(link.clone());
        }
        let link = Link::new(server, api_key)?;
        links.insert(key, link.clone());
        Ok(link)
    }
}
