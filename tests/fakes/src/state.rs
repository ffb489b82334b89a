//! The state of a server.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    accounts::Accounts,
    api::{Api, Urls},
    faults::FaultRules,
    hubspot, mailchimp, mailmojo, make,
    other::{self, OtherAccounts},
    request::ApiRequest,
    request_log::RequestLog,
    response::{ApiResponse, ResponseBody},
    rule,
    seed::Seed,
    sesamy,
    violations::{Reporter, ViolationLog},
};

pub(crate) struct FakesState {
    pub sesamy: sesamy::SesamyState,
    pub rule: Accounts<rule::Account>,
    pub mailmojo: Accounts<mailmojo::Account>,
    pub make: Accounts<make::Account>,
    pub mailchimp: Accounts<mailchimp::Account>,
    pub hubspot: Accounts<hubspot::Account>,
    pub other: OtherAccounts,
    pub faults: FaultRules,
    pub requests: RequestLog,
    pub violations: ViolationLog,
    pub latency: Duration,
}

impl FakesState {
    pub fn new(requests_kept: usize) -> Self {
        Self {
            sesamy: sesamy::SesamyState::default(),
            rule: Accounts::default(),
            mailmojo: Accounts::default(),
            make: Accounts::default(),
            mailchimp: Accounts::default(),
            hubspot: Accounts::default(),
            other: OtherAccounts::default(),
            faults: FaultRules::default(),
            requests: RequestLog::new(requests_kept),
            violations: ViolationLog::default(),
            latency: Duration::ZERO,
        }
    }

    /// Adds the content of a seed. Content with the same name is overwritten.
    pub fn apply(&mut self, seed: Seed) {
        self.sesamy.apply(seed.sesamy);
        self.rule.apply(seed.rule);
        self.mailmojo.apply(seed.mailmojo);
        self.make.apply(seed.make);
        self.mailchimp.apply(seed.mailchimp);
        self.hubspot.apply(seed.hubspot);
        for fault in seed.faults {
            self.faults.add(fault);
        }
        if let Some(ms) = seed.latency_ms {
            self.latency = Duration::from_millis(ms);
        }
    }

    /// Deletes everything except the accounts with their credentials, lists and settings.
    pub fn reset(&mut self) {
        self.sesamy.reset();
        self.rule.reset();
        self.mailmojo.reset();
        self.make.reset();
        self.mailchimp.reset();
        self.hubspot.reset();
        self.faults.clear();
        self.requests.clear();
        self.violations.clear();
        self.latency = Duration::ZERO;
    }

    /// The state of all APIs, without credentials.
    pub fn to_json(&self) -> Value {
        json!({
            "sesamy": self.sesamy.to_json(),
            "rule": self.rule.to_json(),
            "mailmojo": self.mailmojo.to_json(),
            "make": self.make.to_json(),
            "mailchimp": self.mailchimp.to_json(),
            "hubspot": self.hubspot.to_json(),
        })
    }

    /// The account that the credential of a request names.
    pub fn account(&self, api: Api, request: &ApiRequest<'_>) -> Option<String> {
        match api {
            Api::SesamyToken => self.sesamy.client(request),
            Api::Sesamy => self.sesamy.authorized(request),
            Api::Rule => self.rule.authorized(request),
            Api::Mailmojo => self.mailmojo.authorized(request),
            Api::Make => self.make.authorized(request),
            Api::Mailchimp => self.mailchimp.authorized(request),
            Api::HubSpot => self.hubspot.authorized(request),
            Api::Other => self.other.authorized(request),
        }
    }

    pub fn answer(
        &mut self,
        api: Api,
        account: Option<String>,
        request: &ApiRequest<'_>,
    ) -> ApiResponse {
        let mut reporter = Reporter {
            log: &mut self.violations,
            at: request.now,
            api,
            account,
            method: request.method.as_str(),
            path: request.path,
        };
        match api {
            Api::SesamyToken => self.sesamy.token(request, &mut reporter),
            Api::Sesamy => self.sesamy.answer(request, &mut reporter),
            Api::Rule => self.rule.answer(request, &mut reporter),
            Api::Mailmojo => self.mailmojo.answer(request, &mut reporter),
            Api::Make => self.make.answer(request, &mut reporter),
            Api::Mailchimp => self.mailchimp.answer(request, &mut reporter),
            Api::HubSpot => self.hubspot.answer(request, &mut reporter),
            Api::Other => self.other.answer(request, &reporter),
        }
    }
}

/// The body that an API sends with a status by default.
pub(crate) fn error_body(api: Api, status: StatusCode) -> ResponseBody {
    ResponseBody::Json(match api {
        Api::SesamyToken => sesamy::token_error_body(status),
        Api::Sesamy => sesamy::error_body(status),
        Api::Rule => rule::error_body(status),
        Api::Mailmojo => mailmojo::error_body(status),
        Api::Make => make::error_body(status),
        Api::Mailchimp => mailchimp::error_body(status),
        Api::HubSpot => hubspot::error_body(status),
        Api::Other => other::error_body(status),
    })
}

#[derive(Clone)]
pub(crate) struct SharedState {
    state: Arc<Mutex<FakesState>>,
    pub urls: Arc<Urls>,
    /// The content that the control API's reset restores.
    pub seed: Arc<Option<Seed>>,
}

impl SharedState {
    pub fn new(state: FakesState, urls: Urls, seed: Option<Seed>) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            urls: Arc::new(urls),
            seed: Arc::new(seed),
        }
    }

    /// Ignores poisoning: every call checks first and writes afterwards, so a panic leaves
    /// nothing half-changed.
    pub fn lock(&self) -> MutexGuard<'_, FakesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
