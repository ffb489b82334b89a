//! What every CRM should hold of a user, derived from the user's state in Sesamy.
//!
//! Pure: no I/O, and the caller passes the time. The order of contracts,
//! entitlements and bills does not change the result. Nothing here knows a
//! CRM: connectors map a [`DesiredContact`] to their own fields.
//!
//! Where the rules are:
//!
//! | question | file |
//! | --- | --- |
//! | Which users are not synced? Which name, phone, address? | `profile` |
//! | What is a subscription, and when is it active? Which one is primary? | `contracts` |
//! | What does a user have access to? | `entitlements` |
//! | Why does this user have this tag? | `tags`; its spelling: `tag`, `slug` |
//! | Which tags does a sync remove? | `tag_diff` |
//! | Which products are listed as active? | `products` |
//! | Which products and subscriptions become separate records? | `catalogue` |
//! | Where does this count or date come from? | `account`, `payment` |
//! | Which values can a field of a CRM have? | `attribute` |
//!
//! Sesamy's documentation leaves much open. Where we had to decide a rule, its
//! comment starts with *Decided* and says what is known and what is assumed.

mod account;
mod attribute;
mod canonical;
mod catalogue;
mod contracts;
mod dates;
mod desired_contact;
mod entitlements;
mod payment;
mod products;
mod profile;
mod slug;
mod tag;
mod tag_diff;
mod tags;

use jiff::Timestamp;

use crate::identity::UserId;
use crate::sesamy::model::UserState;
use contracts::Contracts;
use entitlements::Entitlements;

pub use attribute::{Attribute, ValueKind};
pub use desired_contact::*;
pub(crate) use entitlements::is_accessible;
pub use slug::slug;
pub use tag::{PERMANENT_TAG, TAG_PREFIX, Tag};
pub use tag_diff::{TagDiff, diff_tags};

#[derive(Debug, Clone, PartialEq)]
pub enum Derivation {
    Contact(Box<DesiredContact>),
    /// The user is not synced to any CRM.
    Skipped(Skip),
}

/// Why a user is not synced.
///
/// Decided. Known: Sesamy's own integrations leave out guests; some also leave
/// out unconfirmed accounts and users without an address. Assumed: all CRMs
/// should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// A temporary account made during a checkout.
    Guest,
    /// Every CRM identifies contacts by e-mail address.
    NoEmail,
    /// The account is not confirmed, and [`Policy`] does not include such accounts.
    Unconfirmed,
}

/// What a vendor can configure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    pub sync_unconfirmed: bool,
}

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
    Derivation::Contact(Box::new(DesiredContact {
        user_id: user_id.clone(),
        email,
        first_name: profile::first_name(&state.profile),
        last_name: profile::last_name(&state.profile),
        phone: profile::phone(&state.profile),
        company: state.profile.company.clone(),
        created: state.profile.created_at.map(dates::utc),
        billing_address: profile::billing_address(&state.profile),
        tags: tags::desired(user_id, &state.profile, &contracts, &entitlements),
        active_products: products::active(&contracts, &entitlements),
        primary_subscription: contracts.primary().map(contracts::summary),
        account: account::summary(&contracts, &entitlements, last_payment.as_ref(), now),
        last_payment,
        contract_payments: payment::newest_paid_by_contract(&state.bills),
        catalogue: catalogue::products(&contracts),
        subscriptions: catalogue::subscriptions(&contracts),
        has_access: !(contracts.active_subscriptions.is_empty()
            && entitlements.accessible.is_empty()),
        next_change: next_change(&contracts, &entitlements, now),
    }))
}

/// The next moment at which time alone changes the result.
///
/// Decided. Known: access ends at an entitlement's `expiresAt`, without a webhook.
/// Assumed: only that and a bill that falls due change without one.
fn next_change(
    contracts: &Contracts<'_>,
    entitlements: &Entitlements<'_>,
    now: Timestamp,
) -> Option<Timestamp> {
    let expiries = entitlements.accessible.iter().filter_map(|e| e.expires_at);
    let payment = account::next_payment(&contracts.active_subscriptions, now);
    expiries.chain(payment).min()
}
