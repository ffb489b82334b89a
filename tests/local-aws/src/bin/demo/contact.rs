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
        let mut contact = Self::none("Rule");
        if let Some(subscriber) = subscriber {
            contact.exists = true;
            contact.tags.extend(subscriber.tags);
            contact.fields.extend(shown_all(subscriber.fields));
        }
        contact
    }

    fn in_mailmojo(stand_ins: &StandIns, email: &str) -> Self {
        let account = stand_ins.mailmojo().account(samples::VENDOR);
        let found = account.and_then(|account| account.contact(email));
        let mut contact = Self::none("Mailmojo");
        if let Some(found) = found {
            contact.exists = true;
            contact.tags.extend(found.tags);
            contact.fields.extend(shown_all(found.custom));
            let names = [
                ("first name", found.first_name),
                ("last name", found.last_name),
                ("phone", found.phone),
            ];
            contact.fields.extend(given(names));
        }
        contact
    }

    fn in_make(stand_ins: &StandIns, email: &str) -> Self {
        let Some(account) = stand_ins.make().account(samples::VENDOR) else {
            return Self::none("Make.as");
        };
        let mut contact = Self::none("Make.as");
        if let Some(subscriber) = account.subscriber(email) {
            contact.exists = true;
            contact.tags.extend(subscriber.tags);
            contact.fields.extend(subscriber.details);
            contact
                .fields
                .extend(given([("external id", subscriber.external_id)]));
        }
        for subscription in account.subscriptions_of(email) {
            let mut text = format!("{}, {}", subscription.name, subscription.status);
            for (word, date) in [
                ("from", subscription.start_date),
                ("to", subscription.end_date),
            ] {
                text.extend(date.map(|date| format!(" {word} {date}")));
            }
            let name = format!("subscription {}", subscription.external_id);
            contact.fields.insert(name, text);
        }
        contact
    }

    fn none(crm: &'static str) -> Self {
        Self {
            crm,
            ..Self::default()
        }
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

/// Those that have a value.
fn given<const N: usize>(
    fields: [(&str, Option<String>); N],
) -> impl Iterator<Item = (String, String)> {
    let fields = fields.into_iter();
    fields.filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

fn shown_all(fields: BTreeMap<String, Value>) -> impl Iterator<Item = (String, String)> {
    let fields = fields.into_iter();
    fields.map(|(name, value)| (name, shown(&value)))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
