//! Whom the functions trust.
//!
//! Decided: the root certificates of Mozilla's programme, compiled in. The
//! platform's file holds the same list, but to find, read and parse it takes
//! longer than everything else a function does at its start; the figures are in
//! `docs/performance.md`. The price is that a new list comes with a new release
//! of the package `webpki-roots`, hence with a new build.
//!
//! Where `SSL_CERT_FILE` names a file, the certificates in it are trusted
//! instead: those of a company's proxy, or of a local stand-in.

use std::env;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// The variable that names a file of root certificates in PEM form. OpenSSL's
/// name for it (documented).
const ROOTS_FILE: &str = "SSL_CERT_FILE";

/// Why no TLS connection could ever be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// `SSL_CERT_FILE` names a file that is of no use.
    #[error(
        "SSL_CERT_FILE names {file}, which {fault}; name a file of root certificates in PEM form, or unset it"
    )]
    RootsFile {
        /// The file.
        file: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// How every TLS connection of a function is made: HTTP/1.1, by the roots
/// described above.
///
/// # Errors
/// [`TlsError`].
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

/// The certificates of a file. One that cannot be parsed is left out, as other
/// programs do with what an old authority once wrote.
fn read(file: &str) -> Result<RootCertStore, TlsError> {
    let fault = |fault: String| TlsError::RootsFile {
        file: file.to_owned(),
        fault,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(format!("cannot be read ({error})")))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(fault("holds no usable certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root of Amazon's, as a file would hold it.
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

    /// The number of roots where `SSL_CERT_FILE` names a file of this content.
    fn roots_of(name: &str, content: &str) -> Result<usize, String> {
        let file = env::temp_dir().join(format!("{}-{name}", std::process::id()));
        std::fs::write(&file, content).unwrap();
        let path = file.to_str().unwrap();
        let roots = roots(Some(path)).map(|roots| roots.len());
        std::fs::remove_file(&file).unwrap();
        roots.map_err(|error| error.to_string().replace(path, "FILE"))
    }

    #[test]
    fn without_a_file_mozillas_roots_are_trusted() {
        for unset in [None, Some("")] {
            assert_eq!(
                roots(unset).unwrap().len(),
                webpki_roots::TLS_SERVER_ROOTS.len()
            );
        }
        // Those of AWS among them.
        let amazon = roots(None).unwrap().roots.into_iter().filter(|root| {
            root.subject
                .as_ref()
                .windows(6)
                .any(|text| text == b"Amazon")
        });
        assert!(amazon.count() >= 4);
    }

    #[test]
    fn a_file_is_trusted_alone() {
        assert_eq!(roots_of("one", ROOT), Ok(1));
    }

    #[test]
    fn a_file_of_no_use_is_told() {
        let cases = [
            ("empty", "", "FILE, which holds no usable certificate"),
            (
                "no-pem",
                "a text",
                "FILE, which holds no usable certificate",
            ),
            (
                "no-certificate",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "FILE, which holds no usable certificate",
            ),
        ];
        for (name, content, expected) in cases {
            let error = roots_of(name, content).unwrap_err();
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
