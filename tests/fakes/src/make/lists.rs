//! The lists and tags of an account.

use serde_json::{Value, json};

use super::account::{Account, Subscriber};
use crate::{rejection::Rejection, request::Query, response::ApiResponse};

const MAX_PAGE: usize = 1_000;

impl Account {
    pub fn list_lists(&self) -> ApiResponse {
        ApiResponse::ok(self.lists.keys().map(|id| self.list_json(*id)).collect())
    }

    fn list_json(&self, id: u64) -> Value {
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

    pub fn list_tags(&self) -> ApiResponse {
        let tags = self.tags.iter().zip(1_u64..);
        let shown = tags.map(|(title, id)| json!({"id": id, "title": title}));
        ApiResponse::ok(shown.collect())
    }

    pub fn list_subscribers(&self, query: &Query) -> Result<ApiResponse, Rejection> {
        let number = |name: &str| {
            let number = query.number(name);
            number.map_err(|message| Rejection::field(name, message))
        };
        let list = query
            .get("list_id")
            .and_then(|id| id.parse().ok())
            .filter(|id| self.lists.contains_key(id))
            .ok_or_else(|| Rejection::field("list_id", "no such list"))?;
        let size = number("per_page")?.unwrap_or(MAX_PAGE);
        if size == 0 || size > MAX_PAGE {
            return Err(Rejection::field("per_page", "must be 1 to 1000"));
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
        Ok(ApiResponse::ok(
            members
                .map(|subscriber| self.subscriber_json(subscriber))
                .collect(),
        ))
    }
}
