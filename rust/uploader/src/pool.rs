//! One connection for all spools that go to the same server with the same key and the same certificates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::heart::Heart;
use stepline_wire::{Link, LinkError, Stamp, TlsFiles};

/// A server, a key, certificates.
pub(crate) type Way = (String, Option<String>, TlsFiles);

#[derive(Clone, Default)]
pub(crate) struct Pool {
    links: Arc<Mutex<HashMap<Way, (Stamp, Link)>>>,
    heart: Heart,
}

impl Pool {
    pub fn heart(&self) -> &Heart {
        &self.heart
    }

    /// A link made from certificates that were renewed since is replaced; streams that use it go on.
    pub fn link(&self, server: &str, api_key: Option<&str>, tls: &TlsFiles) -> Result<Link, LinkError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (server.to_owned(), api_key.map(str::to_owned), tls.clone());
        let stamp = tls.stamp();
        if let Some((_, link)) = links.get(&key).filter(|(made, _)| *made == stamp) {
            return Ok(link.clone());
        }
        let link = Link::new(server, api_key, tls)?;
        links.insert(key, (stamp, link.clone()));
        Ok(link)
    }
}
