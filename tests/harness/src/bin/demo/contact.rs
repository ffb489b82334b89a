//! A user's contact in a CRM, in one form for all CRMs.

use std::collections::{BTreeMap, BTreeSet};

use fakes::Fakes;
use harness::samples;
use serde_json::Value;

#[derive(Default)]
pub struct Contact {
    pub crm: &'static str,
    exists: bool,
    tags: BTreeSet<String>,
    fields: BTreeMap<String, String>,
}

impl Contact {
    pub fn all(fakes: &Fakes, email: &str) -> Vec<Self> {
        vec![
            Self::in_rule(fakes, email),
            Self::in_mailmojo(fakes, email),
            Self::in_make(fakes, email),
            Self::in_mailchimp(fakes, email),
            Self::in_hubspot(fakes, email),
        ]
    }

    fn in_rule(fakes: &Fakes, email: &str) -> Self {
        let account = fakes.rule().account(samples::VENDOR);
        let subscriber = account.and_then(|account| account.subscriber(email));
        let mut contact = Self {
            crm: "Rule",
            ..Self::default()
        };
        if let Some(subscriber) = subscriber {
            contact.exists = true;
            contact.tags.extend(subscriber.tags);
            let fields = subscriber.fields.iter();
            contact.fields = fields
                .map(|(key, value)| (key.clone(), display(value)))
                .collect();
        }
        contact
    }

    fn in_mailmojo(fakes: &Fakes, email: &str) -> Self {
        let account = fakes.mailmojo().account(samples::VENDOR);
        let stored = account.and_then(|account| account.contact(email));
        let mut contact = Self {
            crm: "Mailmojo",
            ..Self::default()
        };
        if let Some(stored) = stored {
            contact.exists = true;
            contact.tags.extend(stored.tags);
            let personal = [
                ("first_name", stored.first_name),
                ("last_name", stored.last_name),
                ("phone", stored.phone),
            ];
            for (key, value) in personal {
                contact
                    .fields
                    .extend(value.map(|value| (key.to_owned(), value)));
            }
            let custom = stored.custom.iter().filter(|(_, value)| !value.is_null());
            contact
                .fields
                .extend(custom.map(|(key, value)| (key.clone(), display(value))));
            for list in stored.list_associations {
                let key = format!("list {}", list.list_id);
                contact.fields.insert(key, format!("{:?}", list.status));
            }
        }
        contact
    }

    fn in_make(fakes: &Fakes, email: &str) -> Self {
        let mut contact = Self {
            crm: "Make.as",
            ..Self::default()
        };
        let Some(account) = fakes.make().account(samples::VENDOR) else {
            return contact;
        };
        if let Some(subscriber) = account.subscriber(email) {
            contact.exists = true;
            contact.tags.extend(subscriber.tags);
            contact.fields.extend(subscriber.details);
            let id = subscriber
                .external_id
                .map(|id| ("external_id".to_owned(), id));
            contact.fields.extend(id);
        }
        for subscription in account.subscriptions_of(email) {
            let key = format!("subscription {}", subscription.external_id);
            let end = subscription.end_date.map(|date| format!(", ended {date}"));
            let value = format!(
                "{}, {}{}",
                subscription.name,
                subscription.status,
                end.unwrap_or_default()
            );
            contact.fields.insert(key, value);
        }
        contact
    }

    fn in_mailchimp(fakes: &Fakes, email: &str) -> Self {
        let account = fakes.mailchimp().account(samples::VENDOR);
        let audience = account.and_then(|account| account.audience(samples::AUDIENCE));
        let member = audience.and_then(|audience| audience.member(email));
        let mut contact = Self {
            crm: "Mailchimp",
            ..Self::default()
        };
        if let Some(member) = member {
            contact.exists = true;
            contact.tags.extend(member.tags);
            let fields = member.merge_fields.iter();
            contact.fields = fields
                .map(|(tag, value)| (tag.clone(), display(value)))
                .collect();
            let status = format!("{:?}", member.status);
            contact.fields.insert("status".to_owned(), status);
            let events = member.events.iter().map(|event| event.name.as_str());
            let events: Vec<_> = events.collect();
            if !events.is_empty() {
                contact
                    .fields
                    .insert("activity".to_owned(), events.join(", "));
            }
        }
        contact
    }

    fn in_hubspot(fakes: &Fakes, email: &str) -> Self {
        /// The property that holds the tags.
        const TAGS: &str = "sesamy_tags";
        let account = fakes.hubspot().account(samples::VENDOR);
        let stored = account.and_then(|account| account.contact(email));
        let mut contact = Self {
            crm: "HubSpot",
            ..Self::default()
        };
        if let Some(stored) = stored {
            contact.exists = true;
            contact.tags.extend(stored.values(TAGS));
            let properties = stored.properties.into_iter();
            contact.fields = properties
                .filter(|(name, value)| name != TAGS && !value.is_empty())
                .collect();
        }
        contact
    }

    /// The changes from this contact to `after`, as lines to print.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        match (self.exists, after.exists) {
            (false, false) => return vec!["no contact, before or after".to_owned()],
            (true, false) => return vec!["the contact was deleted".to_owned()],
            _ => {}
        }
        let mut lines = Vec::new();
        if !self.exists {
            lines.push("a new contact".to_owned());
        }
        for tag in self.tags.union(&after.tags) {
            let sign = match (self.tags.contains(tag), after.tags.contains(tag)) {
                (false, _) => '+',
                (true, false) => '-',
                (true, true) => ' ',
            };
            lines.push(format!("{sign} tag   {tag}"));
        }
        let names: BTreeSet<_> = self.fields.keys().chain(after.fields.keys()).collect();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        for name in names {
            let line = |sign: char, value: String| format!("{sign} field {name:width$}  {value}");
            lines.push(match (self.fields.get(name), after.fields.get(name)) {
                (Some(old), Some(new)) if old == new => line(' ', new.clone()),
                (Some(old), Some(new)) => line('~', format!("{old} → {new}")),
                (Some(old), None) => line('-', old.clone()),
                (None, new) => line('+', new.cloned().unwrap_or_default()),
            });
        }
        lines
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(display).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
