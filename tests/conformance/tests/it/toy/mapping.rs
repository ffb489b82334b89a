//! Maps a [`DesiredContact`] to the fields of a Toy contact. Pure.

use serde_json::Value;
use shared::derivation::DesiredContact;

/// Names the Sesamy user that the contact belongs to.
pub const OWNER: &str = "user";

/// Belongs to the publisher too: a sync writes it only if the contact has none.
pub const NAME: &str = "name";

pub const FIELDS: [&str; 3] = [OWNER, "subscriptions", "ends"];

/// Always all of [`FIELDS`]. Null clears a field.
pub fn fields(desired: &DesiredContact) -> [(&'static str, Value); 3] {
    let account = &desired.account;
    let ends = account.subscription_expires_at.map(|date| date.to_string());
    let [owner, subscriptions, ends_at] = FIELDS;
    [
        (owner, desired.user_id.as_str().into()),
        (subscriptions, account.active_subscriptions.into()),
        (ends_at, ends.into()),
    ]
}

pub fn name(desired: &DesiredContact) -> Option<&str> {
    desired.first_name.as_ref().map(|name| name.expose())
}
