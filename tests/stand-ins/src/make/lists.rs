//! Lists, tags and custom fields of the account.

use serde_json::{Value, json};

use super::{
    account::{Account, Subscriber},
    refusal::Refusal,
};
use crate::{answer::Answer, call::Query};

/// The longest page of subscribers.
const PAGE_LIMIT: usize = 1_000;

impl Account {
    pub fn shown_list(&self, id: u64) -> Value {
        let on_list = |subscriber: &&Subscriber| subscriber.lists.contains(&id);
        let members: Vec<_> = self.subscribers.values().filter(on_list).collect();
        let phones = members.iter().filter(|s| s.details.contains_key("phone"));
        json!({
            "id": id,
            "title": self.lists.get(&id),
            "date_created": "2024-01-15T09:00:00.000Z",
            "date_updated": "2024-01-15T09:00:00.000Z",
            "subscriber_emails": members.len(),
            "subscriber_sms": phones.count(),
        })
    }

    pub fn get_list(&self, id: &str) -> Result<Answer, Refusal> {
        id.parse()
            .ok()
            .filter(|id| self.lists.contains_key(id))
            .map(|id| Answer::ok(self.shown_list(id)))
            .ok_or(Refusal::NotFound)
    }

    pub fn lists_of(&self, id: &str) -> Result<Answer, Refusal> {
        let subscriber = self.by_id(id).ok_or(Refusal::NotFound)?;
        let lists = subscriber.lists.iter().map(|list| self.shown_list(*list));
        Ok(Answer::ok(lists.collect()))
    }

    pub fn list_tags(&self) -> Answer {
        let tags = self.tags.iter().zip(1_u64..);
        Answer::ok(
            tags.map(|(title, id)| json!({"id": id, "title": title}))
                .collect(),
        )
    }

    pub fn list_custom_fields(&self) -> Answer {
        let fields = self.custom_fields.iter().zip(1_u64..);
        let shown = fields.map(|(key, id)| {
            json!({"id": id, "label": key, "value": key, "choices": [], "datatype": "string"})
        });
        Answer::ok(shown.collect())
    }

    pub fn by_list(&self, query: &Query) -> Result<Answer, Refusal> {
        let number = |name: &str| {
            let number = query.number(name);
            number.map_err(|why| Refusal::unprocessable(name, why))
        };
        let list = query
            .get("list_id")
            .and_then(|id| id.parse().ok())
            .filter(|id| self.lists.contains_key(id))
            .ok_or_else(|| Refusal::unprocessable("list_id", "no such list"))?;
        let size = number("per_page")?.unwrap_or(PAGE_LIMIT);
        if size == 0 || size > PAGE_LIMIT {
            return Err(Refusal::unprocessable("per_page", "must be 1 to 1000"));
        }
        let page = number("page")?.unwrap_or(1).max(1);
        let status = query.get("status").unwrap_or("active");
        let members = self
            .subscribers
            .values()
            .filter(|subscriber| subscriber.lists.contains(&list))
            .filter(|subscriber| subscriber.email_status == status)
            .skip((page - 1).saturating_mul(size))
            .take(size);
        Ok(Answer::ok(
            members.map(|subscriber| self.shown(subscriber)).collect(),
        ))
    }
}
