//! Maps a [`DesiredContact`] to Mailchimp's merge fields, and events to activity. Pure.

use serde_json::{Value, json};
use shared::connector::Field;
use shared::derivation::{Attribute, DesiredContact, ValueKind};
use shared::http::without_nulls;
use shared::message::{Event, EventType};

/// Names the Sesamy user that the member belongs to.
pub const OWNER: &str = "SESAMYUSR";

/// Every merge field that a sync may write, by its tag of up to ten characters. The
/// most important ones come first: an audience may lack room for all.
///
/// Decided. Known: Sesamy's documentation has those above the line. Left out:
/// `SMYLASTSEE`, the user's last visit, which Sesamy's API does not tell.
pub const FIELDS: [(Attribute, &str); 16] = [
    (Attribute::UserId, OWNER),
    (Attribute::HasActiveSubscription, "SMYSUBSC"),
    (Attribute::FirstName, "FNAME"),
    (Attribute::LastName, "LNAME"),
    (Attribute::Phone, "PHONE"),
    (Attribute::ArticlesPurchased, "SMYARTPUR"),
    (Attribute::ActiveSubscriptions, "SMYACTSUBS"),
    (Attribute::CanceledSubscriptions, "SMYCANSUBS"),
    (Attribute::ExpiredSubscriptions, "SMYEXPSUBS"),
    (Attribute::EndedSubscriptions, "SMYENDSUBS"),
    (Attribute::IssuesRemaining, "SMYISSREM"),
    // This system's own.
    (Attribute::SubscriptionExpiresAt, "SMYEXPIRES"),
    (Attribute::LastPaymentDate, "SMYLASTPAY"),
    (Attribute::NextPaymentDate, "SMYNEXTPAY"),
    (Attribute::WillCancelAt, "SMYCANCEL"),
    (Attribute::ContractDuration, "SMYTYPE"),
];

/// Mailchimp's type of a merge field. It has no booleans.
pub fn type_name(attribute: Attribute) -> &'static str {
    match attribute.kind() {
        _ if attribute == Attribute::Phone => "phone",
        ValueKind::Boolean => "text",
        kind => kind.name(),
    }
}

/// Always all merge fields, so that values that no longer apply are cleared.
pub fn fields(desired: &DesiredContact) -> impl Iterator<Item = Field> {
    FIELDS.into_iter().map(|(attribute, name)| {
        let value = match desired.value(attribute) {
            // Known: Sesamy writes these words.
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            value => value,
        };
        Field::new(name, attribute, value)
    })
}

/// The body of an event of a member's activity.
///
/// Decided. Known: Sesamy tracks activity at Mailchimp; no name of an event is
/// documented.
pub fn event(event: &Event) -> Value {
    // Assumed: Mailchimp reads whole seconds, as in its own examples.
    let occurred_at = format!("{:.0}", event.occurred_at);
    let properties = json!({
        "contract_id": event.contract_id,
        "entitlement_id": event.entitlement_id,
        "checkout_id": event.checkout_id,
        "occurred_at": occurred_at,
    });
    json!({
        "name": event_name(event.event_type),
        "properties": without_nulls(properties),
        "occurred_at": occurred_at,
    })
}

/// Up to thirty characters.
fn event_name(event: EventType) -> &'static str {
    match event {
        EventType::UserVendorNew => "sesamy_user_vendor_new",
        EventType::UserVendorUpdate => "sesamy_user_vendor_update",
        EventType::ContractPurchased => "sesamy_contract_purchased",
        EventType::ContractUpdate => "sesamy_contract_update",
        EventType::ContractCancelRequest => "sesamy_contract_cancel_request",
        EventType::CheckoutConfirm => "sesamy_checkout_confirm",
        EventType::EntitlementNew => "sesamy_entitlement_new",
        EventType::EntitlementUpdate => "sesamy_entitlement_update",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_mailchimps_limits() {
        for (_, tag) in FIELDS {
            assert!(tag.len() <= 10, "{tag}");
        }
        for event in EventType::ALL {
            assert!(event_name(event).len() <= 30, "{}", event.name());
        }
    }
}
