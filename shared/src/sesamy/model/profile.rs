//! Who a reader is.

use jiff::Timestamp;
use serde_json::Value;

use super::dropped::Dropped;
use super::reader::Object;
use crate::identity::UserId;
use crate::personal::{Email, Personal};

/// A reader's profile.
///
/// Fields as seen in Sesamy's client library, but `is_guest`, which is assumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// `userId`, or `id` as in Sesamy's list of users.
    pub user_id: Option<UserId>,
    /// `email`.
    pub email: Option<Email>,
    /// `emailVerified`.
    pub email_verified: Option<bool>,
    /// `firstName`.
    pub first_name: Option<Personal>,
    /// `lastName`.
    pub last_name: Option<Personal>,
    /// `given_name`, as identity providers spell the first name.
    pub given_name: Option<Personal>,
    /// `family_name`, as identity providers spell the last name.
    pub family_name: Option<Personal>,
    /// `mobilePhone`.
    pub mobile_phone: Option<Personal>,
    /// `phone_number`: the one that Sesamy calls the default.
    pub phone_number: Option<Personal>,
    /// `workPhone`.
    pub work_phone: Option<Personal>,
    /// `homePhone`.
    pub home_phone: Option<Personal>,
    /// `company`.
    pub company: Option<Personal>,
    /// `tags`: the publisher's own tags of the reader.
    pub tags: Vec<String>,
    /// `billingAddress`.
    pub billing_address: Option<Address>,
    /// `createdAt`.
    pub created_at: Option<Timestamp>,
    /// Whether `isGuest` or `guest` says yes.
    pub is_guest: bool,
}

impl Profile {
    /// Reads a profile. `None` where it is not an object.
    pub fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        const PATH: &str = "profile";
        let object = Object::read(json, PATH, dropped)?;
        let mut user_id = |field| object.parsed(field, dropped, |text| UserId::try_from(text).ok());
        let user_id = user_id("userId").or_else(|| user_id("id"));
        let guest_marks = [
            object.boolean("isGuest", dropped),
            object.boolean("guest", dropped),
        ];
        Some(Self {
            user_id,
            email: object.text("email", dropped).and_then(Email::parse),
            email_verified: object.boolean("emailVerified", dropped),
            first_name: object.personal("firstName", dropped),
            last_name: object.personal("lastName", dropped),
            given_name: object.personal("given_name", dropped),
            family_name: object.personal("family_name", dropped),
            mobile_phone: object.personal("mobilePhone", dropped),
            phone_number: object.personal("phone_number", dropped),
            work_phone: object.personal("workPhone", dropped),
            home_phone: object.personal("homePhone", dropped),
            company: object.personal("company", dropped),
            tags: object.list("tags", dropped, |element, dropped| {
                let tag = element.as_str();
                if tag.is_none() {
                    dropped.add(PATH, "tags[]");
                }
                tag.map(str::to_owned)
            }),
            billing_address: object
                .object("billingAddress", "profile.billingAddress", dropped)
                .map(|address| Address::read(&address, dropped)),
            created_at: object.timestamp("createdAt", dropped),
            is_guest: guest_marks.contains(&Some(true)),
        })
    }
}

/// A postal address.
///
/// Fields as seen in Sesamy's client library, but `department`, which Sesamy
/// documents for one of its own integrations only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// `firstName`.
    pub first_name: Option<Personal>,
    /// `lastName`.
    pub last_name: Option<Personal>,
    /// `street`.
    pub street: Option<Personal>,
    /// `city`.
    pub city: Option<Personal>,
    /// `zip`.
    pub zip: Option<Personal>,
    /// `co`: care of.
    pub co: Option<Personal>,
    /// `country`.
    pub country: Option<Personal>,
    /// `department`.
    pub department: Option<Personal>,
}

impl Address {
    fn read(object: &Object<'_>, dropped: &mut Dropped) -> Self {
        let mut field = |name| object.personal(name, dropped);
        Self {
            first_name: field("firstName"),
            last_name: field("lastName"),
            street: field("street"),
            city: field("city"),
            zip: field("zip"),
            co: field("co"),
            country: field("country"),
            department: field("department"),
        }
    }
}
