//! Everything one server holds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;

use crate::{
    answer::{Answer, Content},
    api::{Api, Urls},
    call::Call,
    faults::FaultBook,
    mailmojo, make,
    requests::RequestLog,
    rule,
    seed::Seed,
    sesamy,
    violations::{ViolationLog, Watch},
};

/// The state of the APIs and of the shared machinery.
pub(crate) struct World {
    pub sesamy: sesamy::State,
    pub rule: rule::State,
    pub mailmojo: mailmojo::State,
    pub make: make::State,
    pub faults: FaultBook,
    pub requests: RequestLog,
    pub violations: ViolationLog,
    pub latency: Duration,
}

impl World {
    pub fn new(requests_kept: usize) -> Self {
        Self {
            sesamy: sesamy::State::default(),
            rule: rule::State::default(),
            mailmojo: mailmojo::State::default(),
            make: make::State::default(),
            faults: FaultBook::default(),
            requests: RequestLog::new(requests_kept),
            violations: ViolationLog::default(),
            latency: Duration::ZERO,
        }
    }

    /// Adds what a seed holds; what is there already is overwritten by name.
    pub fn apply(&mut self, seed: Seed) {
        self.sesamy.apply(seed.sesamy);
        self.rule.apply(seed.rule);
        self.mailmojo.apply(seed.mailmojo);
        self.make.apply(seed.make);
        for fault in seed.faults {
            self.faults.add(fault);
        }
        if let Some(ms) = seed.latency_ms {
            self.latency = Duration::from_millis(ms);
        }
    }

    /// Empties everything but the accounts with their credentials, lists and settings.
    pub fn reset(&mut self) {
        self.sesamy.reset();
        self.rule.reset();
        self.mailmojo.reset();
        self.make.reset();
        self.faults.clear();
        self.requests.clear();
        self.violations.clear();
        self.latency = Duration::ZERO;
    }

    /// The account that a request's credential names.
    pub fn account(&self, api: Api, call: &Call<'_>) -> Option<String> {
        match api {
            Api::SesamyToken => self.sesamy.client(call),
            Api::Sesamy => self.sesamy.account(call),
            Api::Rule => self.rule.account(call),
            Api::Mailmojo => self.mailmojo.account(call),
            Api::Make => self.make.account(call),
        }
    }

    /// Carries a request out.
    pub fn answer(&mut self, api: Api, account: Option<String>, call: &Call<'_>) -> Answer {
        let mut watch = Watch {
            log: &mut self.violations,
            at: call.now,
            api,
            account,
            method: call.method.as_str(),
            path: call.path,
        };
        match api {
            Api::SesamyToken => self.sesamy.token(call, &mut watch),
            Api::Sesamy => self.sesamy.answer(call, &mut watch),
            Api::Rule => self.rule.answer(call, &mut watch),
            Api::Mailmojo => self.mailmojo.answer(call, &mut watch),
            Api::Make => self.make.answer(call, &mut watch),
        }
    }
}

/// The body an API sends with a status, where nothing more is known.
pub(crate) fn error_body(api: Api, status: StatusCode) -> Content {
    Content::Json(match api {
        Api::SesamyToken => sesamy::token_error_body(status),
        Api::Sesamy => sesamy::error_body(status),
        Api::Rule => rule::error_body(status),
        Api::Mailmojo => mailmojo::error_body(status),
        Api::Make => make::error_body(status),
    })
}

/// The world, shared between the server and its handles.
#[derive(Clone)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    pub urls: Arc<Urls>,
    /// What the control API's reset puts back.
    pub seed: Arc<Option<Seed>>,
}

impl Shared {
    pub fn new(world: World, urls: Urls, seed: Option<Seed>) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            urls: Arc::new(urls),
            seed: Arc::new(seed),
        }
    }

    /// Nothing is left half-changed by a panic elsewhere: every change is made
    /// by one call that has checked everything before it begins to write.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
