//! Lists and their members.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    account::{Account, Contact, ListAssociation, Status},
    contacts::{BASE_KEYS, ContactData},
    object,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

impl Account {
    fn list(&self, id: &str) -> Result<u64, Rejection> {
        id.parse()
            .ok()
            .filter(|id| self.lists.contains_key(id))
            .ok_or(Rejection::NOT_FOUND)
    }

    pub fn get_list(&self, id: &str) -> Result<ApiResponse, Rejection> {
        let id = self.list(id)?;
        Ok(ApiResponse::ok(json!({
            "id": id,
            "name": self.lists.get(&id),
            "is_primary": self.lists.keys().next() == Some(&id),
            "unsubscribe_cascades": false,
        })))
    }

    pub fn list_members(&self, list: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let list = self.list(list)?;
        let limit = query.number("limit").map_err(Rejection::bad_request)?;
        let contacts = self.contacts.values();
        let members = contacts
            .filter(|contact| contact.on(list) == Some(Status::Active))
            .take(limit.unwrap_or(usize::MAX));
        Ok(ApiResponse::ok(members.map(Contact::to_json).collect()))
    }

    pub fn subscribe(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let list = self.list(list)?;
        let mut body = object(request)?;
        let mut errors = FieldErrors::default();
        let force = validation::flag(&body, "force_subscribe", &mut errors);
        body.remove("force_subscribe");
        validation::only(&body, &BASE_KEYS, &mut errors);
        let email = body.get("email").and_then(Value::as_str);
        let existing = email.and_then(|email| self.contact(email));
        let data = ContactData::read(self, existing, &body, &mut errors);
        errors.into_result()?;
        let has_left = self.contact(&data.email).is_some_and(|contact| {
            contact.status != Status::Active
                || contact
                    .on(list)
                    .is_some_and(|status| status != Status::Active)
        });
        match force {
            Some(true) => {
                reporter.report(ViolationKind::ConsentChanged, "force_subscribe is true");
            }
            None if has_left => {
                let message = "force_subscribe is missing, which means true";
                reporter.report(ViolationKind::ConsentChanged, message);
            }
            _ => {}
        }
        if self.is_kept_out(&data.email) {
            return Err(Rejection::bad_request("The address is kept out."));
        }
        let joins = !has_left || force.unwrap_or(true);
        // Assumed: Mailmojo does not document the response to a request without force for a
        // contact that has left.
        if !joins && self.settings.refuse_unsubscribed {
            return Err(Rejection::bad_request("The contact has unsubscribed."));
        }
        let key = data.email.to_ascii_lowercase();
        let contact = self.contacts.entry(key.clone()).or_insert_with(|| Contact {
            added: reporter.at,
            status_changed: reporter.at,
            ..Contact::new(&data.email)
        });
        if joins {
            contact.join(list, reporter);
        }
        self.write(data, reporter);
        let shown = self
            .contacts
            .get(&key)
            .map_or(Value::Null, Contact::to_json);
        Ok(ApiResponse::json(StatusCode::CREATED, shown))
    }
}

impl Contact {
    fn join(&mut self, list_id: u64, reporter: &Reporter<'_>) {
        let now = reporter.at;
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
