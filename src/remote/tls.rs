//! TLS to a server, by rustls.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::store::error::{Error, Result};
use crate::store::options::Options;

/// How connections are protected.
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// As the options say.
    pub fn new(options: &Options) -> Result<Self> {
        let roots = roots(&options.tls_ca)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| Error::invalid(format!("TLS cannot be used: {why}")))?
            .with_root_certificates(roots);
        let config = match (options.tls_cert.as_str(), options.tls_key.as_str()) {
            ("", "") => builder.with_no_client_auth(),
            ("", _) | (_, "") => {
                return Err(Error::invalid(
                    "the options tls_cert and tls_key are given together or not at all",
                ));
            }
            (cert, key) => {
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|why| unreadable("tls_key", key, &why))?;
                builder.with_client_auth_cert(certificates("tls_cert", cert)?, key).map_err(|why| {
                    Error::invalid(format!("tls_cert and tls_key cannot be used together: {why}"))
                })?
            }
        };
        Ok(Tls { config: Arc::new(config) })
    }

    /// A connection to a server of this name.
    pub fn connection(&self, host: &str) -> std::result::Result<ClientConnection, String> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| "its name is none for TLS".to_owned())?;
        ClientConnection::new(self.config.clone(), name).map_err(|why| why.to_string())
    }
}

/// Who may vouch for a server.
fn roots(file: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if file.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Error::invalid(
                "this machine has no certificates of authorities; the option tls_ca names a file with that of the server's",
            ));
        }
        return Ok(roots);
    }
    for certificate in certificates("tls_ca", file)? {
        roots.add(certificate).map_err(|why| unreadable("tls_ca", file, &why))?;
    }
    Ok(roots)
}

fn certificates(option: &str, file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let all = all.map_err(|why| unreadable(option, file, &why))?;
    if all.is_empty() {
        return Err(Error::invalid(format!("option '{option}': there is no certificate in '{file}'")));
    }
    Ok(all)
}

fn unreadable(option: &str, file: &str, why: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("option '{option}': '{file}' cannot be used: {why}"))
}
