//! Who a reader is, and who is not synced.

use super::subscriber::BillingAddress;
use crate::identity::UserId;
use crate::personal::Personal;
use crate::sesamy::model::Profile;

/// Whether a reader is a guest: a temporary account made during a checkout.
///
/// Decided. Known: guests are not synced; what marks one is not documented.
/// Assumed: the profile says so, or the reader signs in by the connection
/// `guest`, as the user id's prefix tells.
pub(super) fn is_guest(user_id: &UserId, profile: &Profile) -> bool {
    profile.is_guest || user_id.connection() == Some("guest")
}

/// Whether a user's account is not confirmed.
///
/// Decided. Known: "only users with confirmed accounts are included"; what marks
/// one is not documented. Assumed: `emailVerified` false marks one that is not.
/// A vendor may say otherwise by [`Policy`](super::Policy).
pub(super) fn is_unconfirmed(profile: &Profile) -> bool {
    profile.email_verified == Some(false)
}

/// `firstName`, else `given_name`.
///
/// Decided. Known: both pairs of fields, and a full `name`. Assumed: Sesamy's
/// own field is what the publisher keeps right. `name` is never split, because
/// nobody can tell where.
pub(super) fn first_name(profile: &Profile) -> Option<Personal> {
    let own = profile.first_name.as_ref();
    own.or(profile.given_name.as_ref()).cloned()
}

/// `lastName`, else `family_name`: as with [`first_name`].
pub(super) fn last_name(profile: &Profile) -> Option<Personal> {
    let own = profile.last_name.as_ref();
    own.or(profile.family_name.as_ref()).cloned()
}

/// The phone number that comes first: mobile, default, work, home.
///
/// Known: this priority. Assumed: the default one is `phone_number`.
pub(super) fn phone(profile: &Profile) -> Option<Personal> {
    [
        &profile.mobile_phone,
        &profile.phone_number,
        &profile.work_phone,
        &profile.home_phone,
    ]
    .into_iter()
    .find_map(Clone::clone)
}

/// The billing address. One whose fields are all blank is none.
pub(super) fn billing_address(profile: &Profile) -> Option<BillingAddress> {
    let address = profile.billing_address.clone()?;
    let address = BillingAddress {
        first_name: address.first_name,
        last_name: address.last_name,
        street: address.street,
        city: address.city,
        zip: address.zip,
        co: address.co,
        country: address.country,
        department: address.department,
    };
    (address != BillingAddress::default()).then_some(address)
}
