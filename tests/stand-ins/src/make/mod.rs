//! Make.as, the subscriber API, version 2.

mod account;
mod catalogue;
mod handle;
mod lists;
mod refusal;
mod subscribers;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use account::{
    ListSeed, MakeAccountSeed, MakeSeed, MakeSettings, Product, Subscriber, Subscription, TagForm,
};
pub use handle::{Make, MakeAccount};
pub(crate) use refusal::error_body;

use crate::{
    answer::Answer,
    call::{Call, Query},
    violations::{Harm, Watch},
};
use account::Account;
use catalogue::Owner;
use refusal::{Refusal, refused_on_purpose};

/// Everything Make.as holds: its credential sets by name.
#[derive(Default)]
pub(crate) struct State {
    pub accounts: BTreeMap<String, Account>,
}

impl State {
    pub fn apply(&mut self, seed: MakeSeed) {
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
            let shown = json!({
                "lists": account.lists,
                "tags": account.tags,
                "subscribers": account.subscribers.values().collect::<Vec<_>>(),
                "products": account.products.values().collect::<Vec<_>>(),
                "subscriptions": account.subscriptions.values().collect::<Vec<_>>(),
            });
            (name.clone(), shown)
        });
        Value::Object(accounts.collect())
    }

    pub fn account(&self, call: &Call<'_>) -> Option<String> {
        let (user, key) = call.basic()?;
        self.accounts
            .iter()
            .find(|(_, account)| account.user_id == user && account.api_key == key)
            .map(|(name, _)| name.clone())
    }

    pub fn answer(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Answer {
        let account = self
            .account(call)
            .and_then(|name| self.accounts.get_mut(&name));
        let Some(account) = account else {
            return Refusal::NotAuthorized.into();
        };
        account.call(call, watch).unwrap_or_else(Into::into)
    }
}

impl Account {
    fn call(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Result<Answer, Refusal> {
        let segments = call.segments().map_err(Refusal::bad_request)?;
        let query = call.query().map_err(Refusal::bad_request)?;
        let path: Vec<_> = segments.iter().map(String::as_str).collect();
        let path = path.as_slice();
        let known: &[&str] = match (call.method.as_str(), path) {
            ("POST", ["subscribers"]) | ("PATCH", ["subscribers", _]) => &[
                "subscriber_list_id[]",
                "subscriber_list_id",
                "tag",
                "status",
                "status_mobile",
            ],
            ("GET", ["subscribers", "by_list"]) => &[
                "list_id",
                "page",
                "per_page",
                "status",
                "status_mobile",
                "updated_after",
            ],
            ("GET", ["subscribers", _]) => &["external_id"],
            _ => &[],
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
            ("POST", ["subscribers"]) => self.upsert(call, query, watch),
            ("POST", ["subscribers", "by_email"]) => self.by_email_call(call),
            ("GET", ["subscribers", "by_list"]) => self.by_list(query),
            ("GET", ["subscribers", id]) => self.get_subscriber(id),
            ("PATCH", ["subscribers", id]) => self.patch(call, id, query, watch),
            ("DELETE", ["subscribers", _]) | ("POST", ["subscribers", "bulkremove"]) => {
                watch.report(Harm::Deleted, "subscribers would be deleted");
                Err(refused_on_purpose("deleting subscribers"))
            }
            (
                "POST",
                ["subscribers", "unsubscribe_email"] | ["subscribers", _, "unsubscribe_email"],
            )
            | ("DELETE", ["subscribers", _, "subscriberlists", _]) => {
                watch.report(Harm::ConsentChanged, "somebody would be unsubscribed");
                Err(refused_on_purpose("unsubscribing"))
            }
            ("GET", ["subscribers", id, "subscriberlists"]) => self.lists_of(id),
            ("POST", ["subscribers", "subscriptions", "products", "bulkinsert"]) => {
                self.put_products(call)
            }
            ("POST", ["subscribers", "subscriptions", "bulkinsert"]) => {
                self.put_subscriptions(call, Owner::Email)
            }
            ("POST", ["subscribers", "subscriptions", "bulkinsert_by_external_id"]) => {
                self.put_subscriptions(call, Owner::ExternalId)
            }
            ("GET", ["subscriberlists"]) => Ok(Answer::ok(
                self.lists.keys().map(|id| self.shown_list(*id)).collect(),
            )),
            ("GET", ["subscriberlists", id]) => self.get_list(id),
            ("DELETE", ["subscriberlists" | "subscriber_tags" | "custom_fields", _]) => {
                watch.report(Harm::Deleted, "it would be deleted for everyone");
                Err(refused_on_purpose("deleting for everyone"))
            }
            ("GET", ["subscriber_tags"]) => Ok(self.list_tags()),
            ("GET", ["custom_fields"]) => Ok(self.list_custom_fields()),
            _ => Err(Refusal::NotFound),
        }
    }
}
