//! Names, phone and address of a user, and which users are not synced.

use crate::identity::UserId;
use crate::personal::Personal;
use crate::sesamy::model::{BillingAddress, Profile};

/// Whether the user is a temporary account made during a checkout.
///
/// Decided. Known: guests are not synced; how to recognise them is not
/// documented. Assumed: by a field of the profile, or by the connection `guest`
/// in the prefix of the user id.
pub(super) fn is_guest(user_id: &UserId, profile: &Profile) -> bool {
    profile.is_guest || user_id.connection() == Some("guest")
}

/// Decided. Known: "only users with confirmed accounts are included"; how to
/// recognise them is not documented. Assumed: `emailVerified` is false for an
/// unconfirmed account. [`Policy`](super::Policy) can include them.
pub(super) fn is_unconfirmed(profile: &Profile) -> bool {
    profile.email_verified == Some(false)
}

/// `firstName`, else `given_name`.
///
/// Decided. Known: both pairs of fields, and a full `name`. Assumed: publishers
/// maintain Sesamy's own field. `name` is never split, because the split point
/// is unknown.
pub(super) fn first_name(profile: &Profile) -> Option<Personal> {
    let own = profile.first_name.as_ref();
    own.or(profile.given_name.as_ref()).cloned()
}

/// `lastName`, else `family_name`, like [`first_name`].
pub(super) fn last_name(profile: &Profile) -> Option<Personal> {
    let own = profile.last_name.as_ref();
    own.or(profile.family_name.as_ref()).cloned()
}

/// Known: the priority mobile, default, work, home. Assumed: `phone_number` is
/// the default.
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

/// An address whose fields are all blank counts as missing.
pub(super) fn billing_address(profile: &Profile) -> Option<BillingAddress> {
    let address = profile.billing_address.clone();
    address.filter(|address| *address != BillingAddress::default())
}
