//! Users with their contracts, entitlements and bills, as tests write them.
//!
//! The builders make realistic objects of the documented models; `set` and
//! `without` bend any field, and a [`User`] can be read from raw JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::state::Resource;

/// When things were made, where a test does not say.
const MADE: &str = "2025-01-15T09:00:00.000Z";
/// A future far enough for any test.
const FAR: &str = "2099-01-15T09:00:00.000Z";

/// A user's whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// The user id.
    pub id: String,
    /// The profile; `null` means there is none, and reading it is a 404.
    #[serde(default)]
    pub profile: Value,
    /// The contracts, a list unless a test wants something odd.
    #[serde(default = "none")]
    pub contracts: Value,
    /// The entitlements, likewise.
    #[serde(default = "none")]
    pub entitlements: Value,
    /// The bills, likewise.
    #[serde(default = "none")]
    pub bills: Value,
}

fn none() -> Value {
    json!([])
}

impl User {
    /// A confirmed user with an id and nothing else, not even an e-mail.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            profile: json!({
                "userId": id,
                "sub": id,
                "emailVerified": true,
                "tags": [],
                "createdAt": MADE,
                "updatedAt": MADE,
            }),
            contracts: none(),
            entitlements: none(),
            bills: none(),
        }
    }

    /// Sets any field of the profile.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(profile) = &mut self.profile {
            profile.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Takes a field off the profile.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        if let Value::Object(profile) = &mut self.profile {
            profile.remove(key);
        }
        self
    }

    /// The e-mail address.
    #[must_use]
    pub fn email(self, email: &str) -> Self {
        self.set("email", email)
    }

    /// First and last name.
    #[must_use]
    pub fn name(self, first: &str, last: &str) -> Self {
        self.set("firstName", first)
            .set("lastName", last)
            .set("name", format!("{first} {last}"))
    }

    /// The mobile phone.
    #[must_use]
    pub fn mobile_phone(self, number: &str) -> Self {
        self.set("mobilePhone", number)
    }

    /// The default phone.
    #[must_use]
    pub fn phone_number(self, number: &str) -> Self {
        self.set("phone_number", number)
    }

    /// The phone at work.
    #[must_use]
    pub fn work_phone(self, number: &str) -> Self {
        self.set("workPhone", number)
    }

    /// The phone at home.
    #[must_use]
    pub fn home_phone(self, number: &str) -> Self {
        self.set("homePhone", number)
    }

    /// The company.
    #[must_use]
    pub fn company(self, name: &str) -> Self {
        self.set("company", name)
    }

    /// Marks a guest. Which field does so is not documented; this is one of
    /// the forms a client has to understand.
    #[must_use]
    pub fn guest(self) -> Self {
        self.set("isGuest", true)
    }

    /// Marks an account that is not confirmed, by an address that is not
    /// verified. Which field does so is not documented.
    #[must_use]
    pub fn unconfirmed(self) -> Self {
        self.set("emailVerified", false)
    }

    /// When the user was made.
    #[must_use]
    pub fn created_at(self, moment: &str) -> Self {
        self.set("createdAt", moment)
    }

    /// The profile's own tags.
    #[must_use]
    pub fn tags(self, tags: &[&str]) -> Self {
        self.set("tags", tags.to_vec())
    }

    /// The billing address.
    #[must_use]
    pub fn billing_address(self, address: impl Into<Value>) -> Self {
        self.set("billingAddress", address)
    }

    /// Adds a contract; it gets this user's id.
    #[must_use]
    pub fn contract(mut self, contract: impl Into<Value>) -> Self {
        let mut contract = contract.into();
        if let Value::Object(fields) = &mut contract {
            fields
                .entry("userId")
                .or_insert_with(|| self.id.clone().into());
        }
        push(&mut self.contracts, contract);
        self
    }

    /// Adds an entitlement.
    #[must_use]
    pub fn entitlement(mut self, entitlement: impl Into<Value>) -> Self {
        push(&mut self.entitlements, entitlement.into());
        self
    }

    /// Adds a bill.
    #[must_use]
    pub fn bill(mut self, bill: impl Into<Value>) -> Self {
        push(&mut self.bills, bill.into());
        self
    }

    /// The list that a resource is read from.
    pub(crate) const fn resource(&self, resource: Resource) -> &Value {
        match resource {
            Resource::User => &self.profile,
            Resource::Contracts => &self.contracts,
            Resource::Entitlements => &self.entitlements,
            Resource::Bills => &self.bills,
        }
    }

    /// The user as it stands in the list of users: a smaller model that says
    /// `id` where the profile says `userId`.
    pub(crate) fn listed(&self) -> Value {
        let mut listed = Map::new();
        listed.insert("id".into(), self.id.clone().into());
        for key in ["email", "name", "createdAt", "updatedAt"] {
            if let Some(value) = self.profile.get(key) {
                listed.insert(key.into(), value.clone());
            }
        }
        Value::Object(listed)
    }
}

fn push(list: &mut Value, item: Value) {
    if let Value::Array(list) = list {
        list.push(item);
    }
}

/// A builder's fields, with what every builder can do.
macro_rules! builder {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(Map<String, Value>);

        impl $name {
            fn of(value: Value) -> Self {
                match value {
                    Value::Object(fields) => Self(fields),
                    _ => Self(Map::new()),
                }
            }

            /// Sets any field.
            #[must_use]
            pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
                self.0.insert(key.to_owned(), value.into());
                self
            }

            /// Takes a field off.
            #[must_use]
            pub fn without(mut self, key: &str) -> Self {
                self.0.remove(key);
                self
            }
        }

        impl From<$name> for Value {
            fn from(built: $name) -> Self {
                Self::Object(built.0)
            }
        }
    };
}

builder! {
    /// A postal address.
    Address
}

impl Address {
    /// Street, postal code, city and country.
    #[must_use]
    pub fn new(street: &str, zip: &str, city: &str, country: &str) -> Self {
        Self::of(json!({"street": street, "zip": zip, "city": city, "country": country}))
    }

    /// The name in the address.
    #[must_use]
    pub fn name(self, first: &str, last: &str) -> Self {
        self.set("firstName", first).set("lastName", last)
    }

    /// Care of.
    #[must_use]
    pub fn co(self, co: &str) -> Self {
        self.set("co", co)
    }
}

builder! {
    /// A contract: a subscription or a single purchase.
    Contract
}

impl Contract {
    /// A contract of this status. It begins as a monthly subscription to
    /// "Premium" (`sid:premium`), option "Monthly" (`po-monthly`).
    #[must_use]
    pub fn with_status(id: &str, status: &str) -> Self {
        let active = matches!(status, "ACTIVE" | "OVERDUE");
        Self::of(json!({
            "id": id,
            "name": "Premium",
            "createdAt": MADE,
            "updatedAt": MADE,
            "price": 99,
            "currency": "SEK",
            "nextBillAt": active.then_some(FAR),
            "nextPrice": active.then_some(99),
            "contractDuration": "RECURRING",
            "items": [],
            "status": status,
            "isActive": active,
            "recurringInterval": "MONTH",
            "recurringTime": 1,
            "willCancelAt": null,
            "cancelRequestedAt": null,
            "expiresAt": if active { FAR } else { "2025-06-15T09:00:00.000Z" },
            "appliedDiscounts": [],
        }))
        .item("sid:premium", "Premium", "po-monthly", "Monthly")
    }

    /// A running subscription.
    #[must_use]
    pub fn active(id: &str) -> Self {
        Self::with_status(id, "ACTIVE")
    }

    /// A subscription whose payment failed, in its grace period.
    #[must_use]
    pub fn overdue(id: &str) -> Self {
        Self::with_status(id, "OVERDUE")
    }

    /// A subscription that was cancelled and has ended.
    #[must_use]
    pub fn canceled(id: &str) -> Self {
        Self::with_status(id, "CANCELED")
    }

    /// A subscription that ran out.
    #[must_use]
    pub fn expired(id: &str) -> Self {
        Self::with_status(id, "EXPIRED")
    }

    /// A single purchase.
    #[must_use]
    pub fn single_purchase(id: &str) -> Self {
        Self::active(id)
            .set("contractDuration", "PERPETUAL")
            .set("nextBillAt", Value::Null)
            .set("nextPrice", Value::Null)
            .without("recurringInterval")
            .without("recurringTime")
            .without("expiresAt")
    }

    /// A fixed term that can be renewed.
    #[must_use]
    pub fn renewable(self) -> Self {
        self.set("contractDuration", "RENEWABLE")
            .set("nextBillAt", Value::Null)
    }

    /// The contract's name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.set("name", name)
    }

    /// The only item: SKU, title, option id and option title.
    #[must_use]
    pub fn item(self, sku: &str, title: &str, option_id: &str, option_title: &str) -> Self {
        self.set("items", json!([item(sku, title, option_id, option_title)]))
    }

    /// One more item.
    #[must_use]
    pub fn and_item(mut self, sku: &str, title: &str, option_id: &str, option_title: &str) -> Self {
        if let Some(Value::Array(items)) = self.0.get_mut("items") {
            items.push(item(sku, title, option_id, option_title));
        }
        self
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(self, moment: &str) -> Self {
        self.set("createdAt", moment)
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(self, moment: &str) -> Self {
        self.set("updatedAt", moment)
    }

    /// When it ends.
    #[must_use]
    pub fn expires_at(self, moment: &str) -> Self {
        self.set("expiresAt", moment)
    }

    /// The next charge.
    #[must_use]
    pub fn next_bill_at(self, moment: &str) -> Self {
        self.set("nextBillAt", moment)
    }

    /// The user has cancelled: it ends then, and is active until then.
    #[must_use]
    pub fn cancels_at(self, requested: &str, ends: &str) -> Self {
        self.set("cancelRequestedAt", requested)
            .set("willCancelAt", ends)
    }

    /// Issues left of a print subscription.
    #[must_use]
    pub fn issues_remaining(self, issues: u32) -> Self {
        self.set("issuesRemaining", issues)
    }

    /// Someone else pays. The field is not documented; this is one of the
    /// forms a client has to understand.
    #[must_use]
    pub fn paid_by(self, user_id: &str) -> Self {
        self.set("payer", json!({"id": user_id}))
    }
}

fn item(sku: &str, title: &str, option_id: &str, option_title: &str) -> Value {
    json!({
        "sku": sku,
        "name": title,
        "purchaseOptionId": option_id,
        "purchaseOptionName": option_title,
        "purchaseType": "RECURRING",
    })
}

builder! {
    /// Access to a product.
    Entitlement
}

impl Entitlement {
    /// Access to a pass, paid through a contract named after the entitlement.
    #[must_use]
    pub fn new(id: &str, sku: &str, title: &str) -> Self {
        Self::of(json!({
            "id": id,
            "sku": sku,
            "title": title,
            "type": "pass",
            "origin": {"type": "PAYMENTS", "contractId": format!("contract-of-{id}")},
            "hasAccess": true,
            "createdAt": MADE,
            "updatedAt": MADE,
        }))
    }

    /// The type: `article`, `pass`, `publication` and so on.
    #[must_use]
    pub fn kind(self, kind: &str) -> Self {
        self.set("type", kind)
    }

    /// A bought article.
    #[must_use]
    pub fn article(id: &str, sku: &str, title: &str) -> Self {
        Self::new(id, sku, title).kind("article")
    }

    /// The contract that pays for it.
    #[must_use]
    pub fn from_contract(self, contract_id: &str) -> Self {
        self.set(
            "origin",
            json!({"type": "PAYMENTS", "contractId": contract_id}),
        )
    }

    /// Access from an external list.
    #[must_use]
    pub fn external(self, list_id: &str, name: &str) -> Self {
        let origin = json!({"type": "EXTERNAL", "id": "grant", "listId": list_id, "name": name});
        self.set("origin", origin)
    }

    /// The purchase option's id.
    #[must_use]
    pub fn option(self, option_id: &str) -> Self {
        self.set("purchaseOption", option_id)
    }

    /// When access ends.
    #[must_use]
    pub fn expires_at(self, moment: &str) -> Self {
        self.set("expiresAt", moment)
    }

    /// Access is off.
    #[must_use]
    pub fn no_access(self) -> Self {
        self.set("hasAccess", false)
    }
}

builder! {
    /// A bill.
    Bill
}

impl Bill {
    /// A bill of this status for a contract.
    #[must_use]
    pub fn with_status(id: &str, contract_id: &str, status: &str) -> Self {
        Self::of(json!({
            "id": id,
            "contractId": contract_id,
            "items": [{"sku": "sid:premium", "title": "Premium", "purchaseOptionId": "po-monthly"}],
            "price": 99,
            "currency": "SEK",
            "receiptUrl": format!("https://example.com/receipts/{id}"),
            "paymentProvider": "STRIPE",
            "paymentMethod": "CARD",
            "status": status,
            "updatedAt": MADE,
            "createdAt": MADE,
        }))
    }

    /// A paid bill.
    #[must_use]
    pub fn paid(id: &str, contract_id: &str) -> Self {
        Self::with_status(id, contract_id, "PAID")
    }

    /// The amount, as it is sent.
    #[must_use]
    pub fn price(self, price: impl Into<Value>, currency: &str) -> Self {
        self.set("price", price).set("currency", currency)
    }

    /// When it was made and paid.
    #[must_use]
    pub fn paid_at(self, moment: &str) -> Self {
        self.set("createdAt", moment).set("updatedAt", moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_read_well_and_round_trip() {
        let user = User::new("email|84cc")
            .email("anna@example.se")
            .name("Anna", "Berg")
            .contract(Contract::active("c1").cancels_at("2026-01-01", "2026-02-01"))
            .contract(Contract::single_purchase("c2"))
            .entitlement(Entitlement::new("e1", "sid:x", "X").external("list", "Partner"))
            .bill(Bill::paid("b1", "c1").price(129.5, "NOK"));
        assert_eq!(user.contracts[0]["userId"], "email|84cc");
        assert_eq!(user.contracts[0]["isActive"], true);
        assert_eq!(user.contracts[1].get("expiresAt"), None);
        assert_eq!(user.listed()["id"], "email|84cc");
        let text = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&text).unwrap(), user);
    }
}
