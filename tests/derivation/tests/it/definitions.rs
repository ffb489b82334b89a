//! The fields that each CRM must define, by name and type.

use serde_json::json;
use shared::connector::Field;
use shared::derivation::Attribute;

#[test]
fn rule_field_definitions() {
    let text = [
        "Subscriber.FirstName",
        "Subscriber.LastName",
        "Subscriber.Phone",
        "Sesamy_User.FirstName",
        "Sesamy_User.LastName",
        "Sesamy_User.ID",
        "Sesamy_BillingAddress.FirstName",
        "Sesamy_BillingAddress.LastName",
        "Sesamy_BillingAddress.Street",
        "Sesamy_BillingAddress.City",
        "Sesamy_BillingAddress.Zip",
        "Sesamy_BillingAddress.Co",
        "Sesamy_BillingAddress.Country",
        "Sesamy_BillingAddress.Department",
        "Sesamy_Subscription.Status",
        "Sesamy_Event.Type",
        "Sesamy_Event.OccurredAt",
        "Sesamy_Event.ContractID",
        "Sesamy_Event.CheckoutID",
        "Sesamy_LastPayment.Amount",
        "Sesamy_LastPayment.Currency",
        "Sesamy_LastPayment.ReceiptUrl",
    ];
    let date = [
        "Sesamy_User.Created",
        "Sesamy_Subscription.ExpiresAt",
        "Sesamy_Subscription.CanceledAt",
        "Sesamy_Subscription.CreatedAt",
        "Sesamy_LastPayment.Date",
    ];
    let multiple = [
        "Sesamy_ActiveProducts.SKU",
        "Sesamy_ActiveProducts.Titles",
        "Sesamy_ActiveProducts.OptionTitles",
    ];
    let mut expected: Vec<(&str, &str)> = Vec::new();
    expected.extend(text.map(|key| (key, "text")));
    expected.extend(date.map(|key| (key, "date")));
    expected.extend(multiple.map(|key| (key, "multiple")));
    expected.sort_unstable();
    let mut defined: Vec<(&str, &str)> = rule::mapping::DEFINITIONS
        .iter()
        .map(|(key, kind)| (*key, kind.name()))
        .collect();
    defined.sort_unstable();
    assert_eq!(defined, expected);
}

#[test]
fn mailmojo_field_definitions() {
    assert_eq!(
        mailmojo::mapping::FIELDS.map(|field| (field.label(), field.kind().name())),
        [
            ("Sesamy User ID", "text"),
            ("Has Active Subscription", "boolean"),
            ("Articles Purchased", "number"),
            ("Active Subscriptions", "number"),
            ("Canceled Subscriptions", "number"),
            ("Expired Subscriptions", "number"),
            ("Ended Subscriptions Total", "number"),
            ("Issues Remaining", "number"),
            ("Subscription Expires At", "date"),
            ("Contract Duration Type", "text"),
            ("Last Payment Date", "date"),
            ("Next Payment Date", "date"),
            ("Will Cancel At", "date"),
        ]
    );
}

#[test]
fn debug_output_of_a_field_omits_its_value() {
    let rule = rule::mapping::Field {
        key: "Subscriber.FirstName",
        kind: rule::mapping::FieldType::Text,
        value: json!("Anna"),
        personal: true,
    };
    assert_eq!(format!("{rule:?}"), "Subscriber.FirstName (text)");
    let mailmojo = Field::new("Issues Remaining", Attribute::IssuesRemaining, json!(3));
    assert_eq!(format!("{mailmojo:?}"), "Issues Remaining (number)");
}
