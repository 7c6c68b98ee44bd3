//! Where a service listens, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A parsed server address. `Display` gives back its shortest form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
    security: Security,
}

/// What the scheme says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Security {
    /// https
    Tls,
    /// http
    Plaintext,
    /// No scheme: plaintext, but only on this machine.
    Unsaid,
}

/// What was written is no server address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no server address ({why}): write HOST:PORT such as 127.0.0.1:7424, [IPV6]:PORT, \
     http://HOST:PORT, or https://HOST:PORT for TLS"
)]
pub struct AddressError {
    text: String,
    why: &'static str,
}

impl ServerAddress {
    pub fn tls(&self) -> bool {
        self.security == Security::Tls
    }

    /// The address asks for plaintext in so many letters.
    pub fn says_plaintext(&self) -> bool {
        self.security == Security::Plaintext
    }

    /// Only this machine can be meant. A name other than localhost is not trusted to stay at home.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback())
    }

    /// The address as the URI that a channel wants.
    pub(crate) fn uri(&self) -> String {
        let scheme = if self.tls() { "https" } else { "http" };
        format!("{scheme}://{}:{}", bracketed(&self.host), self.port)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.security {
            Security::Tls => "https://",
            Security::Plaintext if !self.is_loopback() => "http://",
            Security::Plaintext | Security::Unsaid => "",
        };
        write!(f, "{scheme}{}:{}", bracketed(&self.host), self.port)
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text.trim()).map_err(|why| AddressError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<ServerAddress, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (authority, security, default_port) = match text.split_once("://") {
        Some(("http", rest)) => (rest.strip_suffix('/').unwrap_or(rest), Security::Plaintext, Some(80)),
        Some(("https", rest)) => (rest.strip_suffix('/').unwrap_or(rest), Security::Tls, Some(443)),
        Some(_) => return Err("only http and https are known"),
        None => (text, Security::Unsaid, None),
    };
    if authority.contains(['/', '?', '#', '@']) {
        return Err("it takes no path, query or user");
    }
    let (host, port) = split(authority)?;
    let port = match (port, default_port) {
        (Some(digits), _) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or("the port is a number from 1 to 65535")?
        }
        (None, Some(port)) => port,
        (None, None) => return Err("the port is missing"),
    };
    Ok(ServerAddress { host, port, security })
}

fn split(authority: &str) -> Result<(String, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "between the brackets is no IPv6 address")?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host.to_owned(), Some(port))),
            None if after.is_empty() => Ok((host.to_owned(), None)),
            None => Err("after the bracket comes :PORT"),
        };
    }
    if authority.matches(':').count() > 1 {
        return Err("an IPv6 address stands in brackets");
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() {
        return Err("the host is missing");
    }
    if !host.chars().all(known) {
        return Err("the host has characters that no host name has");
    }
    Ok((host.to_owned(), port))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> String {
        text.parse::<ServerAddress>().unwrap().uri()
    }

    #[test]
    fn every_accepted_form_has_one_uri() {
        assert_eq!(uri("127.0.0.1:7424"), "http://127.0.0.1:7424");
        assert_eq!(uri(" gpu-1.example:7424 "), "http://gpu-1.example:7424");
        assert_eq!(uri("[::1]:7424"), "http://[::1]:7424");
        assert_eq!(uri("http://a:1/"), "http://a:1");
        assert_eq!(uri("http://a"), "http://a:80");
        assert_eq!(uri("https://a"), "https://a:443");
        assert_eq!(uri("https://[fe80::1]:9"), "https://[fe80::1]:9");
    }

    #[test]
    fn display_reads_back_as_itself() {
        for text in ["127.0.0.1:7424", "[::1]:7424", "https://a:443", "http://a:80", "a:80"] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn everything_else_names_the_right_form() {
        let wrong = [
            "",
            "host",
            ":1",
            "a:0",
            "a:65536",
            "a:x",
            "::1:7424",
            "[::1",
            "[::1]7",
            "[a]:1",
            "grpc://a:1",
            "a:1/path",
            "me@a:1",
            "a b:1",
            "ä:1",
        ];
        for text in wrong {
            let message = text.parse::<ServerAddress>().unwrap_err().to_string();
            assert!(message.contains("write HOST:PORT"), "{message}");
        }
    }
}
