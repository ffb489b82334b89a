//! The root certificates that the functions trust.
//!
//! Decided: those of Mozilla's programme, compiled in. The platform's file
//! holds the same list, but finding, reading and parsing it takes longer than
//! the rest of a function's start (`docs/performance.md` has the figures). In
//! return, a new list needs a new release of `webpki-roots` and a new build.
//!
//! If `SSL_CERT_FILE` names a file, its certificates are trusted instead, such as
//! those of a company's proxy or of a local fake.

use std::env;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// OpenSSL's name for this variable (documented).
const ROOTS_FILE: &str = "SSL_CERT_FILE";

#[derive(Debug, Error)]
pub enum TlsError {
    #[error(
        "SSL_CERT_FILE names {file}, which {problem}; name a file of root certificates in PEM form, or unset it"
    )]
    RootsFile { file: String, problem: String },
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// For every TLS connection of a function. Offers HTTP/1.1 only.
pub(crate) fn config() -> Result<ClientConfig, TlsError> {
    let roots = roots(env::var(ROOTS_FILE).ok().as_deref())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(file: Option<&str>) -> Result<RootCertStore, TlsError> {
    match file.filter(|file| !file.is_empty()) {
        Some(file) => read(file),
        None => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    }
}

/// Ignores certificates that cannot be parsed, as other programs do: some old
/// authorities wrote invalid ones.
fn read(file: &str) -> Result<RootCertStore, TlsError> {
    let error = |problem: String| TlsError::RootsFile {
        file: file.to_owned(),
        problem,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| error(format!("cannot be read ({cause})")))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(error("holds no usable certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of Amazon's roots.
    const ROOT: &str = "-----BEGIN CERTIFICATE-----
MIIBtjCCAVugAwIBAgITBmyf1XSXNmY/Owua2eiedgPySjAKBggqhkjOPQQDAjA5
MQswCQYDVQQGEwJVUzEPMA0GA1UEChMGQW1hem9uMRkwFwYDVQQDExBBbWF6b24g
Um9vdCBDQSAzMB4XDTE1MDUyNjAwMDAwMFoXDTQwMDUyNjAwMDAwMFowOTELMAkG
A1UEBhMCVVMxDzANBgNVBAoTBkFtYXpvbjEZMBcGA1UEAxMQQW1hem9uIFJvb3Qg
Q0EgMzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCmXp8ZBf8ANm+gBG1bG8lKl
ui2yEujSLtf6ycXYqm0fc4E7O5hrOXwzpcVOho6AF2hiRVd9RFgdszflZwjrZt6j
QjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgGGMB0GA1UdDgQWBBSr
ttvXBp43rDCGB5Fwx5zEGbF4wDAKBggqhkjOPQQDAgNJADBGAiEA4IWSoxe3jfkr
BqWTrBqYaGFy+uGh0PsceGCmQ5nFuMQCIQCcAu/xlJyzlvnrxir4tiz+OpAUFteM
YyRIHN8wfdVoOw==
-----END CERTIFICATE-----
";

    /// The number of trusted roots if `SSL_CERT_FILE` has this content.
    fn roots_of(name: &str, content: &str) -> Result<usize, String> {
        let file = env::temp_dir().join(format!("{}-{name}", std::process::id()));
        std::fs::write(&file, content).unwrap();
        let path = file.to_str().unwrap();
        let roots = roots(Some(path)).map(|roots| roots.len());
        std::fs::remove_file(&file).unwrap();
        roots.map_err(|error| error.to_string().replace(path, "FILE"))
    }

    #[test]
    fn mozillas_roots_are_trusted_by_default() {
        for unset in [None, Some("")] {
            assert_eq!(
                roots(unset).unwrap().len(),
                webpki_roots::TLS_SERVER_ROOTS.len()
            );
        }
        let amazon = roots(None).unwrap().roots.into_iter().filter(|root| {
            root.subject
                .as_ref()
                .windows(6)
                .any(|text| text == b"Amazon")
        });
        assert!(amazon.count() >= 4);
    }

    #[test]
    fn a_file_replaces_mozillas_roots() {
        assert_eq!(roots_of("one", ROOT), Ok(1));
    }

    #[test]
    fn an_unusable_file_is_an_error() {
        let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cases = [
            ("empty", ""),
            ("no-pem", "a text"),
            ("no-certificate", not_a_certificate),
        ];
        for (name, content) in cases {
            let error = roots_of(name, content).unwrap_err();
            let expected = "FILE, which holds no usable certificate";
            assert!(error.contains(expected), "{name}: {error}");
        }
        let error = roots(Some("/there/is/none.pem")).unwrap_err().to_string();
        assert!(
            error.contains("/there/is/none.pem, which cannot be read"),
            "{error}"
        );
    }

    #[test]
    fn http_1_1_is_offered() {
        assert_eq!(config().unwrap().alpn_protocols, [b"http/1.1"]);
    }
}
