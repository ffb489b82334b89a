//! The control API: the functions of the handles over HTTP.

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
    request_log::RecordedRequest,
    seed::Seed,
    server::MAX_BODY,
    state::SharedState,
    violations::Violation,
};

pub(crate) fn router() -> Router<SharedState> {
    Router::new()
        .route("/", get(urls))
        .route("/state", get(all_state))
        .route("/state/{api}", get(api_state))
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
        // A preload of thousands of users exceeds the default limit.
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn urls(State(state): State<SharedState>) -> Json<Urls> {
    Json(state.urls.as_ref().clone())
}

async fn all_state(State(state): State<SharedState>) -> Json<Value> {
    Json(state.lock().to_json())
}

async fn api_state(
    State(state): State<SharedState>,
    Path(api): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let mut apis = state.lock().to_json();
    let found = apis.get_mut(&api).map(Value::take);
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn preload(State(state): State<SharedState>, Json(seed): Json<Seed>) -> StatusCode {
    state.lock().apply(seed);
    StatusCode::NO_CONTENT
}

async fn reset(State(state): State<SharedState>) -> StatusCode {
    let mut fakes = state.lock();
    fakes.reset();
    if let Some(seed) = state.seed.as_ref() {
        fakes.apply(seed.clone());
    }
    StatusCode::NO_CONTENT
}

async fn faults(State(state): State<SharedState>) -> Json<Vec<ActiveFault>> {
    Json(state.lock().faults.list())
}

async fn add_fault(State(state): State<SharedState>, Json(fault): Json<Fault>) -> Json<Value> {
    let id = state.lock().faults.add(fault);
    Json(json!({"id": id}))
}

async fn clear_faults(State(state): State<SharedState>) -> StatusCode {
    state.lock().faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(state): State<SharedState>, Path(id): Path<u64>) -> StatusCode {
    if state.lock().faults.remove(id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomSeed {
    seed: u64,
}

async fn seed_faults(
    State(state): State<SharedState>,
    Json(random): Json<RandomSeed>,
) -> StatusCode {
    state.lock().faults.seed(random.seed);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    api: Option<Api>,
    account: Option<String>,
}

impl Filter {
    fn matches(&self, api: Api, account: Option<&str>) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && (self.account.is_none() || self.account.as_deref() == account)
    }
}

async fn requests(
    State(state): State<SharedState>,
    Query(filter): Query<Filter>,
) -> Json<Vec<RecordedRequest>> {
    let mut list = state.lock().requests.list();
    list.retain(|request| filter.matches(request.api, request.account.as_deref()));
    Json(list)
}

async fn clear_requests(State(state): State<SharedState>) -> StatusCode {
    state.lock().requests.clear();
    StatusCode::NO_CONTENT
}

async fn violations(
    State(state): State<SharedState>,
    Query(filter): Query<Filter>,
) -> Json<Vec<Violation>> {
    let mut list = state.lock().violations.list();
    list.retain(|violation| filter.matches(violation.api, violation.account.as_deref()));
    Json(list)
}

async fn clear_violations(State(state): State<SharedState>) -> StatusCode {
    state.lock().violations.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

async fn latency(State(state): State<SharedState>, Json(latency): Json<Latency>) -> StatusCode {
    state.lock().latency = Duration::from_millis(latency.ms);
    StatusCode::NO_CONTENT
}

async fn revoke_tokens(State(state): State<SharedState>, Path(vendor): Path<String>) -> StatusCode {
    state.lock().sesamy.revoke_tokens(&vendor);
    StatusCode::NO_CONTENT
}

async fn remove_user(
    State(state): State<SharedState>,
    Path((vendor, user)): Path<(String, String)>,
) -> StatusCode {
    let mut fakes = state.lock();
    let vendor = fakes.sesamy.vendors.get_mut(&vendor);
    match vendor.and_then(|vendor| vendor.remove(&user)) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
