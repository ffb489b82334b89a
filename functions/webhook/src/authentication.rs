//! Verifies that a webhook carries one of its vendor's tokens.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::identity::VendorId;
use shared::secrets::{FromSecret, Keys, SecretFault};
use subtle::{Choice, ConstantTimeEq};

const SCHEME: &[u8] = b"bearer";

/// In characters. Source: the contract. Shorter tokens can be guessed.
const MIN_TOKEN: usize = 16;

const MALFORMED_TOKENS: SecretFault = SecretFault::Wrong {
    key: "tokens",
    expected: "a list of texts of at least 16 characters",
};

/// A token's SHA-256. Hashes have one length, so comparing them leaks nothing
/// through timing. Deliberately without `PartialEq` and `Debug`.
struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl ConstantTimeEq for TokenHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// The token that a request presents.
pub struct PresentedToken(TokenHash);

impl PresentedToken {
    /// Accepts `Bearer`, blanks and the token, or the bare token. `None` if the
    /// header holds no token.
    pub fn from_header(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        let token = match header.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => match rest.first() {
                None => rest,
                Some(b' ' | b'\t') => rest.trim_ascii_start(),
                // A bare token that happens to begin with "bearer".
                Some(_) => header,
            },
            _ => header,
        };
        (!token.is_empty()).then(|| Self(TokenHash::of(token)))
    }
}

/// The tokens of every vendor in the webhook's secret. A malformed entry affects
/// only its own vendor.
pub struct VendorTokens(HashMap<String, VendorEntry>);

struct VendorEntry {
    tokens: Vec<TokenHash>,
    /// Set if some tokens are malformed; `tokens` holds the others.
    tokens_fault: Option<SecretFault>,
    accept: Result<bool, SecretFault>,
}

/// Proof that the sender has a token of the vendor. Only [`VendorTokens::verify`]
/// creates one.
#[derive(Debug, PartialEq, Eq)]
pub struct VerifiedVendor {
    vendor_id: VendorId,
    on_hold: bool,
}

impl VerifiedVendor {
    /// Whether the secret puts the vendor on hold (`"accept": false`).
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    pub fn into_vendor_id(self) -> VendorId {
        self.vendor_id
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    UnknownVendor,
    WrongToken,
    /// The malformed part may list the token, or put the vendor on hold.
    MalformedEntry(SecretFault),
}

impl VendorTokens {
    pub fn contains(&self, vendor_id: &VendorId) -> bool {
        self.0.contains_key(vendor_id.as_str())
    }

    /// Compares the token with all of the vendor's, each in constant time, so that
    /// timing does not reveal which one matched.
    pub fn verify(
        &self,
        vendor_id: &VendorId,
        presented: &PresentedToken,
    ) -> Result<VerifiedVendor, TokenError> {
        let entry = self
            .0
            .get(vendor_id.as_str())
            .ok_or(TokenError::UnknownVendor)?;
        let matches = entry.tokens.iter().fold(Choice::from(0), |matches, token| {
            matches | token.ct_eq(&presented.0)
        });
        if !bool::from(matches) {
            let fault = entry.tokens_fault.clone();
            return Err(fault.map_or(TokenError::WrongToken, TokenError::MalformedEntry));
        }
        let accept = entry.accept.clone().map_err(TokenError::MalformedEntry)?;
        Ok(VerifiedVendor {
            vendor_id: vendor_id.clone(),
            on_hold: !accept,
        })
    }
}

impl FromSecret for VendorTokens {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let vendors = Keys::new(json)?
            .value("vendors")
            .ok_or(SecretFault::Missing("vendors"))?
            .as_object()
            .ok_or(SecretFault::Wrong {
                key: "vendors",
                expected: "an object with an entry per vendor id",
            })?;
        let entries = vendors
            .iter()
            .map(|(vendor_id, entry)| (vendor_id.clone(), VendorEntry::read(entry)));
        Ok(Self(entries.collect()))
    }
}

impl VendorEntry {
    fn read(json: &Value) -> Self {
        let keys = Keys::new(json);
        let accept = keys
            .as_ref()
            .map_or(Ok(true), |keys| keys.flag("accept", true));
        let listed = keys.and_then(|keys| {
            keys.value("tokens")
                .ok_or(SecretFault::Missing("tokens"))?
                .as_array()
                .ok_or(MALFORMED_TOKENS)
        });
        let (listed, fault) = match listed {
            Ok(listed) => (listed.as_slice(), None),
            Err(fault) => (Default::default(), Some(fault)),
        };
        // Trimmed, because a header cannot carry blanks around a token.
        let tokens: Vec<_> = listed
            .iter()
            .filter_map(Value::as_str)
            .map(str::trim)
            .filter(|token| token.chars().count() >= MIN_TOKEN)
            .map(|token| TokenHash::of(token.as_bytes()))
            .collect();
        let all_read = tokens.len() == listed.len();
        Self {
            tokens,
            tokens_fault: fault.or((!all_read).then_some(MALFORMED_TOKENS)),
            accept,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const WRONG: Result<bool, TokenError> = Err(TokenError::WrongToken);

    fn verify_bytes(
        secret: &Value,
        vendor: &str,
        header: &[u8],
    ) -> Option<Result<bool, TokenError>> {
        let tokens = VendorTokens::from_secret(secret).ok().unwrap();
        let vendor = VendorId::try_from(vendor).unwrap();
        let presented = PresentedToken::from_header(header)?;
        Some(tokens.verify(&vendor, &presented).map(|verified| {
            let on_hold = verified.is_on_hold();
            assert_eq!(verified.into_vendor_id(), vendor);
            on_hold
        }))
    }

    /// Whether the verified vendor is on hold.
    fn verify(secret: &Value, vendor: &str, header: &str) -> Result<bool, TokenError> {
        verify_bytes(secret, vendor, header.as_bytes()).expect("a token")
    }

    #[test]
    fn only_a_listed_token_of_the_vendor_is_accepted() {
        let secret = json!({ "vendors": {
            "a": { "tokens": ["the-old-token-of-a", "the-new-token-of-a"] },
            "b": { "tokens": ["the-token-of-b's"], "comment": "unknown keys are ignored" },
            "none": { "tokens": [] },
        } });
        let accepted = [
            ("a", "Bearer the-old-token-of-a"),
            ("a", "Bearer the-new-token-of-a"),
            ("a", "bEARER the-new-token-of-a"),
            ("a", "Bearer \t the-new-token-of-a "),
            ("a", "the-new-token-of-a"),
            ("a", " the-new-token-of-a"),
            ("b", "Bearer the-token-of-b's"),
        ];
        for (vendor, header) in accepted {
            let verified = verify(&secret, vendor, header);
            assert_eq!(verified, Ok(false), "{vendor} {header}");
        }
        let wrong = [
            ("a", "Bearer the-token-of-b's"),
            ("a", "Bearer The-new-token-of-a"),
            ("a", "Bearer the-new-token-of-"),
            ("a", "Bearer the-new-token-of-a1"),
            ("a", "Bearerthe-new-token-of-a"),
            ("a", "Bearer Bearer the-new-token-of-a"),
            ("a", "Basic the-new-token-of-a"),
            ("a", "the-new-token-of-a, the-old-token-of-a"),
            ("none", "Bearer the-new-token-of-a"),
        ];
        for (vendor, header) in wrong {
            let verified = verify(&secret, vendor, header);
            assert_eq!(verified, WRONG, "{vendor} {header}");
        }
        for vendor in ["A", "c"] {
            let verified = verify(&secret, vendor, "Bearer the-new-token-of-a");
            assert_eq!(verified, Err(TokenError::UnknownVendor), "{vendor}");
        }
    }

    #[test]
    fn bare_token_may_begin_like_the_scheme() {
        let secret = json!({ "vendors": { "a": { "tokens": ["bearer-token-of-a", "Basic x-token-of-a"] } } });
        for header in [
            "bearer-token-of-a",
            "Bearer bearer-token-of-a",
            "Basic x-token-of-a",
        ] {
            assert_eq!(verify(&secret, "a", header), Ok(false), "{header}");
        }
    }

    #[test]
    fn header_may_hold_no_token() {
        for header in ["", " ", "Bearer", "bearer ", "Bearer \t "] {
            assert!(
                PresentedToken::from_header(header.as_bytes()).is_none(),
                "{header:?}"
            );
        }
    }

    #[test]
    fn short_token_makes_its_entry_malformed_and_is_never_accepted() {
        let short = "fifteen-of-them";
        let pasted = "pasted-into-here\n";
        let secret = json!({ "vendors": { "a": { "tokens": ["", " ", short, pasted] } } });
        for header in ["x", "\"\"", "Bearer null", short, "Bearer fifteen-of-them"] {
            let malformed = Err(TokenError::MalformedEntry(MALFORMED_TOKENS));
            assert_eq!(verify(&secret, "a", header), malformed, "{header}");
        }
        assert_eq!(verify(&secret, "a", "Bearer pasted-into-here"), Ok(false));
        let empty = TokenHash::of(b"");
        let tokens = VendorTokens::from_secret(&secret).ok().unwrap();
        let vendor = VendorId::try_from("a").unwrap();
        assert!(tokens.verify(&vendor, &PresentedToken(empty)).is_err());
    }

    #[test]
    fn malformed_entry_affects_no_other_vendor_and_no_readable_token() {
        let not_an_object = Err(SecretFault::NotAnObject);
        let missing = Err(SecretFault::Missing("tokens"));
        let malformed = Err(MALFORMED_TOKENS);
        let cases = [
            (json!(null), not_an_object.clone()),
            (json!("the-good-token-of-a"), not_an_object.clone()),
            (json!(["the-good-token-of-a"]), not_an_object),
            (json!({}), missing.clone()),
            (json!({ "tokens": null }), missing),
            (
                json!({ "tokens": "the-good-token-of-a" }),
                malformed.clone(),
            ),
            (json!({ "tokens": [7] }), malformed.clone()),
            (
                json!({ "tokens": ["the-bad-token-of-a", ["the-good-token-of-a"]] }),
                malformed,
            ),
            (
                json!({ "tokens": [null, "the-good-token-of-a"] }),
                Ok(false),
            ),
        ];
        for (entry, expected) in cases {
            let secret =
                json!({ "vendors": { "a": entry, "b": { "tokens": ["the-token-of-b's"] } } });
            assert_eq!(
                verify(&secret, "a", "Bearer the-good-token-of-a"),
                expected.map_err(TokenError::MalformedEntry),
                "{secret}"
            );
            let other = verify(&secret, "b", "Bearer the-token-of-b's");
            assert_eq!(other, Ok(false), "{secret}");
        }
    }

    #[test]
    fn only_a_token_holder_learns_that_a_vendor_is_on_hold() {
        let malformed = Err(TokenError::MalformedEntry(SecretFault::Wrong {
            key: "accept",
            expected: "true or false",
        }));
        let cases = [
            (json!(null), Ok(false)),
            (json!(true), Ok(false)),
            (json!(false), Ok(true)),
            (json!("false"), malformed.clone()),
            (json!(0), malformed),
        ];
        for (accept, expected) in cases {
            let entry = json!({ "tokens": ["the-good-token-of-a"], "accept": accept });
            let secret = json!({ "vendors": { "a": entry } });
            assert_eq!(
                verify(&secret, "a", "the-good-token-of-a"),
                expected,
                "{accept}"
            );
            assert_eq!(verify(&secret, "a", "another-token-of-a"), WRONG);
        }
    }

    #[test]
    fn secret_without_vendors_is_malformed() {
        let cases = [
            (json!([]), SecretFault::NotAnObject),
            (json!({}), SecretFault::Missing("vendors")),
            (json!({ "vendors": null }), SecretFault::Missing("vendors")),
            (
                json!({ "vendors": ["a"] }),
                SecretFault::Wrong {
                    key: "vendors",
                    expected: "an object with an entry per vendor id",
                },
            ),
        ];
        for (secret, fault) in cases {
            let tokens = VendorTokens::from_secret(&secret);
            assert_eq!(tokens.err(), Some(fault), "{secret}");
        }
    }

    /// Does not compile once hashes implement `PartialEq`: both implementations
    /// below then apply, and the call is ambiguous.
    #[test]
    fn tokens_can_be_compared_in_constant_time_only() {
        trait Comparable<Marker> {
            fn never() {}
        }
        impl<T> Comparable<()> for T {}
        impl<T: PartialEq> Comparable<u8> for T {}
        <TokenHash as Comparable<_>>::never();
        <PresentedToken as Comparable<_>>::never();
    }

    proptest! {
        #[test]
        fn only_the_token_itself_is_accepted(header in any::<Vec<u8>>()) {
            let secret = json!({ "vendors": { "a": { "tokens": ["the token of a vendor"] } } });
            if let Some(verified) = verify_bytes(&secret, "a", &header) {
                let is_token = header.trim_ascii().ends_with(b"the token of a vendor");
                prop_assert!(is_token || verified.is_err());
            }
        }

        #[test]
        fn every_token_a_header_can_hold_is_accepted_with_and_without_scheme(token in "[!-~]{16,200}") {
            let secret = json!({ "vendors": { "a": { "tokens": [token] } } });
            prop_assert_eq!(verify(&secret, "a", &token), Ok(false));
            prop_assert_eq!(verify(&secret, "a", &format!("Bearer {token}")), Ok(false));
        }
    }
}
