//! Who may announce events: whoever knows one of a vendor's tokens.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::identity::VendorId;
use shared::secrets::{FromSecret, Keys, SecretFault};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

/// The scheme that a token may be preceded by, in any letter case.
const SCHEME: &[u8] = b"bearer";

/// The fewest characters of a token. Source: the contract. Of fewer, an attacker
/// may guess the rest.
const MIN_TOKEN: usize = 16;

/// A token's SHA-256. Digests are kept and compared in the tokens' stead: they
/// are all of one length, so that nothing can be learnt from how long comparing takes.
///
/// Cannot be compared but in constant time, and cannot be printed.
struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl ConstantTimeEq for Fingerprint {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// The token that a request presents.
pub struct Presented(Fingerprint);

impl Presented {
    /// Reads the value of the header `Authorization`: `Bearer`, blanks and the
    /// token, or the bare token. `None` where no token is left.
    pub fn read(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        let token = match header.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => match rest.first() {
                None => rest,
                Some(b' ' | b'\t') => rest.trim_ascii_start(),
                // A bare token that happens to begin with these letters.
                Some(_) => header,
            },
            _ => header,
        };
        (!token.is_empty()).then(|| Self(Fingerprint::of(token)))
    }
}

/// Every vendor's tokens, as the webhook's secret lists them.
///
/// Blanks around a token are dropped, since no header can hold them. A fault in
/// one vendor's entry concerns that vendor alone.
pub struct Tokens(HashMap<String, Entry>);

struct Entry {
    accepted: Vec<Fingerprint>,
    /// What is wrong with the list of tokens.
    fault: Option<SecretFault>,
    /// Whether the vendor's webhooks are taken at present.
    accept: Result<bool, SecretFault>,
}

/// That a vendor's token was presented. Nothing but [`Tokens::prove`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    vendor_id: VendorId,
    on_hold: bool,
}

impl Proof {
    /// Whether the secret says that the vendor's webhooks are not to be taken
    /// for now (`"accept": false`).
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    /// The vendor whose token it was.
    pub fn into_vendor_id(self) -> VendorId {
        self.vendor_id
    }
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unproven {
    /// The secret does not list the vendor.
    #[error("the secret lists no such vendor")]
    UnknownVendor,
    /// None of the vendor's tokens is the one presented.
    #[error("the token is none of the vendor's")]
    WrongToken,
    /// The vendor's entry is malformed: the token may be meant to be there, or
    /// the vendor's webhooks may be meant to be held off.
    #[error("the vendor's entry is malformed: {0}")]
    Malformed(SecretFault),
}

impl Tokens {
    /// Whether the secret lists the vendor.
    pub fn list(&self, vendor_id: &VendorId) -> bool {
        self.0.contains_key(vendor_id.as_str())
    }

    /// Whether the presented token is one of the vendor's.
    ///
    /// Looks at every token of the vendor, in constant time each, whether or
    /// not an earlier one was the right one.
    ///
    /// # Errors
    /// [`Unproven`].
    pub fn prove(&self, vendor_id: &VendorId, presented: &Presented) -> Result<Proof, Unproven> {
        let entry = self
            .0
            .get(vendor_id.as_str())
            .ok_or(Unproven::UnknownVendor)?;
        let found = entry.accepted.iter().fold(Choice::from(0), |found, token| {
            found | token.ct_eq(&presented.0)
        });
        match (bool::from(found), &entry.fault) {
            (true, _) => match &entry.accept {
                Ok(accept) => Ok(Proof {
                    vendor_id: vendor_id.clone(),
                    on_hold: !accept,
                }),
                Err(fault) => Err(Unproven::Malformed(fault.clone())),
            },
            (false, None) => Err(Unproven::WrongToken),
            (false, Some(fault)) => Err(Unproven::Malformed(fault.clone())),
        }
    }
}

impl FromSecret for Tokens {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let vendors = Keys::of(json)?
            .value("vendors")
            .ok_or(SecretFault::Missing("vendors"))?
            .as_object()
            .ok_or(SecretFault::Wrong {
                key: "vendors",
                expected: "an object with an entry per vendor id",
            })?;
        let entries = vendors
            .iter()
            .map(|(vendor_id, entry)| (vendor_id.clone(), Entry::read(entry)));
        Ok(Self(entries.collect()))
    }
}

impl Entry {
    /// The tokens that can be read, and what is wrong with the others.
    fn read(json: &Value) -> Self {
        const MALFORMED: SecretFault = SecretFault::Wrong {
            key: "tokens",
            expected: "a list of texts of at least 16 characters",
        };
        let keys = Keys::of(json);
        let accept = keys
            .as_ref()
            .map_or(Ok(true), |keys| keys.flag("accept", true));
        let listed = keys.and_then(|keys| {
            keys.value("tokens")
                .ok_or(SecretFault::Missing("tokens"))?
                .as_array()
                .ok_or(MALFORMED)
        });
        let (listed, fault) = match listed {
            Ok(listed) => (listed.as_slice(), None),
            Err(fault) => (Default::default(), Some(fault)),
        };
        let accepted: Vec<_> = listed
            .iter()
            .filter_map(Value::as_str)
            .map(str::trim)
            .filter(|token| token.chars().count() >= MIN_TOKEN)
            .map(|token| Fingerprint::of(token.as_bytes()))
            .collect();
        let all_good = accepted.len() == listed.len();
        Self {
            accepted,
            fault: fault.or((!all_good).then_some(MALFORMED)),
            accept,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn prove(secret: &Value, vendor: &str, header: &str) -> Result<(), Unproven> {
        let tokens = Tokens::from_secret(secret).ok().unwrap();
        let vendor = VendorId::try_from(vendor).unwrap();
        let presented = Presented::read(header.as_bytes()).expect("a token");
        tokens.prove(&vendor, &presented).map(|proof| {
            assert_eq!(proof.into_vendor_id(), vendor);
        })
    }

    #[test]
    fn any_listed_token_of_the_vendor_is_accepted_and_no_other() {
        let secret = json!({ "vendors": {
            "a": { "tokens": ["the-old-token-of-a", "the-new-token-of-a"] },
            "b": { "tokens": ["the-token-of-b's"], "comment": "unknown keys are ignored" },
            "none": { "tokens": [] },
        } });
        let cases = [
            ("a", "Bearer the-old-token-of-a", Ok(())),
            ("a", "Bearer the-new-token-of-a", Ok(())),
            ("a", "bEARER the-new-token-of-a", Ok(())),
            ("a", "Bearer \t the-new-token-of-a ", Ok(())),
            ("a", "the-new-token-of-a", Ok(())),
            ("a", " the-new-token-of-a", Ok(())),
            ("b", "Bearer the-token-of-b's", Ok(())),
            ("a", "Bearer the-token-of-b's", Err(Unproven::WrongToken)),
            ("a", "Bearer The-new-token-of-a", Err(Unproven::WrongToken)),
            ("a", "Bearer the-new-token-of-", Err(Unproven::WrongToken)),
            ("a", "Bearer the-new-token-of-a1", Err(Unproven::WrongToken)),
            ("a", "Bearerthe-new-token-of-a", Err(Unproven::WrongToken)),
            (
                "a",
                "Bearer Bearer the-new-token-of-a",
                Err(Unproven::WrongToken),
            ),
            ("a", "Basic the-new-token-of-a", Err(Unproven::WrongToken)),
            (
                "a",
                "the-new-token-of-a, the-old-token-of-a",
                Err(Unproven::WrongToken),
            ),
            (
                "none",
                "Bearer the-new-token-of-a",
                Err(Unproven::WrongToken),
            ),
            (
                "A",
                "Bearer the-new-token-of-a",
                Err(Unproven::UnknownVendor),
            ),
            (
                "c",
                "Bearer the-new-token-of-a",
                Err(Unproven::UnknownVendor),
            ),
        ];
        for (vendor, header, expected) in cases {
            assert_eq!(
                prove(&secret, vendor, header),
                expected,
                "{vendor} {header}"
            );
        }
    }

    #[test]
    fn a_bare_token_may_begin_like_the_scheme() {
        let secret = json!({ "vendors": { "a": { "tokens": ["bearer-token-of-a", "Basic x-token-of-a"] } } });
        assert_eq!(prove(&secret, "a", "bearer-token-of-a"), Ok(()));
        assert_eq!(prove(&secret, "a", "Bearer bearer-token-of-a"), Ok(()));
        assert_eq!(prove(&secret, "a", "Basic x-token-of-a"), Ok(()));
    }

    #[test]
    fn no_token_is_presented_where_nothing_is_left() {
        for header in ["", " ", "Bearer", "bearer ", "Bearer \t "] {
            assert!(Presented::read(header.as_bytes()).is_none(), "{header:?}");
        }
    }

    #[test]
    fn a_short_token_in_the_secret_is_its_fault_and_never_accepted() {
        let short = "fifteen-letters";
        let pasted = "pasted-into-here\n";
        let secret = json!({ "vendors": { "a": { "tokens": ["", " ", short, pasted] } } });
        let fault = SecretFault::Wrong {
            key: "tokens",
            expected: "a list of texts of at least 16 characters",
        };
        for header in ["x", "\"\"", "Bearer null", short, "Bearer fifteen-letters"] {
            let refused = Err(Unproven::Malformed(fault.clone()));
            assert_eq!(prove(&secret, "a", header), refused, "{header}");
        }
        assert_eq!(prove(&secret, "a", "Bearer pasted-into-here"), Ok(()));
        let empty = Fingerprint::of(b"");
        let tokens = Tokens::from_secret(&secret).ok().unwrap();
        let vendor = VendorId::try_from("a").unwrap();
        assert!(tokens.prove(&vendor, &Presented(empty)).is_err());
    }

    #[test]
    fn a_malformed_entry_locks_out_no_other_vendor_and_no_readable_token() {
        let missing = Err(Unproven::Malformed(SecretFault::Missing("tokens")));
        let wrong = Err(Unproven::Malformed(SecretFault::Wrong {
            key: "tokens",
            expected: "a list of texts of at least 16 characters",
        }));
        let cases = [
            (
                json!(null),
                Err(Unproven::Malformed(SecretFault::NotAnObject)),
            ),
            (
                json!("the-good-token-of-a"),
                Err(Unproven::Malformed(SecretFault::NotAnObject)),
            ),
            (
                json!(["the-good-token-of-a"]),
                Err(Unproven::Malformed(SecretFault::NotAnObject)),
            ),
            (json!({}), missing.clone()),
            (json!({ "tokens": null }), missing),
            (json!({ "tokens": "the-good-token-of-a" }), wrong.clone()),
            (json!({ "tokens": [7] }), wrong.clone()),
            (
                json!({ "tokens": ["the-bad-token-of-a", ["the-good-token-of-a"]] }),
                wrong,
            ),
            (json!({ "tokens": [null, "the-good-token-of-a"] }), Ok(())),
        ];
        for (entry, expected) in cases {
            let secret =
                json!({ "vendors": { "a": entry, "b": { "tokens": ["the-token-of-b's"] } } });
            assert_eq!(
                prove(&secret, "a", "Bearer the-good-token-of-a"),
                expected,
                "{secret}"
            );
            assert_eq!(
                prove(&secret, "b", "Bearer the-token-of-b's"),
                Ok(()),
                "{secret}"
            );
        }
    }

    #[test]
    fn a_vendor_may_be_on_hold() {
        let wrong = Err(Unproven::Malformed(SecretFault::Wrong {
            key: "accept",
            expected: "true or false",
        }));
        let cases = [
            (json!(null), Ok(false)),
            (json!(true), Ok(false)),
            (json!(false), Ok(true)),
            (json!("false"), wrong.clone()),
            (json!(0), wrong),
        ];
        for (accept, expected) in cases {
            let entry = json!({ "tokens": ["the-good-token-of-a"], "accept": accept });
            let tokens = Tokens::from_secret(&json!({ "vendors": { "a": entry } }));
            let vendor = VendorId::try_from("a").unwrap();
            let prove = |header: &[u8]| {
                let presented = Presented::read(header).unwrap();
                let proof = tokens.as_ref().ok().unwrap().prove(&vendor, &presented);
                proof.map(|proof| proof.is_on_hold())
            };
            assert_eq!(prove(b"the-good-token-of-a"), expected, "{accept}");
            // Not even that is told to whoever has no token.
            assert_eq!(prove(b"another-token-of-a"), Err(Unproven::WrongToken));
        }
    }

    #[test]
    fn a_secret_without_vendors_is_malformed() {
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
            assert_eq!(Tokens::from_secret(&secret).err(), Some(fault), "{secret}");
        }
    }

    /// Does not compile once fingerprints can be compared by `==`: then two
    /// implementations below fit, and which is meant cannot be told.
    #[test]
    fn tokens_can_be_compared_in_constant_time_only() {
        trait Comparable<Marker> {
            fn never() {}
        }
        impl<T> Comparable<()> for T {}
        impl<T: PartialEq> Comparable<u8> for T {}
        <Fingerprint as Comparable<_>>::never();
        <Presented as Comparable<_>>::never();
    }

    proptest! {
        #[test]
        fn no_header_but_the_token_itself_proves_anything(header in any::<Vec<u8>>()) {
            let secret = json!({ "vendors": { "a": { "tokens": ["the token of a vendor"] } } });
            let tokens = Tokens::from_secret(&secret).ok().unwrap();
            let vendor = VendorId::try_from("a").unwrap();
            if let Some(presented) = Presented::read(&header) {
                let is_token = header.trim_ascii().ends_with(b"the token of a vendor");
                prop_assert!(is_token || tokens.prove(&vendor, &presented).is_err());
            }
        }

        #[test]
        fn every_token_a_header_can_hold_is_accepted_with_and_without_scheme(token in "[!-~]{16,200}") {
            let secret = json!({ "vendors": { "a": { "tokens": [token] } } });
            prop_assert_eq!(prove(&secret, "a", &token), Ok(()));
            prop_assert_eq!(prove(&secret, "a", &format!("Bearer {token}")), Ok(()));
        }
    }
}
