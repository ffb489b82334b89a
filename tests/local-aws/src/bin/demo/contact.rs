//! A reader's contact in a CRM, in one form for all of them.

use std::collections::{BTreeMap, BTreeSet};

use local_aws::samples;
use serde_json::Value;
use stand_ins::StandIns;

/// What a CRM holds of a reader.
#[derive(Default)]
pub struct Contact {
    /// The CRM's name.
    pub crm: &'static str,
    exists: bool,
    tags: BTreeSet<String>,
    fields: BTreeMap<String, String>,
}

impl Contact {
    /// What each CRM holds under an address.
    pub fn all(stand_ins: &StandIns, email: &str) -> Vec<Self> {
        vec![
            Self::in_rule(stand_ins, email),
            Self::in_mailmojo(stand_ins, email),
            Self::in_make(stand_ins, email),
        ]
    }

    fn in_rule(stand_ins: &StandIns, email: &str) -> Self {
        let account = stand_ins.rule().account(samples::VENDOR);
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
                .map(|(key, value)| (key.clone(), shown(value)))
                .collect();
        }
        contact
    }

    fn in_mailmojo(stand_ins: &StandIns, email: &str) -> Self {
        let account = stand_ins.mailmojo().account(samples::VENDOR);
        let found = account.and_then(|account| account.contact(email));
        let mut contact = Self {
            crm: "Mailmojo",
            ..Self::default()
        };
        if let Some(found) = found {
            contact.exists = true;
            contact.tags.extend(found.tags);
            let personal = [
                ("first_name", found.first_name),
                ("last_name", found.last_name),
                ("phone", found.phone),
            ];
            for (key, value) in personal {
                contact
                    .fields
                    .extend(value.map(|value| (key.to_owned(), value)));
            }
            let custom = found.custom.iter().filter(|(_, value)| !value.is_null());
            contact
                .fields
                .extend(custom.map(|(key, value)| (key.clone(), shown(value))));
            for list in found.list_associations {
                let key = format!("list {}", list.list_id);
                contact.fields.insert(key, format!("{:?}", list.status));
            }
        }
        contact
    }

    fn in_make(stand_ins: &StandIns, email: &str) -> Self {
        let mut contact = Self {
            crm: "Make.as",
            ..Self::default()
        };
        let Some(account) = stand_ins.make().account(samples::VENDOR) else {
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

    /// What became of this contact, in lines for a person.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        match (self.exists, after.exists) {
            (false, false) => return vec!["no contact, before or after".to_owned()],
            (true, false) => return vec!["the contact has gone".to_owned()],
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

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
