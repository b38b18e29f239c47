//! TLS to an instance: whom to trust, and by what to be trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::ConfigError;
use super::super::settings::read;

/// The table `tls` as it is written. Files are PEM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSettings {
    /// Whose certificates are believed.
    ca_file: PathBuf,
    /// The agent's own certificate, where the instance asks for one.
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    /// The name that certificates of instances are to carry; the endpoint's host when it is not set.
    server_name: Option<String>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) server_name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.server_name)
    }
}

fn refused(key: &str, value: &Path, why: impl std::fmt::Display) -> ConfigError {
    let value = value.display().to_string();
    ConfigError(format!("tls.{key} = {value:?} is of no use: {why}"))
}

impl Tls {
    /// Reads the files.
    pub(super) fn load(settings: TlsSettings) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca_file", &settings.ca_file)? {
            roots
                .add(certificate)
                .map_err(|error| refused("ca_file", &settings.ca_file, error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused("ca_file", &settings.ca_file, error))?
            .with_root_certificates(roots);
        let config = match (&settings.cert_file, &settings.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let text = read("tls.key_file", key)?;
                let secret = PrivateKeyDer::from_pem_slice(&text)
                    .map_err(|error| refused("key_file", key, error))?;
                builder
                    .with_client_auth_cert(certificates("cert_file", cert)?, secret)
                    .map_err(|error| refused("cert_file", cert, error))?
            }
            (Some(_), None) => return Err(lonely("cert_file", "key_file")),
            (None, Some(_)) => return Err(lonely("key_file", "cert_file")),
        };
        let name = settings.server_name.map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| {
                ConfigError(format!(
                    "tls.server_name = {name:?} is neither a host name nor an IP address"
                ))
            })
        });
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: name.transpose()?,
        })
    }
}

fn lonely(given: &str, missing: &str) -> ConfigError {
    ConfigError(format!(
        "tls.{given} is set without tls.{missing}: set both or neither"
    ))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(&format!("tls.{key}"), path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| refused(key, path, error))?;
    if found.is_empty() {
        return Err(refused(key, path, "it holds no certificate in PEM"));
    }
    Ok(found)
}
