//! The code that the accounts of all CRMs share.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    state::{FakesState, SharedState},
    violations::Reporter,
};

/// The accounts of one CRM in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CrmSeed<A> {
    pub accounts: Vec<A>,
}

pub(crate) fn replace<T>(target: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *target = new;
    }
}

pub(crate) trait CrmAccount: Default {
    type Seed;

    fn name(seed: &Self::Seed) -> &str;

    fn apply(&mut self, seed: Self::Seed);

    /// Empties the account but keeps its credentials, settings and lists.
    fn reset(&mut self);

    /// The state without credentials.
    fn to_json(&self) -> Value;

    fn authorizes(&self, request: &ApiRequest<'_>) -> bool;

    fn route(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection>;

    /// The rejection in the error format of this API.
    fn rejected(rejection: Rejection) -> ApiResponse;

    /// The response to every request while the account is blocked.
    fn blocked(&self, _now: Timestamp) -> Option<ApiResponse> {
        None
    }

    /// Counts a response, which may block the account.
    fn count(&mut self, _status: StatusCode, _now: Timestamp) {}
}

/// The accounts of one CRM by name.
#[derive(Default)]
pub(crate) struct Accounts<A>(pub BTreeMap<String, A>);

impl<A: CrmAccount> Accounts<A> {
    /// Adds accounts and their content. Content with the same name is overwritten.
    pub fn apply(&mut self, seed: CrmSeed<A::Seed>) {
        for account in seed.accounts {
            let name = A::name(&account).to_owned();
            self.0.entry(name).or_default().apply(account);
        }
    }

    pub fn reset(&mut self) {
        self.0.values_mut().for_each(A::reset);
    }

    pub fn to_json(&self) -> Value {
        let accounts = self.0.iter();
        Value::Object(
            accounts
                .map(|(name, a)| (name.clone(), a.to_json()))
                .collect(),
        )
    }

    /// The name of the account whose credential the request carries.
    pub fn authorized(&self, request: &ApiRequest<'_>) -> Option<String> {
        let mut accounts = self.0.iter();
        let (name, _) = accounts.find(|(_, account)| account.authorizes(request))?;
        Some(name.clone())
    }

    pub fn answer(&mut self, request: &ApiRequest<'_>, reporter: &mut Reporter<'_>) -> ApiResponse {
        let name = reporter.account.as_ref();
        let Some(account) = name.and_then(|name| self.0.get_mut(name)) else {
            return A::rejected(Rejection::UNAUTHORIZED);
        };
        if let Some(blocked) = account.blocked(request.now) {
            return blocked;
        }
        let response = route(account, request, reporter).unwrap_or_else(A::rejected);
        account.count(response.status, request.now);
        response
    }
}

fn route<A: CrmAccount>(
    account: &mut A,
    request: &ApiRequest<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<ApiResponse, Rejection> {
    let path = request.segments().map_err(Rejection::bad_request)?;
    let query = request.query().map_err(Rejection::bad_request)?;
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    account.route(request, &path, &query, reporter)
}

/// Selects the accounts of one API in the state.
type AccountsOf<A> = fn(&mut FakesState) -> &mut BTreeMap<String, A>;

/// A test's handle of one account.
pub(crate) struct AccountHandle<A> {
    state: SharedState,
    name: String,
    accounts: AccountsOf<A>,
}

// A derived `Clone` would require accounts that can be cloned.
impl<A> Clone for AccountHandle<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            name: self.name.clone(),
            accounts: self.accounts,
        }
    }
}

impl<A: Default> AccountHandle<A> {
    pub fn new(state: &SharedState, name: &str, accounts: AccountsOf<A>) -> Self {
        Self {
            state: state.clone(),
            name: name.to_owned(),
            accounts,
        }
    }

    pub fn find(state: &SharedState, name: &str, accounts: AccountsOf<A>) -> Option<Self> {
        let known = accounts(&mut state.lock()).contains_key(name);
        known.then(|| Self::new(state, name, accounts))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn state(&self) -> &SharedState {
        &self.state
    }

    /// Calls `access` with the account, and creates the account if it is new.
    pub fn with_account<T>(&self, access: impl FnOnce(&mut A) -> T) -> T {
        let mut state = self.state.lock();
        let accounts = (self.accounts)(&mut state);
        access(accounts.entry(self.name.clone()).or_default())
    }
}
