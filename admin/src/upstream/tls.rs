//! The TLS options of the client, read and checked at start.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::limits::FILE_BYTES_MAX;

/// The files, by path; empty texts are none.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that upstreams must be certified by, in place of the system's.
    pub root_ca_file: String,
    /// What is shown to upstreams that ask.
    pub cert_file: String,
    /// The key to it.
    pub key_file: String,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
}

/// Why the files cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// One of certificate and key is missing.
    Pair,
    /// A file cannot be read.
    Read {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file does not hold what it should.
    Content {
        /// Which.
        path: String,
        /// What is wrong.
        text: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair => f.write_str(
                "--http-client-tls-key and --http-client-tls-cert must be specified together or not at all",
            ),
            Self::Read { path, error } => write!(f, "failed to read TLS file {path} - {error}"),
            Self::Content { path, text } => write!(f, "failed to use TLS file {path} - {text}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl TlsFiles {
    /// Gives the options to a client in the making.
    ///
    /// # Errors
    ///
    /// Where a file is missing or does not hold what it should.
    pub fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, TlsError> {
        if self.cert_file.is_empty() != self.key_file.is_empty() {
            return Err(TlsError::Pair);
        }
        if !self.cert_file.is_empty() {
            let mut pem = read(&self.cert_file)?;
            pem.push(b'\n');
            pem.extend(read(&self.key_file)?);
            let identity = Identity::from_pem(&pem).map_err(|error| TlsError::Content {
                path: format!("{} or {}", self.cert_file, self.key_file),
                text: super::client::causes(&error),
            })?;
            builder = builder.identity(identity);
        }
        if !self.root_ca_file.is_empty() {
            let wrong = |text: String| TlsError::Content { path: self.root_ca_file.clone(), text };
            let pem = read(&self.root_ca_file)?;
            let roots =
                Certificate::from_pem_bundle(&pem).map_err(|error| wrong(super::client::causes(&error)))?;
            if roots.is_empty() {
                return Err(wrong("no certificate in it".into()));
            }
            builder = builder.tls_certs_only(roots);
        }
        Ok(builder.tls_danger_accept_invalid_certs(self.insecure_skip_verify))
    }
}

fn read(path: &str) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}
