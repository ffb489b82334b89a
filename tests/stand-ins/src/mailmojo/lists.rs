//! Lists and who is on them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    account::{Account, Contact, ListAssociation, Status},
    contacts::{BASE_KEYS, Data},
    refusal::{Refusal, object},
};
use crate::{
    answer::Answer,
    call::{Call, Query},
    shape::{self, Problems},
    violations::{Harm, Watch},
};

impl Account {
    /// The number of a list that exists.
    pub fn list(&self, id: &str) -> Result<u64, Refusal> {
        id.parse()
            .ok()
            .filter(|id| self.lists.contains_key(id))
            .ok_or(Refusal::NotFound)
    }

    pub fn shown_list(&self, id: u64) -> Value {
        json!({
            "id": id,
            "name": self.lists.get(&id),
            "is_primary": self.lists.keys().next() == Some(&id),
            "unsubscribe_cascades": false,
        })
    }

    pub fn list_members(&self, list: &str, active: bool, query: &Query) -> Result<Answer, Refusal> {
        let list = self.list(list)?;
        let limit = query.number("limit").map_err(Refusal::bad_request)?;
        let wanted = |contact: &&Contact| match contact.on(list) {
            Some(Status::Active) => active,
            Some(_) => !active,
            None => false,
        };
        let members = self.contacts.values().filter(wanted);
        let shown = members
            .take(limit.unwrap_or(usize::MAX))
            .map(Contact::shown);
        Ok(Answer::ok(shown.collect()))
    }

    pub fn get_member(&self, list: &str, email: &str) -> Result<Answer, Refusal> {
        let list = self.list(list)?;
        self.contact(email)
            .filter(|contact| contact.on(list) == Some(Status::Active))
            .map(|contact| Answer::ok(contact.shown_base()))
            .ok_or(Refusal::NotFound)
    }

    pub fn subscribe(
        &mut self,
        call: &Call<'_>,
        list: &str,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let list = self.list(list)?;
        let mut body = object(call)?;
        let mut problems = Problems::default();
        let force = shape::flag(&body, "force_subscribe", &mut problems);
        body.remove("force_subscribe");
        shape::only(&body, &BASE_KEYS, &mut problems);
        let data = Data::read(self, &body, &mut problems);
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        let left = self.contact(&data.email).is_some_and(|contact| {
            contact.status != Status::Active
                || contact
                    .on(list)
                    .is_some_and(|status| status != Status::Active)
        });
        match force {
            Some(true) => watch.report(Harm::ConsentChanged, "force_subscribe is true"),
            None if left => {
                let message = "force_subscribe is missing, which means true";
                watch.report(Harm::ConsentChanged, message);
            }
            _ => {}
        }
        if self.kept_out.contains(&data.email.to_ascii_lowercase()) {
            return Err(Refusal::bad_request("The address is kept out."));
        }
        let joins = !left || force.unwrap_or(true);
        // Assumed: what is answered for somebody who has left, without force,
        // is documented nowhere.
        if !joins && self.settings.refuse_unsubscribed {
            return Err(Refusal::bad_request("The contact has unsubscribed."));
        }
        let key = data.email.to_ascii_lowercase();
        let contact = self.contacts.entry(key.clone()).or_insert_with(|| Contact {
            added: watch.at,
            status_changed: watch.at,
            ..Contact::new(&data.email)
        });
        if joins {
            contact.join(list, watch);
        }
        self.write(data, watch);
        let shown = self.contacts.get(&key).map_or(Value::Null, Contact::shown);
        Ok(Answer::json(StatusCode::CREATED, shown))
    }
}

impl Contact {
    fn join(&mut self, list_id: u64, watch: &Watch<'_>) {
        let now = watch.at;
        if self.status != Status::Active {
            self.status = Status::Active;
            self.status_changed = now;
        }
        let mut associations = self.list_associations.iter_mut();
        match associations.find(|association| association.list_id == list_id) {
            Some(association) if association.status == Status::Active => {}
            Some(association) => {
                association.status = Status::Active;
                association.status_changed = now;
            }
            None => self.list_associations.push(ListAssociation {
                list_id,
                status: Status::Active,
                added: now,
                status_changed: now,
            }),
        }
    }
}
