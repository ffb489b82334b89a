//! Rule, version 2, and the one call of version 3 that clears a group of fields.

mod account;
mod customizations;
mod errors;
mod handle;
mod phone;
mod refusal;
mod subscribers;
mod tags;
mod upsert;
mod values;

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};

pub use account::{Flow, FlowCause, RuleAccountSeed, RuleSeed, RuleSettings, Subscriber};
pub use handle::{Rule, RuleAccount};
pub(crate) use refusal::error_body;
pub use values::FieldType;

use crate::{
    answer::Answer,
    call::{Call, Query},
    violations::{Harm, Watch},
};
use account::Account;
use refusal::{Refusal, refused_on_purpose};

/// Everything Rule holds: its accounts by name.
#[derive(Default)]
pub(crate) struct State {
    pub accounts: BTreeMap<String, Account>,
}

impl State {
    pub fn apply(&mut self, seed: RuleSeed) {
        for new in seed.accounts {
            let account = self.accounts.entry(new.name.clone()).or_default();
            account.apply(new);
        }
    }

    pub fn reset(&mut self) {
        for account in self.accounts.values_mut() {
            account.reset();
        }
    }

    /// The state without credentials.
    pub fn shown(&self) -> Value {
        let accounts = self.accounts.iter().map(|(name, account)| {
            let tags: Vec<_> = account.tags.iter().map(|tag| &tag.name).collect();
            let shown = json!({
                "fields": account.definitions(),
                "tags": tags,
                "subscribers": account.subscribers.values().collect::<Vec<_>>(),
                "flows": account.flows,
            });
            (name.clone(), shown)
        });
        Value::Object(accounts.collect())
    }

    pub fn account(&self, call: &Call<'_>) -> Option<String> {
        let key = call.bearer()?;
        self.accounts
            .iter()
            .find(|(_, account)| account.api_key == key)
            .map(|(name, _)| name.clone())
    }

    pub fn answer(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Answer {
        let account = self
            .account(call)
            .and_then(|name| self.accounts.get_mut(&name));
        let Some(account) = account else {
            return Refusal::NotAuthorized.into();
        };
        if let Some(blocked) = account.errors.blocked(call.now) {
            return blocked;
        }
        let answer = account.call(call, watch).unwrap_or_else(Into::into);
        let limit = account.settings.error_percent_limit;
        account.errors.count(answer.status, limit, call.now);
        answer
    }
}

impl Account {
    fn call(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Result<Answer, Refusal> {
        let segments = call.segments().map_err(Refusal::bad_request)?;
        let query = call.query().map_err(Refusal::bad_request)?;
        if query.get("apikey").is_some() {
            // Accepted by Rule, but the key ends up in logs and in `meta.next`.
            watch.report(Harm::SecretExposed, "the API key stands in the URL");
        }
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let path = match segments.as_slice() {
            ["v2", path @ ..] => path,
            ["v3", "custom-field-data", id, "group", group] if call.method == Method::DELETE => {
                watch.unknown_parameters(&query, &[]);
                return self.clear_group(id, group, watch);
            }
            _ => return Err(Refusal::no_such_path()),
        };
        let known: &[&str] = match path {
            ["subscribers"] | ["customizations", _] => &[],
            ["tags"] | ["customizations"] if call.method == Method::GET => &["limit", "page"],
            ["tags" | "customizations"] => &[],
            ["tags", _] => &["identified_by", "with_count"],
            _ => &["identified_by"],
        };
        watch.unknown_parameters(&query, known);
        self.route(call, path, &query, watch)
    }

    fn route(
        &mut self,
        call: &Call<'_>,
        path: &[&str],
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        match (call.method.as_str(), path) {
            ("POST", ["subscribers"]) => self.upsert(call, watch),
            ("GET", ["subscribers", id]) => self.get_subscriber(id, query),
            ("PUT", ["subscribers", id]) => self.put_subscriber(call, id, query, watch),
            ("DELETE", ["subscribers", _]) => {
                watch.report(Harm::Deleted, "a subscriber would be deleted");
                Err(refused_on_purpose("deleting subscribers"))
            }
            // Singular, unlike every other path.
            ("GET", ["subscriber", id, "fields"]) => self.get_fields(id, query),
            ("GET", ["subscribers", id, "tags"]) => self.get_tags(id, query),
            ("POST", ["subscribers", id, "tags"]) => self.add_tags(call, id, query, watch),
            ("DELETE", ["subscribers", _, "tags", "clear"]) => {
                watch.report(
                    Harm::ForeignTagDropped,
                    "every tag of a subscriber would be removed",
                );
                Err(refused_on_purpose("clearing all tags"))
            }
            ("DELETE", ["subscribers", id, "tags", tag]) => self.remove_tag(id, tag, query, watch),
            ("GET", ["tags"]) => self.list_tags(call, query),
            ("GET", ["tags", tag]) => self.get_tag(tag, query),
            ("PUT" | "DELETE", ["tags", tag]) => {
                watch.report(
                    Harm::Deleted,
                    format!("tag \"{tag}\" would change for everyone"),
                );
                Err(refused_on_purpose("changing a tag for everyone"))
            }
            ("POST", ["customizations"]) => self.define_fields(call),
            ("GET", ["customizations"]) => self.list_groups(call, query),
            ("GET", ["customizations", group]) => self.get_group(group),
            _ => Err(Refusal::no_such_path()),
        }
    }
}
