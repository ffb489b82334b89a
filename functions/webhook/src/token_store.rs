//! The current tokens: cached by [`Secrets`], and reread before a sender is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::identity::VendorId;
use shared::secrets::{Loaded, SecretError, SecretFault, Secrets};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::authentication::{PresentedToken, TokenError, VendorTokens, VerifiedVendor};

/// The secret's name after the stack's prefix. Source: the contract.
const PATH: &str = "webhook";

/// How long the tokens are used without rereading them. Decided: shorter than
/// for other secrets, so that a vendor can be cut off within a minute.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The time between reads caused by unknown tokens, so that strangers cannot
/// cause one per request. Source: the contract.
const MIN_REREAD_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthenticationError {
    #[error("no token is presented")]
    MissingToken,
    #[error("the secret lists no such vendor")]
    UnknownVendor,
    #[error("the token is none of the vendor's")]
    WrongToken,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("secret {name} does not exist; create it as the README describes")]
    MissingSecret { name: String },
    #[error(
        "secret {name} is malformed for vendor {vendor_id}: {fault}; store it as the README describes"
    )]
    MalformedEntry {
        name: String,
        vendor_id: VendorId,
        fault: SecretFault,
    },
}

impl AuthenticationError {
    /// Whether the sender is at fault, and not the secret.
    pub fn is_senders_fault(&self) -> bool {
        matches!(
            self,
            Self::MissingToken | Self::UnknownVendor | Self::WrongToken
        )
    }

    /// Whether the secret lists the vendor that the sender claims to be.
    pub fn is_of_known_vendor(&self) -> bool {
        matches!(self, Self::WrongToken | Self::MalformedEntry { .. })
    }
}

/// The tokens of all vendors. Made once per function instance.
pub struct TokenStore {
    secrets: Secrets,
    /// Whether [`Secrets`] has cached the tokens, however old.
    is_cached: AtomicBool,
    /// The last failed reread.
    failed_reread: Mutex<Option<(Instant, SecretError)>>,
}

impl TokenStore {
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            is_cached: AtomicBool::new(false),
            failed_reread: Mutex::default(),
        }
    }

    /// Reads the tokens ahead of the first webhook, which tries again if this fails.
    pub async fn warm(&self) -> Result<(), SecretError> {
        self.current().await.map(drop)
    }

    /// Whether the cached tokens, however old, list the vendor. Never reads the secret.
    pub async fn knows(&self, vendor_id: &VendorId) -> bool {
        if !self.is_cached.load(Ordering::Relaxed) {
            return false;
        }
        let cached = self.secrets.get_within(PATH, Duration::MAX).await;
        cached.is_ok_and(|tokens: Arc<Loaded<VendorTokens>>| {
            let tokens = tokens.value.as_ref();
            tokens.is_some_and(|tokens| tokens.contains(vendor_id))
        })
    }

    /// Verifies that the token is one of the vendor's.
    ///
    /// A token that the cached secret does not list may be new. Sesamy never
    /// repeats a refused webhook, so the secret is reread before refusing.
    pub async fn verify(
        &self,
        vendor_id: &VendorId,
        presented: &PresentedToken,
    ) -> Result<VerifiedVendor, AuthenticationError> {
        let current = self.current().await?;
        let verified = self.verify_with(&current, vendor_id, presented);
        if verified.is_ok() || current.age() < MIN_REREAD_INTERVAL {
            return verified;
        }
        let renewed = self.reread(MIN_REREAD_INTERVAL).await?;
        self.verify_with(&renewed, vendor_id, presented)
    }

    fn verify_with(
        &self,
        tokens: &Loaded<VendorTokens>,
        vendor_id: &VendorId,
        presented: &PresentedToken,
    ) -> Result<VerifiedVendor, AuthenticationError> {
        let name = || self.secrets.name(PATH);
        let Some(tokens) = &tokens.value else {
            return Err(AuthenticationError::MissingSecret { name: name() });
        };
        let verified = tokens.verify(vendor_id, presented);
        verified.map_err(|error| match error {
            TokenError::UnknownVendor => AuthenticationError::UnknownVendor,
            TokenError::WrongToken => AuthenticationError::WrongToken,
            TokenError::MalformedEntry(fault) => AuthenticationError::MalformedEntry {
                name: name(),
                vendor_id: vendor_id.clone(),
                fault,
            },
        })
    }

    /// Returns tokens younger than [`MAX_AGE`]. While they cannot be reread, older
    /// ones are used for as long as [`Secrets`] keeps them.
    async fn current(&self) -> Result<Arc<Loaded<VendorTokens>>, SecretError> {
        let cached: Arc<Loaded<VendorTokens>> = self.secrets.get(PATH).await?;
        self.is_cached.store(true, Ordering::Relaxed);
        if cached.age() < MAX_AGE {
            return Ok(cached);
        }
        Ok(self.reread(MAX_AGE).await.unwrap_or(cached))
    }

    /// Rereads the tokens unless they are younger than `max_age`. Fails without
    /// reading if the last reread has just failed.
    async fn reread(&self, max_age: Duration) -> Result<Arc<Loaded<VendorTokens>>, SecretError> {
        let mut failed = self.failed_reread.lock().await;
        if let Some((at, error)) = &*failed
            && at.elapsed() < MIN_REREAD_INTERVAL
        {
            return Err(error.clone());
        }
        let tokens = self.secrets.get_within(PATH, max_age).await;
        *failed = match &tokens {
            Ok(_) => None,
            Err(error) => {
                warn!(%error, "The tokens could not be read again.");
                Some((Instant::now(), error.clone()))
            }
        };
        tokens
    }
}

#[cfg(test)]
mod tests {
    use shared::secrets::TIME_TO_LIVE;
    use tokio::time::advance;

    use super::*;
    use crate::fake::{Behaviour, SecretFake};

    const OLD_TOKEN: &str = "the-old-token-of-v";
    const NEW_TOKEN: &str = "the-new-token-of-v";
    const OLD: &str = r#"{"vendors":{"v":{"tokens":["the-old-token-of-v"]}}}"#;
    const ON_HOLD: &str = r#"{"vendors":{"v":{"tokens":["the-old-token-of-v"],"accept":false}}}"#;
    const BOTH: &str =
        r#"{"vendors":{"v":{"tokens":["the-old-token-of-v","the-new-token-of-v"]}}}"#;
    const NEW: &str = r#"{"vendors":{"v":{"tokens":["the-new-token-of-v"]}}}"#;

    fn token_store(secret: &SecretFake) -> TokenStore {
        TokenStore::new(Secrets::new(secret.clone(), "test"))
    }

    async fn verify_as(store: &TokenStore, vendor: &str, token: &str) -> Result<(), String> {
        let vendor = VendorId::try_from(vendor).unwrap();
        let presented = PresentedToken::from_header(token.as_bytes()).unwrap();
        match store.verify(&vendor, &presented).await {
            Ok(verified) => {
                assert_eq!(verified.into_vendor_id(), vendor);
                Ok(())
            }
            Err(error) if error.is_senders_fault() => Err(format!("refused: {error}")),
            Err(error) => Err(format!("undecided: {error}")),
        }
    }

    async fn verify(store: &TokenStore, token: &str) -> Result<(), String> {
        verify_as(store, "v", token).await
    }

    const WRONG: &str = "refused: the token is none of the vendor's";
    const UNREADABLE: &str = "undecided: secret test/webhook could not be read (timed out); check that Secrets Manager is reachable and that the function's role may read the secret";

    #[tokio::test(start_paused = true)]
    async fn token_is_rotated_without_a_gap() {
        let secret = SecretFake::with_secret(OLD);
        let store = token_store(&secret);
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        advance(Duration::from_secs(60)).await;
        secret.set_secret(BOTH);
        // Rereading the secret finds the new token.
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        assert_eq!(verify(&store, NEW_TOKEN).await, Ok(()));
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        secret.set_secret(NEW);
        advance(TIME_TO_LIVE).await;
        assert_eq!(verify(&store, NEW_TOKEN).await, Ok(()));
        assert_eq!(verify(&store, OLD_TOKEN).await, Err(WRONG.to_owned()));
        assert_eq!(secret.reads(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn vendor_is_put_on_hold_or_accepted_again_within_a_minute() {
        let secret = SecretFake::with_secret(OLD);
        let store = token_store(&secret);
        let vendor = VendorId::try_from("v").unwrap();
        let is_on_hold = async || {
            let presented = PresentedToken::from_header(OLD_TOKEN.as_bytes()).unwrap();
            let verified = store.verify(&vendor, &presented).await;
            verified.map(|verified| verified.is_on_hold())
        };
        assert_eq!(is_on_hold().await, Ok(false));
        for (content, expected) in [(ON_HOLD, true), (OLD, false)] {
            secret.set_secret(content);
            advance(MAX_AGE - Duration::from_millis(1)).await;
            assert_eq!(is_on_hold().await, Ok(!expected));
            advance(Duration::from_millis(1)).await;
            assert_eq!(is_on_hold().await, Ok(expected));
        }
        // Removing all tokens takes effect as quickly.
        secret.set_secret(r#"{"vendors":{"v":{"tokens":[]}}}"#);
        advance(MAX_AGE).await;
        let refused = Err(AuthenticationError::WrongToken);
        assert_eq!(is_on_hold().await, refused);
    }

    #[tokio::test(start_paused = true)]
    async fn knows_only_the_vendors_of_cached_tokens() {
        let secret = SecretFake::with_secret(OLD);
        let store = token_store(&secret);
        let knows = async |id: &str| store.knows(&VendorId::try_from(id).unwrap()).await;
        assert!(!knows("v").await);
        assert_eq!(store.warm().await, Ok(()));
        assert!(knows("v").await);
        assert!(!knows("w").await);
        assert_eq!(secret.reads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_tokens_cause_a_read_at_most_every_ten_seconds() {
        let secret = SecretFake::with_secret(OLD);
        let store = token_store(&secret);
        for second in 0..60 {
            for (vendor, token) in [("v", "wrong"), ("unknown", OLD_TOKEN)] {
                assert!(verify_as(&store, vendor, token).await.is_err());
            }
            assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
            assert_eq!(secret.reads(), 1 + second / 10);
            advance(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_vendor_is_known_ten_seconds_after_the_last_read() {
        let secret = SecretFake::with_secret(r#"{"vendors":{}}"#);
        let store = token_store(&secret);
        let unknown = Err("refused: the secret lists no such vendor".to_owned());
        assert_eq!(verify(&store, OLD_TOKEN).await, unknown);
        secret.set_secret(OLD);
        advance(MIN_REREAD_INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(verify(&store, OLD_TOKEN).await, unknown);
        advance(Duration::from_millis(1)).await;
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_sender_is_refused_while_the_secret_cannot_be_read() {
        let secret = SecretFake::new(Err(Behaviour::Fail));
        let store = token_store(&secret);
        assert_eq!(verify(&store, OLD_TOKEN).await, Err(UNREADABLE.to_owned()));
        secret.set_secret(OLD);
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn known_tokens_stay_valid_for_five_minutes_while_the_secret_cannot_be_read() {
        let secret = SecretFake::with_secret(OLD);
        let store = token_store(&secret);
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        secret.set_behaviour(Behaviour::Fail);
        advance(Duration::from_secs(9)).await;
        for second in 10..300 {
            advance(Duration::from_secs(1)).await;
            // Not "refused": the secret may list the new token by now.
            assert_eq!(verify(&store, NEW_TOKEN).await, Err(UNREADABLE.to_owned()));
            assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
            assert_eq!(secret.reads(), 1 + second / 10);
        }
        advance(Duration::from_secs(1)).await;
        assert_eq!(verify(&store, OLD_TOKEN).await, Err(UNREADABLE.to_owned()));
        secret.set_secret(BOTH);
        assert_eq!(verify(&store, NEW_TOKEN).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn corrected_secret_is_read_after_a_missing_or_malformed_one() {
        let cases = [
            (
                None,
                "undecided: secret test/webhook does not exist; create it as the README describes",
            ),
            (
                Some("tokens"),
                "undecided: secret test/webhook is malformed: it is not JSON; store it as the README describes",
            ),
            (
                Some("{}"),
                "undecided: secret test/webhook is malformed: key \"vendors\" is missing; store it as the README describes",
            ),
            (
                Some(r#"{"vendors":{"v":{"tokens":"the-old-token-of-v"}}}"#),
                "undecided: secret test/webhook is malformed for vendor v: key \"tokens\" must be a list of texts of at least 16 characters; store it as the README describes",
            ),
        ];
        for (content, error) in cases {
            let secret = SecretFake::new(Ok(content));
            let store = token_store(&secret);
            assert_eq!(verify(&store, OLD_TOKEN).await, Err(error.to_owned()));
            secret.set_secret(OLD);
            advance(MIN_REREAD_INTERVAL).await;
            assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn warm_reads_ahead_and_may_fail() {
        let secret = SecretFake::new(Err(Behaviour::Fail));
        let store = token_store(&secret);
        assert!(store.warm().await.is_err());
        secret.set_secret(OLD);
        assert_eq!(store.warm().await, Ok(()));
        assert_eq!(verify(&store, OLD_TOKEN).await, Ok(()));
        assert_eq!(secret.reads(), 2);
    }
}
