//! The certificates of this side: whom it trusts, and what it shows of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// PEM files. Without a CA the roots of the system are trusted; without a certificate this side shows none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// When each file was written. A connection made from other files is not used again.
pub type Stamp = [Option<SystemTime>; 3];

impl TlsFiles {
    /// Nothing was given.
    pub fn is_empty(&self) -> bool {
        *self == TlsFiles::default()
    }

    pub fn stamp(&self) -> Stamp {
        [&self.ca, &self.cert, &self.key].map(|file| fs::metadata(file.as_deref()?).ok()?.modified().ok())
    }

    /// What to do when they cannot be used.
    pub(crate) fn remedy(&self) -> &'static str {
        if self.cert.is_some() {
            "check that STEPLINE_TLS_CERT is a certificate of version 3 (`openssl x509 -req` makes one with -extfile) and \
             STEPLINE_TLS_KEY its key"
        } else {
            "install the root certificates of this system (Debian: ca-certificates) or set STEPLINE_TLS_CA"
        }
    }

    /// Reads the files; the error says which one is wrong and what to do.
    pub(crate) fn config(&self) -> Result<ClientTlsConfig, String> {
        let config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("STEPLINE_TLS_CA", ca)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (&self.cert, &self.key) {
            (None, None) => Ok(config),
            (Some(cert), Some(key)) => {
                Ok(config.identity(Identity::from_pem(pem("STEPLINE_TLS_CERT", cert)?, pem("STEPLINE_TLS_KEY", key)?)))
            }
            _ => Err("STEPLINE_TLS_CERT and STEPLINE_TLS_KEY belong together: set both, or neither".into()),
        }
    }
}

fn pem(name: &str, path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path)
        .map_err(|err| format!("cannot read {name}={} ({err}): name a file that this user may read", path.display()))?;
    if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(bytes);
    }
    Err(format!("{name}={} holds nothing in PEM form: convert it with openssl", path.display()))
}

/// What to do about a connection that TLS refused; `text` is what the layers below said.
pub(crate) fn remedy(text: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["UnknownIssuer", "CaUsedAsEndEntity"]) {
        return Some("set STEPLINE_TLS_CA to the CA that signed the certificate of the service");
    }
    if has(&["NotValidForName"]) {
        return Some("use the host name that the certificate of the service names");
    }
    if has(&["certificate expired", "Expired"]) {
        return Some("the certificate of the service has expired: renew it there, or set this host's clock");
    }
    if has(&["CertificateRequired", "certificate required"]) {
        return Some("the service asks for a client certificate: set STEPLINE_TLS_CERT and STEPLINE_TLS_KEY");
    }
    if has(&["received fatal alert"]) {
        return Some(
            "the service refuses this client's certificate: set STEPLINE_TLS_CERT to one that its client CA signed",
        );
    }
    if has(&["InvalidContentType", "corrupt message"]) {
        return Some("the service speaks no TLS on this port: leave out https://, or start it with --tls-cert");
    }
    if has(&["close_notify"]) {
        return Some("if the service asks for client certificates, set STEPLINE_TLS_CERT and STEPLINE_TLS_KEY");
    }
    if has(&["stream closed because of a broken pipe"]) {
        return Some("if the service speaks TLS, write https:// before its address");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_files_is_said_with_the_variable() {
        let dir = std::env::temp_dir();
        let gone = TlsFiles { ca: Some(dir.join("no-such-ca.pem")), ..TlsFiles::default() };
        assert!(gone.config().unwrap_err().contains("STEPLINE_TLS_CA"));
        let half = TlsFiles { cert: Some(dir.join("cert.pem")), ..TlsFiles::default() };
        assert!(half.config().unwrap_err().contains("belong together"));
        assert_eq!(gone.stamp(), [None, None, None]);
        assert!(!gone.is_empty() && TlsFiles::default().is_empty());
    }

    #[test]
    fn refusals_of_tls_name_their_remedy() {
        assert!(remedy("invalid peer certificate: UnknownIssuer").is_some_and(|text| text.contains("STEPLINE_TLS_CA")));
        assert_eq!(remedy("connection refused"), None);
    }
}
