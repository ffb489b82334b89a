//! The tokens in force: cached, and read again before anybody is turned away.

use std::sync::Arc;
use std::time::Duration;

use shared::identity::VendorId;
use shared::secrets::{Loaded, SecretError, SecretFault, Secrets, TIME_TO_LIVE};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::authentication::{Presented, Proof, Tokens, Unproven};

/// The secret of the tokens, below the stack's prefix. Source: the contract.
const PATH: &str = "webhook";

/// How long the tokens are used without being read again. Decided: shorter than
/// other secrets are kept for, so that a vendor is cut off within a minute.
const FRESH: Duration = Duration::from_secs(60);

/// How long the secret is left alone by senders it does not know. They are
/// strangers who must not be able to make it be read as often as they like.
/// Source: the contract.
const REREAD: Duration = Duration::from_secs(10);

/// Why a sender is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The secret, at most [`REREAD`] old, does not list the token.
    #[error(transparent)]
    Unproven(Unproven),
    /// Whether the token is listed cannot be told.
    #[error(transparent)]
    Undecided(#[from] Undecided),
}

impl Refusal {
    /// Whether the secret lists the vendor that the sender claims to be. A name
    /// that anybody may make up has no place in a log.
    pub fn is_of_known_vendor(&self) -> bool {
        match self {
            Self::Unproven(unproven) => *unproven != Unproven::UnknownVendor,
            Self::Undecided(Undecided::Malformed { .. }) => true,
            Self::Undecided(Undecided::Secret(_) | Undecided::NoSecret { .. }) => false,
        }
    }
}

/// Why it cannot be told whether a token is listed. It is for the operator to
/// mend; the sender had better try again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undecided {
    /// The secret cannot be read or understood.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no secret.
    #[error("secret {name} does not exist; create it as the README describes")]
    NoSecret {
        /// Its name.
        name: String,
    },
    /// The vendor's part of the secret is malformed.
    #[error(
        "secret {name} is malformed for vendor {vendor_id}: {fault}; store it as the README describes"
    )]
    Malformed {
        /// The secret's name.
        name: String,
        /// The vendor.
        vendor_id: VendorId,
        /// What is wrong with which key.
        fault: SecretFault,
    },
}

/// The tokens of all vendors. Made once per function instance.
pub struct Keyring {
    secrets: Secrets,
    held: Mutex<Held>,
}

/// What was last read.
#[derive(Default)]
struct Held {
    tokens: Option<Arc<Loaded<Tokens>>>,
    /// When and why reading again failed last.
    failed: Option<(Instant, SecretError)>,
}

impl Keyring {
    /// Reads the tokens from these secrets, when they are first needed.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Mutex::default(),
        }
    }

    /// Reads the tokens ahead of the first webhook.
    ///
    /// # Errors
    /// [`Undecided`]. The first webhook then tries again.
    pub async fn warm(&self) -> Result<(), Undecided> {
        self.current().await.map(drop)
    }

    /// Whether the tokens held list the vendor. Reads nothing, and waits for nothing.
    pub fn knows(&self, vendor_id: &VendorId) -> bool {
        let held = self.held.try_lock().ok();
        let tokens = held.and_then(|held| held.tokens.clone());
        tokens.is_some_and(|tokens| {
            let listed = tokens.value.as_ref();
            listed.is_some_and(|tokens| tokens.list(vendor_id))
        })
    }

    /// Whether the token presented is one of the vendor's.
    ///
    /// Where the tokens held do not prove it they are read again, unless that
    /// was tried within the last ten seconds: they may have been changed since,
    /// and Sesamy never sends again what was refused.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn prove(
        &self,
        vendor_id: &VendorId,
        presented: &Presented,
    ) -> Result<Proof, Refusal> {
        if let Ok(proof) = self.judge(&*self.current().await?, vendor_id, presented) {
            return Ok(proof);
        }
        self.judge(&*self.renewed().await?, vendor_id, presented)
    }

    fn judge(
        &self,
        tokens: &Loaded<Tokens>,
        vendor_id: &VendorId,
        presented: &Presented,
    ) -> Result<Proof, Refusal> {
        let name = || self.secrets.name(PATH);
        let Some(tokens) = &tokens.value else {
            return Err(Undecided::NoSecret { name: name() }.into());
        };
        tokens
            .prove(vendor_id, presented)
            .map_err(|unproven| match unproven {
                Unproven::Malformed(fault) => Refusal::Undecided(Undecided::Malformed {
                    name: name(),
                    vendor_id: vendor_id.clone(),
                    fault,
                }),
                unproven => Refusal::Unproven(unproven),
            })
    }

    /// The tokens, [`FRESH`] or, while they cannot be read again, not older than
    /// any secret is kept for.
    async fn current(&self) -> Result<Arc<Loaded<Tokens>>, Undecided> {
        let mut held = self.held.lock().await;
        let Some(tokens) = held.younger_than(TIME_TO_LIVE) else {
            return Ok(held.keep(self.secrets.get(PATH).await?));
        };
        if tokens.age() < FRESH {
            return Ok(tokens);
        }
        Ok(self.reread(&mut held).await.unwrap_or(tokens))
    }

    /// The tokens as they are now, give or take [`REREAD`].
    async fn renewed(&self) -> Result<Arc<Loaded<Tokens>>, Undecided> {
        let mut held = self.held.lock().await;
        match held.younger_than(REREAD) {
            Some(tokens) => Ok(tokens),
            None => self.reread(&mut held).await,
        }
    }

    /// Reads the tokens again, unless that has just failed.
    async fn reread(&self, held: &mut Held) -> Result<Arc<Loaded<Tokens>>, Undecided> {
        if let Some((at, error)) = &held.failed
            && at.elapsed() < REREAD
        {
            return Err(error.clone().into());
        }
        match self.secrets.get_within(PATH, REREAD).await {
            Ok(tokens) => Ok(held.keep(tokens)),
            Err(error) => {
                warn!(%error, "The tokens could not be read again.");
                held.failed = Some((Instant::now(), error.clone()));
                Err(error.into())
            }
        }
    }
}

impl Held {
    fn younger_than(&self, age: Duration) -> Option<Arc<Loaded<Tokens>>> {
        self.tokens.clone().filter(|tokens| tokens.age() < age)
    }

    fn keep(&mut self, tokens: Arc<Loaded<Tokens>>) -> Arc<Loaded<Tokens>> {
        self.failed = None;
        self.tokens.insert(tokens).clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::stand_in::SecretStandIn;

    const OLD: &str = r#"{"vendors":{"v":{"tokens":["the-old-token-of-v"]}}}"#;
    const ON_HOLD: &str = r#"{"vendors":{"v":{"tokens":["the-old-token-of-v"],"accept":false}}}"#;
    const BOTH: &str =
        r#"{"vendors":{"v":{"tokens":["the-old-token-of-v","the-new-token-of-v"]}}}"#;
    const NEW: &str = r#"{"vendors":{"v":{"tokens":["the-new-token-of-v"]}}}"#;

    fn keyring(store: &SecretStandIn) -> Keyring {
        Keyring::new(Secrets::new(store.clone(), "test"))
    }

    async fn prove(keyring: &Keyring, vendor: &str, token: &str) -> Result<(), String> {
        let vendor = VendorId::try_from(vendor).unwrap();
        let presented = Presented::read(token.as_bytes()).unwrap();
        match keyring.prove(&vendor, &presented).await {
            Ok(proof) => {
                assert_eq!(proof.into_vendor_id(), vendor);
                Ok(())
            }
            Err(Refusal::Unproven(unproven)) => Err(format!("refused: {unproven}")),
            Err(Refusal::Undecided(undecided)) => Err(format!("undecided: {undecided}")),
        }
    }

    const WRONG: &str = "refused: the token is none of the vendor's";
    const DOWN: &str = "undecided: secret test/webhook could not be read (timed out); check that Secrets Manager is reachable and that the function's role may read the secret";

    #[tokio::test(start_paused = true)]
    async fn a_token_is_rotated_without_a_gap() {
        let store = SecretStandIn::holding(OLD);
        let keyring = keyring(&store);
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        advance(Duration::from_secs(60)).await;
        store.hold(BOTH);
        // The old one is known, the new one found by reading again.
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        assert_eq!(prove(&keyring, "v", "the-new-token-of-v").await, Ok(()));
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        store.hold(NEW);
        advance(TIME_TO_LIVE).await;
        assert_eq!(prove(&keyring, "v", "the-new-token-of-v").await, Ok(()));
        assert_eq!(
            prove(&keyring, "v", "the-old-token-of-v").await,
            Err(WRONG.to_owned())
        );
        assert_eq!(store.reads(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_is_cut_off_within_a_minute_and_taken_again_within_another() {
        let store = SecretStandIn::holding(OLD);
        let keyring = keyring(&store);
        let vendor = VendorId::try_from("v").unwrap();
        let is_on_hold = async || {
            let presented = Presented::read(b"the-old-token-of-v").unwrap();
            let proof = keyring.prove(&vendor, &presented).await;
            proof.map(|proof| proof.is_on_hold())
        };
        assert_eq!(is_on_hold().await, Ok(false));
        for (secret, expected) in [(ON_HOLD, true), (OLD, false)] {
            store.hold(secret);
            advance(FRESH - Duration::from_millis(1)).await;
            assert_eq!(is_on_hold().await, Ok(!expected));
            advance(Duration::from_millis(1)).await;
            assert_eq!(is_on_hold().await, Ok(expected));
        }
        // One whose tokens are all taken away is refused as fast.
        store.hold(r#"{"vendors":{"v":{"tokens":[]}}}"#);
        advance(FRESH).await;
        let refused = Err(Refusal::Unproven(Unproven::WrongToken));
        assert_eq!(is_on_hold().await, refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_is_known_by_the_tokens_held_alone() {
        let store = SecretStandIn::holding(OLD);
        let keyring = keyring(&store);
        let knows = |id: &str| keyring.knows(&VendorId::try_from(id).unwrap());
        assert!(!knows("v"));
        assert_eq!(keyring.warm().await, Ok(()));
        assert!(knows("v"));
        assert!(!knows("w"));
        assert_eq!(store.reads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_make_the_secret_be_read_at_most_every_ten_seconds() {
        let store = SecretStandIn::holding(OLD);
        let keyring = keyring(&store);
        for second in 0..60 {
            for (vendor, token) in [("v", "wrong"), ("unknown", "the-old-token-of-v")] {
                assert!(prove(&keyring, vendor, token).await.is_err());
            }
            assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
            assert_eq!(store.reads(), 1 + second / 10);
            advance(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_vendor_is_known_ten_seconds_after_the_last_reading() {
        let store = SecretStandIn::holding(r#"{"vendors":{}}"#);
        let keyring = keyring(&store);
        let unknown = Err("refused: the secret lists no such vendor".to_owned());
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, unknown);
        store.hold(OLD);
        advance(REREAD - Duration::from_millis(1)).await;
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, unknown);
        advance(Duration::from_millis(1)).await;
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_turned_away_while_the_secret_cannot_be_read() {
        let store = SecretStandIn::down();
        let keyring = keyring(&store);
        assert_eq!(
            prove(&keyring, "v", "the-old-token-of-v").await,
            Err(DOWN.to_owned())
        );
        // It counts as soon as it can be read.
        store.hold(OLD);
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_secret_cannot_be_read_again_known_tokens_stay_good() {
        let store = SecretStandIn::holding(OLD);
        let keyring = keyring(&store);
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        store.fail();
        for second in 10..300 {
            advance(Duration::from_secs(if second == 10 { 10 } else { 1 })).await;
            // Nobody can tell whether this one has been added.
            assert_eq!(
                prove(&keyring, "v", "the-new-token-of-v").await,
                Err(DOWN.to_owned())
            );
            assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
            assert_eq!(store.reads(), 1 + second / 10);
        }
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            prove(&keyring, "v", "the-old-token-of-v").await,
            Err(DOWN.to_owned())
        );
        store.hold(BOTH);
        assert_eq!(prove(&keyring, "v", "the-new-token-of-v").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_missing_or_malformed_is_the_operators_fault_and_found_when_mended() {
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
        for (secret, error) in cases {
            let store = SecretStandIn::new(secret);
            let keyring = keyring(&store);
            assert_eq!(
                prove(&keyring, "v", "the-old-token-of-v").await,
                Err(error.to_owned())
            );
            store.hold(OLD);
            advance(REREAD).await;
            assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn warming_reads_ahead_and_may_fail() {
        let store = SecretStandIn::down();
        let keyring = keyring(&store);
        assert!(keyring.warm().await.is_err());
        store.hold(OLD);
        assert_eq!(keyring.warm().await, Ok(()));
        assert_eq!(prove(&keyring, "v", "the-old-token-of-v").await, Ok(()));
        assert_eq!(store.reads(), 2);
    }
}
