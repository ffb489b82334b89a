//! Maps a [`DesiredContact`] to Mailmojo's account fields, name and phone. Pure.

use shared::connector::Field;
use shared::derivation::{Attribute, DesiredContact};
use shared::personal::Personal;

/// Every account field. Its display name, which is also its key, is the attribute's
/// label, and its type that of the attribute.
///
/// Source: Sesamy's documentation. Assumed: Mailmojo names the types as Sesamy's list
/// of fields does.
pub const FIELDS: [Attribute; 13] = [
    Attribute::UserId,
    Attribute::HasActiveSubscription,
    Attribute::ArticlesPurchased,
    Attribute::ActiveSubscriptions,
    Attribute::CanceledSubscriptions,
    Attribute::ExpiredSubscriptions,
    Attribute::EndedSubscriptions,
    Attribute::IssuesRemaining,
    Attribute::SubscriptionExpiresAt,
    Attribute::ContractDuration,
    Attribute::LastPaymentDate,
    Attribute::NextPaymentDate,
    Attribute::WillCancelAt,
];

/// Always all account fields, so that values that no longer apply are cleared.
///
/// Assumed: null clears a field. Sesamy documents that fields are cleared when a value
/// no longer applies, not how.
pub fn fields(desired: &DesiredContact) -> [Field; 13] {
    FIELDS.map(|attribute| Field::new(attribute.label(), attribute, desired.value(attribute)))
}

/// The name and phone that Sesamy has, by Mailmojo's keys. A sync writes them only
/// if the contact has none, so that values entered in Mailmojo stay.
pub fn personal(desired: &DesiredContact) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("first_name", desired.first_name.as_ref()),
        ("last_name", desired.last_name.as_ref()),
        ("phone", desired.phone.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}
