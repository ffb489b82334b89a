use jiff::Timestamp;
use serde_json::value::RawValue;

use super::dropped::Dropped;
use super::object::Object;
use crate::identity::UserId;
use crate::personal::{Email, Personal};
use crate::sesamy::json::parse;

/// Fields as seen in Sesamy's client library, except `is_guest` (assumed).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// `userId`, else `id`, as in Sesamy's list of users.
    pub user_id: Option<UserId>,
    pub email: Option<Email>,
    pub email_verified: Option<bool>,
    pub first_name: Option<Personal>,
    pub last_name: Option<Personal>,
    /// Identity providers' field for the first name.
    pub given_name: Option<Personal>,
    /// Identity providers' field for the last name.
    pub family_name: Option<Personal>,
    pub mobile_phone: Option<Personal>,
    pub phone_number: Option<Personal>,
    pub work_phone: Option<Personal>,
    pub home_phone: Option<Personal>,
    pub company: Option<Personal>,
    /// The publisher's own tags.
    pub tags: Vec<String>,
    pub billing_address: Option<BillingAddress>,
    pub created_at: Option<Timestamp>,
    /// Whether `isGuest` or `guest` is true.
    pub is_guest: bool,
}

impl Profile {
    /// `None` if the JSON is not an object.
    pub fn read(json: &RawValue, dropped: &mut Dropped) -> Option<Self> {
        const PATH: &str = "profile";
        let object = Object::read(json, PATH, dropped)?;
        let user_id = object.get("userId", dropped);
        let address = object.object("billingAddress", "profile.billingAddress", dropped);
        let guest_marks = ["isGuest", "guest"].map(|mark| object.get(mark, dropped));
        Some(Self {
            user_id: user_id.or_else(|| object.get("id", dropped)),
            email: object.get("email", dropped),
            email_verified: object.get("emailVerified", dropped),
            first_name: object.get("firstName", dropped),
            last_name: object.get("lastName", dropped),
            given_name: object.get("given_name", dropped),
            family_name: object.get("family_name", dropped),
            mobile_phone: object.get("mobilePhone", dropped),
            phone_number: object.get("phone_number", dropped),
            work_phone: object.get("workPhone", dropped),
            home_phone: object.get("homePhone", dropped),
            company: object.get("company", dropped),
            tags: object.list("tags", dropped, |tag, dropped| {
                let tag = parse(tag);
                if tag.is_err() {
                    dropped.add(PATH, "tags[]");
                }
                tag.ok()
            }),
            billing_address: address.map(|address| BillingAddress::read(&address, dropped)),
            created_at: object.get("createdAt", dropped),
            is_guest: guest_marks.contains(&Some(true)),
        })
    }
}

/// Fields as seen in Sesamy's client library, except `department`, which Sesamy
/// documents for one of its own integrations only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillingAddress {
    pub first_name: Option<Personal>,
    pub last_name: Option<Personal>,
    pub street: Option<Personal>,
    pub city: Option<Personal>,
    pub zip: Option<Personal>,
    /// Care of.
    pub co: Option<Personal>,
    pub country: Option<Personal>,
    pub department: Option<Personal>,
}

impl BillingAddress {
    fn read(object: &Object<'_>, dropped: &mut Dropped) -> Self {
        Self {
            first_name: object.get("firstName", dropped),
            last_name: object.get("lastName", dropped),
            street: object.get("street", dropped),
            city: object.get("city", dropped),
            zip: object.get("zip", dropped),
            co: object.get("co", dropped),
            country: object.get("country", dropped),
            department: object.get("department", dropped),
        }
    }
}
