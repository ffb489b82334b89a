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

#[cfg(test)]
impl Contact {
    pub fn missing(crm: &'static str) -> Self {
        Self {
            crm,
            ..Self::default()
        }
    }

    pub fn new(crm: &'static str) -> Self {
        Self {
            exists: true,
            ..Self::missing(crm)
        }
    }

    pub fn tag(&mut self, tag: &str) -> &mut Self {
        self.tags.insert(tag.to_owned());
        self
    }

    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }
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

    /// The changes from this contact to `after`, and what stays.
    pub fn changes(&self, after: &Self) -> Vec<Change> {
        match (self.exists, after.exists) {
            (false, false) => return vec![Change::note("no contact, before or after")],
            (true, false) => return vec![Change::note("the contact was deleted")],
            _ => {}
        }
        let mut changes = Vec::new();
        if !self.exists {
            changes.push(Change::note("a new contact"));
        }
        for tag in self.tags.union(&after.tags) {
            let sign = match (self.tags.contains(tag), after.tags.contains(tag)) {
                (false, _) => Sign::Added,
                (true, false) => Sign::Removed,
                (true, true) => Sign::Kept,
            };
            changes.push(Change::new(sign, "tag", tag, String::new()));
        }
        let names: BTreeSet<_> = self.fields.keys().chain(after.fields.keys()).collect();
        for name in names {
            let (sign, value) = match (self.fields.get(name), after.fields.get(name)) {
                (Some(old), Some(new)) if old == new => (Sign::Kept, new.clone()),
                (Some(old), Some(new)) => (Sign::Changed, format!("{old} → {new}")),
                (Some(old), None) => (Sign::Removed, old.clone()),
                (None, new) => (Sign::Added, new.cloned().unwrap_or_default()),
            };
            changes.push(Change::new(sign, "field", name, value));
        }
        changes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Added,
    Removed,
    Changed,
    Kept,
    /// About the contact, not a tag or a field.
    Note,
}

impl Sign {
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
            Self::Kept => " ",
            Self::Note => "",
        }
    }

    /// For style sheets.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Kept => "kept",
            Self::Note => "note",
        }
    }
}

/// A tag or a field, and what happened to it.
pub struct Change {
    pub sign: Sign,
    /// `tag`, `field`, or empty for a note.
    pub kind: &'static str,
    pub name: String,
    pub value: String,
}

impl Change {
    fn new(sign: Sign, kind: &'static str, name: &str, value: String) -> Self {
        let name = name.to_owned();
        Self {
            sign,
            kind,
            name,
            value,
        }
    }

    fn note(text: &str) -> Self {
        Self::new(Sign::Note, "", text, String::new())
    }
}

/// As lines to print.
pub fn lines(changes: &[Change]) -> Vec<String> {
    let width = changes.iter().filter(|change| change.kind == "field");
    let width = width.map(|field| field.name.len()).max().unwrap_or(0);
    let line = |change: &Change| match change.kind {
        "field" => format!(
            "{} field {:width$}  {}",
            change.sign.symbol(),
            change.name,
            change.value
        ),
        "tag" => format!("{} tag   {}", change.sign.symbol(), change.name),
        _ => change.name.clone(),
    };
    changes.iter().map(line).collect()
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(display).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
