//! A strict fake of Toy, in memory.
//!
//! | call | does |
//! | --- | --- |
//! | `GET /contacts/{id or address}` | the contact, or 404 |
//! | `POST /contacts` | creates a subscribed contact; 409 if the address has one |
//! | `PATCH /contacts/{id}` | changes what the body names; all tags at once, fields one by one, null clears |
//!
//! The case of addresses matters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fakes::{Call, Fakes, Reply};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub email: String,
    pub subscribed: bool,
    pub tags: Vec<String>,
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Tags that differ only in case are one tag, in the contact's spelling.
    pub ignores_case: bool,
    /// No contact gets another address.
    pub refuses_moves: bool,
}

#[derive(Default)]
struct Contents {
    settings: Settings,
    contacts: BTreeMap<usize, Contact>,
    last_id: usize,
}

/// A test's handle of an account.
#[derive(Clone, Default)]
pub struct ToyAccount(Arc<Mutex<Contents>>);

/// A status of an error.
type Refused = u16;

impl ToyAccount {
    pub fn open(fakes: &Fakes, name: &str) -> Self {
        let account = Self::default();
        let contents = account.0.clone();
        fakes.serve(name, move |call| {
            let mut contents = contents.lock().unwrap();
            match contents.answer(call) {
                Ok((status, body)) => Reply { status, body },
                Err(status) => Reply {
                    status,
                    body: Value::Null,
                },
            }
        });
        account
    }

    pub fn set(&self, settings: Settings) {
        self.0.lock().unwrap().settings = settings;
    }

    /// Adds a contact, or replaces the one of the same address.
    pub fn put(&self, contact: Contact) {
        let mut contents = self.0.lock().unwrap();
        let known = contents.id_of(&contact.email);
        let id = known.unwrap_or_else(|| contents.new_id());
        contents.contacts.insert(id, contact);
    }

    pub fn contacts(&self) -> Vec<Contact> {
        let contents = self.0.lock().unwrap();
        contents.contacts.values().cloned().collect()
    }
}

impl Contents {
    fn new_id(&mut self) -> usize {
        self.last_id += 1;
        self.last_id
    }

    fn id_of(&self, email: &str) -> Option<usize> {
        let mut contacts = self.contacts.iter();
        contacts.find(|(_, c)| c.email == email).map(|(id, _)| *id)
    }

    fn find(&self, key: &str) -> Result<usize, Refused> {
        let id = key.parse().ok().filter(|id| self.contacts.contains_key(id));
        id.or_else(|| self.id_of(key)).ok_or(404)
    }

    fn answer(&mut self, call: &Call) -> Result<(u16, Value), Refused> {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        match (call.method.as_str(), path.as_slice()) {
            ("GET", ["contacts", key]) => Ok((200, self.show(self.find(key)?))),
            ("POST", ["contacts"]) => {
                let mut contact = Contact {
                    email: String::new(),
                    subscribed: true,
                    tags: Vec::new(),
                    fields: BTreeMap::new(),
                };
                self.change(&mut contact, &call.body)?;
                let id = self.new_id();
                self.contacts.insert(id, contact);
                Ok((201, self.show(id)))
            }
            ("PATCH", ["contacts", key]) => {
                let id = self.find(key)?;
                let mut contact = self.contacts[&id].clone();
                self.change(&mut contact, &call.body)?;
                self.contacts.insert(id, contact);
                Ok((200, self.show(id)))
            }
            _ => Err(405),
        }
    }

    fn show(&self, id: usize) -> Value {
        let contact = &self.contacts[&id];
        json!({
            "id": id.to_string(),
            "email": contact.email,
            "subscribed": contact.subscribed,
            "tags": contact.tags,
            "fields": contact.fields,
        })
    }

    fn change(&self, contact: &mut Contact, body: &Value) -> Result<(), Refused> {
        for (key, value) in body.as_object().ok_or(400_u16)? {
            match (key.as_str(), value) {
                ("email", Value::String(email)) => {
                    self.set_email(contact, email)?;
                }
                ("subscribed", Value::Bool(subscribed)) => contact.subscribed = *subscribed,
                ("tags", Value::Array(tags)) => self.set_tags(contact, tags)?,
                ("fields", Value::Object(fields)) => set_fields(contact, fields),
                _ => return Err(422),
            }
        }
        if contact.email.contains('@') {
            Ok(())
        } else {
            Err(422)
        }
    }

    fn set_email(&self, contact: &mut Contact, email: &str) -> Result<(), Refused> {
        if self.id_of(email).is_some() {
            return Err(409);
        }
        let is_move = !contact.email.is_empty();
        if is_move && self.settings.refuses_moves {
            return Err(422);
        }
        email.clone_into(&mut contact.email);
        Ok(())
    }

    fn set_tags(&self, contact: &mut Contact, tags: &[Value]) -> Result<(), Refused> {
        let same = |a: &str, b: &str| match self.settings.ignores_case {
            true => a.eq_ignore_ascii_case(b),
            false => a == b,
        };
        let mut new: Vec<String> = Vec::new();
        for tag in tags {
            let tag = tag.as_str().ok_or(422_u16)?;
            if new.iter().any(|known| same(known, tag)) {
                continue;
            }
            let known = contact.tags.iter().find(|known| same(known, tag));
            new.push(known.cloned().unwrap_or_else(|| tag.to_owned()));
        }
        contact.tags = new;
        Ok(())
    }
}

fn set_fields(contact: &mut Contact, fields: &Map<String, Value>) {
    for (name, value) in fields {
        match value {
            Value::Null => contact.fields.remove(name),
            value => contact.fields.insert(name.clone(), value.clone()),
        };
    }
}
