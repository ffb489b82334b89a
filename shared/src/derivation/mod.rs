//! What every CRM should hold of a reader, derived from the reader's state in Sesamy.
//!
//! Pure: no I/O, the clock passed in, the same output for the same input
//! whatever the order of contracts, entitlements and bills. Nothing here knows
//! a CRM: connectors map a [`Subscriber`] to their own fields.
//!
//! Where to look for an answer:
//!
//! | question | file |
//! | --- | --- |
//! | Who is not synced at all? Which name, phone, address? | `profile` |
//! | What is a subscription, and when is it active? Which one is primary? | `contracts` |
//! | What does a reader have access to? | `entitlements` |
//! | Why has this reader this tag? | `tags`; its spelling: `tag`, `slug` |
//! | Which tags does a sync remove? | `reconcile` |
//! | Which products are listed as active? | `products` |
//! | Which products and subscriptions are records of their own? | `catalogue` |
//! | Where does this count or date come from? | `account`, `payment` |
//!
//! Sesamy's documents leave much open. Every rule that had to be decided
//! without them is one item whose comment begins with *Decided* and says what
//! is known and what is assumed.

mod account;
mod canonical;
mod catalogue;
mod contracts;
mod dates;
mod entitlements;
mod payment;
mod products;
mod profile;
mod reconcile;
mod slug;
mod subscriber;
mod tag;
mod tags;

use jiff::Timestamp;

use crate::identity::UserId;
use crate::sesamy::model::UserState;
use contracts::Contracts;
use entitlements::Entitlements;

pub use reconcile::{Reconciliation, reconcile};
pub use slug::slug;
pub use subscriber::*;
pub use tag::{PERMANENT_TAG, TAG_PREFIX, Tag};

/// What becomes of a reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Derivation {
    /// The reader belongs in the CRM like this.
    Subscriber(Box<Subscriber>),
    /// The reader is not synced to any CRM.
    Skipped(Skip),
}

/// Why a user is not synced.
///
/// Decided. Known: Sesamy's own integrations leave out guests and, as far as
/// they say, accounts that are not confirmed and users without an address.
/// Assumed: so do all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// A temporary account made during a checkout.
    Guest,
    /// No e-mail address, by which every CRM knows its contacts.
    NoEmail,
    /// An account that is not confirmed, unless [`Policy`] lets it in.
    Unconfirmed,
}

/// What a vendor may want otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether users whose account is not confirmed are synced too.
    pub sync_unconfirmed: bool,
}

/// Derives what every CRM should hold of a user at the time `now`.
pub fn derive(user_id: &UserId, state: &UserState, policy: Policy, now: Timestamp) -> Derivation {
    if profile::is_guest(user_id, &state.profile) {
        return Derivation::Skipped(Skip::Guest);
    }
    let Some(email) = state.profile.email.clone() else {
        return Derivation::Skipped(Skip::NoEmail);
    };
    if profile::is_unconfirmed(&state.profile) && !policy.sync_unconfirmed {
        return Derivation::Skipped(Skip::Unconfirmed);
    }
    let contracts = Contracts::new(&state.contracts);
    let entitlements = Entitlements::new(&state.entitlements, now);
    let last_payment = payment::newest_paid(&state.bills);
    Derivation::Subscriber(Box::new(Subscriber {
        user_id: user_id.clone(),
        email,
        first_name: profile::first_name(&state.profile),
        last_name: profile::last_name(&state.profile),
        phone: profile::phone(&state.profile),
        company: state.profile.company.clone(),
        created: state.profile.created_at.map(dates::utc),
        billing_address: profile::billing_address(&state.profile),
        tags: tags::wanted(user_id, &state.profile, &contracts, &entitlements),
        active_products: products::active(&contracts, &entitlements),
        primary_subscription: contracts.primary().map(contracts::summary),
        account: account::summary(&contracts, &entitlements, last_payment.as_ref(), now),
        last_payment,
        contract_payments: payment::newest_paid_by_contract(&state.bills),
        catalogue: catalogue::products(&contracts),
        subscriptions: catalogue::subscriptions(&contracts),
    }))
}
