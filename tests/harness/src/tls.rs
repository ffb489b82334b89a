//! A certificate for one run of the local AWS.
//!
//! The template's queue policies deny calls without TLS, so the local AWS needs a
//! certificate. Each run has its own authority, and its clients trust no other, so they
//! cannot talk to another local AWS by mistake.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::{Error, Result};

/// The files of one run's certificate.
pub(crate) struct Certificate {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Writes a certificate for 127.0.0.1 and localhost into a folder.
    pub fn create(folder: &Path) -> Result<Self> {
        let (authority, certificate, key) = generate()
            .map_err(|error| Error::new(format!("creating a certificate failed: {error}")))?;
        Ok(Self {
            authority: write(folder.join("authority.pem"), &authority)?,
            certificate: write(folder.join("certificate.pem"), &certificate)?,
            key: write(folder.join("key.pem"), &key)?,
        })
    }
}

fn generate() -> std::result::Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "local AWS authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Newer Python releases reject a certificate without it.
    server.use_authority_key_identifier_extension = true;
    server
        .distinguished_name
        .push(DnType::CommonName, "local AWS");
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &authority)?;
    Ok((authority.pem(), server.pem(), key.serialize_pem()))
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::new(format!("{} could not be written: {error}", path.display())))?;
    Ok(path)
}
