//! The contacts of all CRMs in one form.

use std::collections::BTreeSet;
use std::fmt;

use conformance::split_tags;
use fakes::mailmojo::Status;
use harness::Connector;
use serde_json::Value;
use shared::connector::Field;

use crate::{
    publisher::{LIST, Publisher},
    users::{HUBSPOT_FIELD, MAILCHIMP_FIELD, MAILMOJO_FIELD, MAKE_FIELD, RULE_FIELD},
};

/// An account at a CRM with its contacts.
pub struct Place {
    pub connector: Connector,
    pub account: String,
    pub contacts: Vec<Contact>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.connector, self.account)
    }
}

pub struct Contact {
    pub email: String,
    pub tags: Vec<String>,
    /// The names of our fields that have a value.
    pub our_fields: Vec<String>,
    pub has_foreign_field: bool,
    pub is_subscribed: bool,
    /// On the publisher's list and no other.
    pub is_on_list: bool,
}

impl Contact {
    /// Without the tag that marks all of our contacts at Rule.
    pub fn foreign_tags(&self) -> BTreeSet<String> {
        let (_, mut foreign) = split_tags(&self.tags);
        foreign.remove(rule::mapping::BASE_TAG);
        foreign
    }

    pub fn has_base_tag(&self) -> bool {
        self.tags.iter().any(|tag| tag == rule::mapping::BASE_TAG)
    }

    /// Whether a sync created the contact.
    pub fn is_new(&self) -> bool {
        !self.tags.iter().any(|tag| tag.starts_with("mark-"))
    }
}

impl Place {
    pub fn all(publisher: &Publisher) -> Vec<Self> {
        let make = publisher.make.iter().map(|(account, list)| Self {
            connector: Connector::Make,
            account: account.name().to_owned(),
            contacts: {
                let contacts = account.subscribers().into_iter();
                contacts.map(|contact| of_make(contact, *list)).collect()
            },
        });
        let rule = publisher.rule.subscribers().into_iter();
        let mailmojo = publisher.mailmojo.contacts().into_iter();
        let mailchimp = publisher.mailchimp.members().into_iter();
        let hubspot = publisher.hubspot.contacts().into_iter();
        let others = [
            (Connector::Rule, rule.map(of_rule).collect()),
            (Connector::Mailmojo, mailmojo.map(of_mailmojo).collect()),
            (Connector::Mailchimp, mailchimp.map(of_mailchimp).collect()),
            (Connector::Hubspot, hubspot.map(of_hubspot).collect()),
        ];
        let others = others.into_iter().map(|(connector, contacts)| Self {
            connector,
            account: publisher.id.to_owned(),
            contacts,
        });
        make.chain(others).collect()
    }

    pub fn contact(&self, email: &str) -> Option<&Contact> {
        self.contacts.iter().find(|contact| contact.email == email)
    }
}

fn of_rule(contact: fakes::rule::Subscriber) -> Contact {
    let fields = contact.fields.iter();
    let ours = fields.filter(|(key, value)| key.starts_with("Sesamy_") && !is_empty(value));
    let (key, value) = RULE_FIELD;
    Contact {
        our_fields: ours.map(|(key, _)| key.clone()).collect(),
        has_foreign_field: contact.fields.get(key).is_some_and(|v| v == value),
        is_subscribed: contact.opted_in && contact.suppressed.is_empty(),
        is_on_list: true,
        email: contact.email,
        tags: contact.tags,
    }
}

fn of_mailmojo(contact: fakes::mailmojo::Contact) -> Contact {
    let custom = |name: &str| contact.custom.get(name).unwrap_or(&Value::Null);
    let ours = mailmojo::mapping::FIELDS
        .map(|field| field.label())
        .into_iter();
    let (name, value) = MAILMOJO_FIELD;
    Contact {
        our_fields: ours
            .filter(|name| !is_empty(custom(name)))
            .map(str::to_owned)
            .collect(),
        has_foreign_field: *custom(name) == value,
        is_subscribed: contact.on(LIST) == Some(Status::Active),
        is_on_list: contact.list_associations.len() == 1 && contact.on(LIST).is_some(),
        email: contact.email,
        tags: contact.tags,
    }
}

fn of_make(contact: fakes::make::Subscriber, list: u64) -> Contact {
    let id = contact.external_id.as_deref().unwrap_or_default();
    let (key, value) = MAKE_FIELD;
    Contact {
        our_fields: (!id.is_empty())
            .then(|| "external_id".to_owned())
            .into_iter()
            .collect(),
        has_foreign_field: contact.details.get(key).is_some_and(|v| v == value),
        is_subscribed: contact.email_status == "active",
        is_on_list: contact.lists == [list],
        email: contact.email,
        tags: contact.tags,
    }
}

fn of_mailchimp(contact: fakes::mailchimp::Member) -> Contact {
    let value = |tag: &str| contact.merge_fields.get(tag).unwrap_or(&Value::Null);
    let ours = Field::cleared(mailchimp::mapping::FIELDS).map(|field| field.name);
    let (tag, foreign) = MAILCHIMP_FIELD;
    Contact {
        our_fields: ours
            .filter(|tag| !is_empty(value(tag)))
            .map(str::to_owned)
            .collect(),
        has_foreign_field: *value(tag) == foreign,
        is_subscribed: contact.status == fakes::mailchimp::Status::Subscribed,
        is_on_list: true,
        email: contact.email_address,
        tags: contact.tags,
    }
}

fn of_hubspot(contact: fakes::hubspot::Contact) -> Contact {
    let ours = hubspot::mapping::PROPERTIES.iter().map(|(_, name)| *name);
    let ours = ours.filter(|name| *name != hubspot::mapping::TAGS);
    let (name, value) = HUBSPOT_FIELD;
    Contact {
        our_fields: ours
            .filter(|name| contact.get(name).is_some())
            .map(str::to_owned)
            .collect(),
        has_foreign_field: contact.get(name) == Some(value),
        is_subscribed: contact.opt_outs.is_empty(),
        is_on_list: true,
        tags: contact.values(hubspot::mapping::TAGS),
        email: contact.email,
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}
