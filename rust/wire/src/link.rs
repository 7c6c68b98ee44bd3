//! The way to one service: a connection that makes itself when it is used, and the key that goes with every call.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::address::{AddressError, ServerAddress};
use crate::failure::reasons;
use crate::tls::TlsFiles;
use crate::v1::admin_client::AdminClient;
use crate::v1::audit_client::AuditClient;
use crate::v1::capture_client::CaptureClient;
use crate::v1::catalogue_client::CatalogueClient;
use crate::v1::ingest_client::IngestClient;
use crate::v1::keys_client::KeysClient;
use crate::v1::live_client::LiveClient;
use crate::v1::query_client::QueryClient;
use crate::v1::runs_client::RunsClient;

/// A connection attempt that takes longer has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that vanished without a word is noticed after the sum of both. The service must allow pings this often
/// (docs/protocol.md, "Connections").
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// What the service may have on its way to this side: history and charts come in large chunks.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// The largest message that this side takes: a list of a million metrics still passes.
const LARGEST_REPLY: usize = 256 << 20;

pub type Authorized = InterceptedService<Channel, Bearer>;

/// Why no way to a service could be made. No retry helps.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("the API key has characters that no key has: copy it again from `stepline key`")]
    ApiKey,
    #[error("cannot set up TLS for {address}: {why}")]
    Files { address: ServerAddress, why: String },
    #[error("cannot set up TLS for {address}: {why}; {remedy}")]
    Tls { address: ServerAddress, why: String, remedy: &'static str },
    #[error(
        "{address} is on another machine, and nothing was said about encryption: write https://{address} for TLS, or \
         http://{address} to send points and the API key in the clear in a network that you trust (STEPLINE_INSECURE=1 \
         says so for every address)"
    )]
    Plaintext { address: ServerAddress },
}

/// Clones share the connection. Belongs to the tokio runtime in which it was made.
#[derive(Clone, Debug)]
pub struct Link {
    address: ServerAddress,
    service: Authorized,
}

impl Link {
    /// Prepares the way to `server`; the connection is made by the first call, and again whenever it broke. Call it within a runtime.
    /// Without TLS only to this machine, or where the address says `http://`.
    pub fn new(server: &str, api_key: Option<&str>, tls: &TlsFiles) -> Result<Link, LinkError> {
        let address: ServerAddress = server.parse()?;
        if !address.tls() && !address.says_plaintext() && !address.is_loopback() {
            return Err(LinkError::Plaintext { address });
        }
        let channel = endpoint(&address, tls)?.connect_lazy();
        Ok(Link { service: InterceptedService::new(channel, Bearer::new(api_key)?), address })
    }

    /// The same connection with another key.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub fn ingest(&self) -> IngestClient<Authorized> {
        IngestClient::new(self.service.clone())
    }

    pub fn runs(&self) -> RunsClient<Authorized> {
        RunsClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub fn keys(&self) -> KeysClient<Authorized> {
        KeysClient::new(self.service.clone())
    }

    pub fn admin(&self) -> AdminClient<Authorized> {
        AdminClient::new(self.service.clone())
    }

    pub fn audit(&self) -> AuditClient<Authorized> {
        AuditClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub fn catalogue(&self) -> CatalogueClient<Authorized> {
        CatalogueClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub fn live(&self) -> LiveClient<Authorized> {
        LiveClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub fn capture(&self) -> CaptureClient<Authorized> {
        CaptureClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }

    pub fn query(&self) -> QueryClient<Authorized> {
        QueryClient::new(self.service.clone()).max_decoding_message_size(LARGEST_REPLY)
    }
}

fn endpoint(address: &ServerAddress, tls: &TlsFiles) -> Result<Endpoint, LinkError> {
    let failed = |err: tonic::transport::Error| LinkError::Tls {
        address: address.clone(),
        why: reasons(&err),
        remedy: tls.remedy(),
    };
    let endpoint = Endpoint::from_shared(address.uri())
        .map_err(failed)?
        .user_agent(concat!("stepline/", env!("CARGO_PKG_VERSION")))
        .map_err(failed)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if address.tls() {
        let config = tls.config().map_err(|why| LinkError::Files { address: address.clone(), why })?;
        return endpoint.tls_config(config).map_err(failed);
    }
    Ok(endpoint)
}

/// Adds `authorization: Bearer KEY` to every call when there is a key.
#[derive(Clone)]
pub struct Bearer {
    header: Option<MetadataValue<Ascii>>,
}

impl Bearer {
    fn new(api_key: Option<&str>) -> Result<Bearer, LinkError> {
        let Some(key) = api_key.map(str::trim).filter(|key| !key.is_empty()) else {
            return Ok(Bearer { header: None });
        };
        let mut header: MetadataValue<Ascii> = format!("Bearer {key}").parse().map_err(|_| LinkError::ApiKey)?;
        header.set_sensitive(true);
        Ok(Bearer { header: Some(header) })
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.header.is_some() { "Bearer(***)" } else { "Bearer(none)" })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_header_that_no_debug_output_shows() {
        let mut bearer = Bearer::new(Some(" secret\n")).unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer secret");
        assert!(!format!("{bearer:?}{request:?}").contains("secret"));
    }

    #[test]
    fn no_key_no_header_and_a_key_with_a_newline_inside_is_refused() {
        for none in [None, Some(""), Some("  ")] {
            let request = Bearer::new(none).unwrap().call(Request::new(())).unwrap();
            assert!(request.metadata().is_empty());
        }
        assert!(matches!(Bearer::new(Some("a\nb")), Err(LinkError::ApiKey)));
    }

    #[tokio::test]
    async fn both_schemes_make_a_link() {
        for server in ["127.0.0.1:1", "https://localhost:1"] {
            let link = Link::new(server, Some("key"), &TlsFiles::default()).unwrap();
            assert_eq!(link.address().to_string(), server);
        }
    }

    #[tokio::test]
    async fn a_pair_that_cannot_be_shown_is_named_with_its_variables() {
        let dir = std::env::temp_dir().join(format!("stepline-link-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = |name: &str| {
            let path = dir.join(name);
            std::fs::write(&path, format!("-----BEGIN {name}-----\nAAAA\n-----END {name}-----\n")).unwrap();
            Some(path)
        };
        let tls = TlsFiles { ca: None, cert: file("CERTIFICATE"), key: file("PRIVATE KEY") };
        let message = Link::new("https://localhost:1", None, &tls).unwrap_err().to_string();
        assert!(message.contains("STEPLINE_TLS_CERT") && !message.contains("transport error"), "{message}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn plaintext_leaves_this_machine_only_when_the_address_says_so() {
        let link = |server: &str| Link::new(server, None, &TlsFiles::default());
        for server in
            ["127.0.0.2:1", "[::1]:1", "localhost:1", "http://gpu-1:1", "http://10.0.0.1:1", "https://gpu-1:1"]
        {
            link(server).unwrap();
        }
        for server in ["gpu-1:1", "10.0.0.1:1", "[fe80::1]:1", "localhost.example:1", "0.0.0.0:1"] {
            let message = link(server).unwrap_err().to_string();
            assert!(
                message.contains(&format!("https://{server}")) && message.contains("STEPLINE_INSECURE"),
                "{message}"
            );
        }
    }
}
