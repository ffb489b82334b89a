//! Builders for users, contracts, entitlements and bills.
//!
//! The builders create realistic objects of the documented models. `set` and `without`
//! change any field.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::state::Resource;

const CREATED_AT: &str = "2025-01-15T09:00:00.000Z";
const FAR_FUTURE: &str = "2099-01-15T09:00:00.000Z";

#[must_use]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    pub id: String,
    /// `null` means that there is no profile, so reading it is a 404.
    #[serde(default)]
    pub profile: Value,
    #[serde(default = "empty_list")]
    pub contracts: Value,
    #[serde(default = "empty_list")]
    pub entitlements: Value,
    #[serde(default = "empty_list")]
    pub bills: Value,
}

fn empty_list() -> Value {
    json!([])
}

impl User {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            profile: json!({
                "userId": id,
                "sub": id,
                "emailVerified": true,
                "tags": [],
                "createdAt": CREATED_AT,
                "updatedAt": CREATED_AT,
            }),
            contracts: empty_list(),
            entitlements: empty_list(),
            bills: empty_list(),
        }
    }

    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(profile) = &mut self.profile {
            profile.insert(key.to_owned(), value.into());
        }
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        if let Value::Object(profile) = &mut self.profile {
            profile.remove(key);
        }
        self
    }

    pub fn email(self, email: &str) -> Self {
        self.set("email", email)
    }

    pub fn name(self, first: &str, last: &str) -> Self {
        self.set("firstName", first)
            .set("lastName", last)
            .set("name", format!("{first} {last}"))
    }

    pub fn mobile_phone(self, number: &str) -> Self {
        self.set("mobilePhone", number)
    }

    pub fn phone_number(self, number: &str) -> Self {
        self.set("phone_number", number)
    }

    pub fn company(self, name: &str) -> Self {
        self.set("company", name)
    }

    /// Which field marks a guest is not documented. This is one of the forms that a client
    /// has to understand.
    pub fn guest(self) -> Self {
        self.set("isGuest", true)
    }

    /// Which field marks an unconfirmed account is not documented.
    pub fn unconfirmed(self) -> Self {
        self.set("emailVerified", false)
    }

    pub fn tags(self, tags: &[&str]) -> Self {
        self.set("tags", tags.to_vec())
    }

    pub fn billing_address(self, address: impl Into<Value>) -> Self {
        self.set("billingAddress", address)
    }

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

    pub fn entitlement(mut self, entitlement: impl Into<Value>) -> Self {
        push(&mut self.entitlements, entitlement.into());
        self
    }

    pub fn bill(mut self, bill: impl Into<Value>) -> Self {
        push(&mut self.bills, bill.into());
        self
    }

    pub(crate) const fn resource(&self, resource: Resource) -> &Value {
        match resource {
            Resource::User => &self.profile,
            Resource::Contracts => &self.contracts,
            Resource::Entitlements => &self.entitlements,
            Resource::Bills => &self.bills,
        }
    }

    /// The user's entry in the list of users, which has `id` instead of `userId`.
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

macro_rules! builder {
    ($name:ident) => {
        #[must_use]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(Map<String, Value>);

        impl $name {
            fn from_json(value: Value) -> Self {
                match value {
                    Value::Object(fields) => Self(fields),
                    _ => Self(Map::new()),
                }
            }

            pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
                self.0.insert(key.to_owned(), value.into());
                self
            }

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

builder!(Address);

impl Address {
    pub fn new(street: &str, zip: &str, city: &str, country: &str) -> Self {
        Self::from_json(json!({"street": street, "zip": zip, "city": city, "country": country}))
    }

    pub fn name(self, first: &str, last: &str) -> Self {
        self.set("firstName", first).set("lastName", last)
    }

    pub fn co(self, co: &str) -> Self {
        self.set("co", co)
    }
}

builder!(Contract);

impl Contract {
    /// A monthly subscription to the product "Premium" (`sid:premium`), option "Monthly"
    /// (`po-monthly`).
    pub fn with_status(id: &str, status: &str) -> Self {
        let active = matches!(status, "ACTIVE" | "OVERDUE");
        Self::from_json(json!({
            "id": id,
            "name": "Premium",
            "createdAt": CREATED_AT,
            "updatedAt": CREATED_AT,
            "price": 99,
            "currency": "SEK",
            "nextBillAt": active.then_some(FAR_FUTURE),
            "nextPrice": active.then_some(99),
            "contractDuration": "RECURRING",
            "items": [],
            "status": status,
            "isActive": active,
            "recurringInterval": "MONTH",
            "recurringTime": 1,
            "willCancelAt": null,
            "cancelRequestedAt": null,
            "expiresAt": if active { FAR_FUTURE } else { "2025-06-15T09:00:00.000Z" },
            "appliedDiscounts": [],
        }))
        .item("sid:premium", "Premium", "po-monthly", "Monthly")
    }

    pub fn active(id: &str) -> Self {
        Self::with_status(id, "ACTIVE")
    }

    pub fn overdue(id: &str) -> Self {
        Self::with_status(id, "OVERDUE")
    }

    pub fn canceled(id: &str) -> Self {
        Self::with_status(id, "CANCELED")
    }

    pub fn expired(id: &str) -> Self {
        Self::with_status(id, "EXPIRED")
    }

    pub fn single_purchase(id: &str) -> Self {
        Self::active(id)
            .set("contractDuration", "PERPETUAL")
            .set("nextBillAt", Value::Null)
            .set("nextPrice", Value::Null)
            .without("recurringInterval")
            .without("recurringTime")
            .without("expiresAt")
    }

    pub fn name(self, name: &str) -> Self {
        self.set("name", name)
    }

    pub fn item(self, sku: &str, title: &str, option_id: &str, option_title: &str) -> Self {
        self.set("items", json!([item(sku, title, option_id, option_title)]))
    }

    pub fn cancels_at(self, requested: &str, ends: &str) -> Self {
        self.set("cancelRequestedAt", requested)
            .set("willCancelAt", ends)
    }

    pub fn issues_remaining(self, issues: u32) -> Self {
        self.set("issuesRemaining", issues)
    }

    /// The field of a payer is not documented. This is one of the forms that a client has to
    /// understand.
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

builder!(Entitlement);

impl Entitlement {
    /// A pass that is paid through a contract named after the entitlement.
    pub fn new(id: &str, sku: &str, title: &str) -> Self {
        Self::from_json(json!({
            "id": id,
            "sku": sku,
            "title": title,
            "type": "pass",
            "origin": {"type": "PAYMENTS", "contractId": format!("contract-of-{id}")},
            "hasAccess": true,
            "createdAt": CREATED_AT,
            "updatedAt": CREATED_AT,
        }))
    }

    pub fn kind(self, kind: &str) -> Self {
        self.set("type", kind)
    }

    pub fn article(id: &str, sku: &str, title: &str) -> Self {
        Self::new(id, sku, title).kind("article")
    }

    pub fn from_contract(self, contract_id: &str) -> Self {
        self.set(
            "origin",
            json!({"type": "PAYMENTS", "contractId": contract_id}),
        )
    }

    pub fn external(self, list_id: &str, name: &str) -> Self {
        let origin = json!({"type": "EXTERNAL", "id": "grant", "listId": list_id, "name": name});
        self.set("origin", origin)
    }

    pub fn option(self, option_id: &str) -> Self {
        self.set("purchaseOption", option_id)
    }

    pub fn no_access(self) -> Self {
        self.set("hasAccess", false)
    }
}

builder!(Bill);

impl Bill {
    pub fn with_status(id: &str, contract_id: &str, status: &str) -> Self {
        Self::from_json(json!({
            "id": id,
            "contractId": contract_id,
            "items": [{"sku": "sid:premium", "title": "Premium", "purchaseOptionId": "po-monthly"}],
            "price": 99,
            "currency": "SEK",
            "receiptUrl": format!("https://example.com/receipts/{id}"),
            "paymentProvider": "STRIPE",
            "paymentMethod": "CARD",
            "status": status,
            "updatedAt": CREATED_AT,
            "createdAt": CREATED_AT,
        }))
    }

    pub fn paid(id: &str, contract_id: &str) -> Self {
        Self::with_status(id, contract_id, "PAID")
    }

    pub fn price(self, price: impl Into<Value>, currency: &str) -> Self {
        self.set("price", price).set("currency", currency)
    }

    pub fn paid_at(self, moment: &str) -> Self {
        self.set("createdAt", moment).set("updatedAt", moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_users_have_the_documented_fields_and_survive_json() {
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
