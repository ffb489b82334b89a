//! The control API: over HTTP what the library's handles do in process.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{Api, Urls},
    faults::{ActiveFault, Fault},
    requests::RecordedRequest,
    seed::Seed,
    server::BODY_LIMIT,
    violations::Violation,
    world::{Shared, World},
};

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(urls))
        .route("/state", get(all_state))
        .route("/state/{api}", get(one_state))
        .route("/preload", post(preload))
        .route("/reset", post(reset))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/faults/seed", post(seed_faults))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/violations", get(violations).delete(clear_violations))
        .route("/latency", post(latency))
        .route("/sesamy/vendors/{vendor}/tokens", delete(revoke_tokens))
        .route("/sesamy/vendors/{vendor}/users/{user}", delete(remove_user))
        // A preload of thousands of users is longer than the usual limit.
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

async fn urls(State(shared): State<Shared>) -> Json<Urls> {
    Json(shared.urls.as_ref().clone())
}

/// The state of every API, without credentials.
pub(crate) fn state(world: &World) -> Value {
    json!({
        "sesamy": world.sesamy.shown(),
        "rule": world.rule.shown(),
        "mailmojo": world.mailmojo.shown(),
        "make": world.make.shown(),
    })
}

async fn all_state(State(shared): State<Shared>) -> Json<Value> {
    Json(state(&shared.lock()))
}

async fn one_state(
    State(shared): State<Shared>,
    Path(api): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let mut state = state(&shared.lock());
    let one = state.get_mut(&api).map(Value::take);
    one.map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn preload(State(shared): State<Shared>, Json(seed): Json<Seed>) -> StatusCode {
    shared.lock().apply(seed);
    StatusCode::NO_CONTENT
}

async fn reset(State(shared): State<Shared>) -> StatusCode {
    let mut world = shared.lock();
    world.reset();
    if let Some(seed) = shared.seed.as_ref() {
        world.apply(seed.clone());
    }
    StatusCode::NO_CONTENT
}

async fn faults(State(shared): State<Shared>) -> Json<Vec<ActiveFault>> {
    Json(shared.lock().faults.list())
}

async fn add_fault(State(shared): State<Shared>, Json(fault): Json<Fault>) -> Json<Value> {
    let id = shared.lock().faults.add(fault);
    Json(json!({"id": id}))
}

async fn clear_faults(State(shared): State<Shared>) -> StatusCode {
    shared.lock().faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(shared): State<Shared>, Path(id): Path<u64>) -> StatusCode {
    if shared.lock().faults.remove(id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dice {
    seed: u64,
}

async fn seed_faults(State(shared): State<Shared>, Json(dice): Json<Dice>) -> StatusCode {
    shared.lock().faults.seed(dice.seed);
    StatusCode::NO_CONTENT
}

/// Narrows a list of requests or violations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    api: Option<Api>,
    account: Option<String>,
}

impl Filter {
    fn passes(&self, api: Api, account: Option<&str>) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && (self.account.is_none() || self.account.as_deref() == account)
    }
}

async fn requests(
    State(shared): State<Shared>,
    Query(filter): Query<Filter>,
) -> Json<Vec<RecordedRequest>> {
    let mut list = shared.lock().requests.list();
    list.retain(|request| filter.passes(request.api, request.account.as_deref()));
    Json(list)
}

async fn clear_requests(State(shared): State<Shared>) -> StatusCode {
    shared.lock().requests.clear();
    StatusCode::NO_CONTENT
}

async fn violations(
    State(shared): State<Shared>,
    Query(filter): Query<Filter>,
) -> Json<Vec<Violation>> {
    let mut list = shared.lock().violations.list();
    list.retain(|violation| filter.passes(violation.api, violation.account.as_deref()));
    Json(list)
}

async fn clear_violations(State(shared): State<Shared>) -> StatusCode {
    shared.lock().violations.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

async fn latency(State(shared): State<Shared>, Json(latency): Json<Latency>) -> StatusCode {
    shared.lock().latency = Duration::from_millis(latency.ms);
    StatusCode::NO_CONTENT
}

async fn revoke_tokens(State(shared): State<Shared>, Path(vendor): Path<String>) -> StatusCode {
    shared.lock().sesamy.revoke_tokens(&vendor);
    StatusCode::NO_CONTENT
}

async fn remove_user(
    State(shared): State<Shared>,
    Path((vendor, user)): Path<(String, String)>,
) -> StatusCode {
    let mut world = shared.lock();
    let vendor = world.sesamy.vendors.get_mut(&vendor);
    match vendor.and_then(|vendor| vendor.users.remove(&user)) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
