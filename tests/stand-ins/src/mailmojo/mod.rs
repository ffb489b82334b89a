//! Mailmojo, version 1.

mod account;
mod contacts;
mod fields;
mod handle;
mod lists;
mod refusal;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use account::{
    Contact, FieldKind, FieldsAddress, ListAssociation, ListSeed, MailmojoAccountSeed,
    MailmojoSeed, MailmojoSettings, Status, Writing,
};
pub use handle::{Mailmojo, MailmojoAccount};
pub(crate) use refusal::error_body;

use crate::{
    answer::Answer,
    call::{Call, Query},
    violations::{Harm, Watch},
};
use account::Account;
use refusal::{Refusal, refused_on_purpose};

/// Everything Mailmojo holds: its accounts by name.
#[derive(Default)]
pub(crate) struct State {
    pub accounts: BTreeMap<String, Account>,
}

impl State {
    pub fn apply(&mut self, seed: MailmojoSeed) {
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
                "fields": account.definitions(),
                "contacts": account.contacts.values().collect::<Vec<_>>(),
            });
            (name.clone(), shown)
        });
        Value::Object(accounts.collect())
    }

    pub fn account(&self, call: &Call<'_>) -> Option<String> {
        let token = call.bearer()?;
        self.accounts
            .iter()
            .find(|(_, account)| account.token == token)
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
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        // Every path ends in a slash. What the API makes of one without is not
        // documented, but it is no path of its.
        let ["v1", path @ .., ""] = segments.as_slice() else {
            return Err(Refusal::not_found());
        };
        let known: &[&str] = match path {
            ["lists", _, "subscribers" | "unsubscribed"] if call.method == "GET" => &["limit"],
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
        const READ_CONTACTS: [&str; 2] = ["contacts", "contacts:read"];
        const READ_LISTS: [&str; 2] = ["lists", "lists:read"];
        // Assumed: the API has definitions of account fields, but the path is
        // documented nowhere. It can be closed to test for that.
        if let (["fields"], FieldsAddress::Refused(status)) = (path, self.settings.fields) {
            return Err(Refusal::Status(status));
        }
        match (call.method.as_str(), path) {
            ("GET", ["contacts"]) => {
                self.needs(&READ_CONTACTS)?;
                let message = "all contacts at once: experimental, and of any length";
                watch.report(Harm::Undocumented, message);
                Ok(Answer::ok(
                    self.contacts.values().map(Contact::shown).collect(),
                ))
            }
            ("GET", ["contacts", email]) => {
                self.needs(&READ_CONTACTS)?;
                self.get_contact(email)
            }
            ("PATCH", ["contacts", email]) => {
                self.needs(&["contacts"])?;
                self.patch_contact(call, email, watch)
            }
            ("GET", ["lists"]) => {
                self.needs(&READ_LISTS)?;
                Ok(Answer::ok(
                    self.lists.keys().map(|id| self.shown_list(*id)).collect(),
                ))
            }
            ("GET", ["lists", list]) => {
                self.needs(&READ_LISTS)?;
                Ok(Answer::ok(self.shown_list(self.list(list)?)))
            }
            ("GET", ["lists", list, state @ ("subscribers" | "unsubscribed")]) => {
                self.needs(&READ_LISTS)?;
                self.list_members(list, *state == "subscribers", query)
            }
            ("GET", ["lists", list, "subscribers", email]) => {
                self.needs(&READ_LISTS)?;
                self.get_member(list, email)
            }
            ("POST", ["lists", list, "subscribers"]) => {
                self.needs(&["subscribe"])?;
                self.subscribe(call, list, watch)
            }
            ("DELETE", ["lists", _, "subscribers", _]) => {
                watch.report(Harm::ConsentChanged, "somebody would be unsubscribed");
                Err(refused_on_purpose("unsubscribing"))
            }
            ("POST", ["lists", _, "subscribers", "import"]) => {
                watch.report(
                    Harm::ConsentChanged,
                    "an import subscribes whoever is in it",
                );
                Err(refused_on_purpose("importing subscribers"))
            }
            ("GET", ["fields"]) => {
                self.needs(&["account", "account_settings"])?;
                Ok(self.list_fields())
            }
            ("POST", ["fields"]) => {
                self.needs(&["account", "account_settings"])?;
                self.define_field(call)
            }
            _ => Err(Refusal::not_found()),
        }
    }

    /// Passes if the token has one of these scopes.
    fn needs(&self, scopes: &[&str]) -> Result<(), Refusal> {
        let has = |scope: &&str| self.scopes.iter().any(|granted| granted == scope);
        if scopes.iter().any(has) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(scopes.join(" or ")))
        }
    }
}
