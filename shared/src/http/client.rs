//! The client of one API for one vendor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use jiff::tz::TimeZone;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::debug;

use super::Http;
use super::budget::{MemoryBudget, Reservation, parsed_size};
use super::call::{ApiCall, Authorization};
use super::error::{ApiError, ApiErrorKind};
use super::error_body::ErrorBody;
use super::rate_limit::{CallPermit, requested_wait};
use crate::identity::VendorId;
use crate::secrets::SecretFault;

#[derive(Debug, Clone, Copy)]
pub struct ApiDescription {
    /// The API's name in logs, metrics and errors.
    pub name: &'static str,
    /// The time zone of wall-clock times in the API's responses, if it writes any.
    pub wall_clock: Option<&'static TimeZone>,
}

impl ApiDescription {
    pub const fn new(name: &'static str) -> Self {
        let wall_clock = None;
        Self { name, wall_clock }
    }
}

#[derive(Debug)]
pub struct ApiClient<'a> {
    http: &'a Http,
    vendor: &'a VendorId,
    description: ApiDescription,
    base: &'a Url,
    authorization: Authorization,
    limits: Option<Limits>,
}

/// How long a response asks not to be called, in words of one API alone. A client
/// error that asks for a wait is passing.
pub type Limits = fn(&Parts, &[u8]) -> Option<Duration>;

/// A successful (2xx) response.
#[derive(Debug)]
pub struct ApiResponse {
    api: &'static str,
    endpoint: &'static str,
    body: Vec<u8>,
    parsed_size: usize,
    budget: Arc<MemoryBudget>,
    /// Memory for the body and for what it is parsed into.
    _reservations: [Reservation; 2],
}

impl ApiResponse {
    /// The most bytes that the parsed body can take.
    pub fn parsed_size(&self) -> usize {
        self.parsed_size
    }

    /// Checks that one user's responses, of this total parsed size, may be kept
    /// in memory together. [`ApiErrorKind::OutOfMemory`] means that the user must
    /// be synced alone, [`ApiErrorKind::Malformed`] that they never fit.
    pub fn check_total_size(&self, total: usize) -> Result<(), ApiError> {
        self.budget.check(total).map_err(|kind| self.error(kind))
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| self.malformed("the body is not JSON of the expected form"))
    }

    /// One part of an answer that is an object.
    pub fn part<T: DeserializeOwned>(&self, name: &str) -> Result<T, ApiError> {
        let parts: BTreeMap<String, &RawValue> = serde_json::from_slice(&self.body)
            .map_err(|_| self.malformed("the body is not a JSON object"))?;
        let part = parts.get(name).map(|part| serde_json::from_str(part.get()));
        match part {
            Some(Ok(part)) => Ok(part),
            _ => Err(self.malformed("the answer lacks a part of the expected form")),
        }
    }

    /// For callers that find the content unusable.
    pub fn malformed(&self, reason: &'static str) -> ApiError {
        self.error(ApiErrorKind::Malformed(reason))
    }

    fn error(&self, kind: ApiErrorKind) -> ApiError {
        ApiError {
            api: self.api,
            endpoint: self.endpoint,
            kind,
        }
    }
}

/// A failed call with its response body, for callers that know the API's
/// errors. The body may hold personal data, so this type has no `Debug`.
pub struct FailedCall {
    pub error: ApiError,
    body: Vec<u8>,
}

impl FailedCall {
    /// `None` if the body has another form.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl From<ApiError> for FailedCall {
    fn from(error: ApiError) -> Self {
        let body = Vec::new();
        Self { error, body }
    }
}

impl From<FailedCall> for ApiError {
    fn from(failed: FailedCall) -> Self {
        failed.error
    }
}

/// A failed write, and what a connector reads of the API's refusal.
#[derive(Debug)]
pub struct FailedWrite<R> {
    pub error: ApiError,
    pub refusal: R,
}

impl<R> FailedWrite<R> {
    /// As [`ApiError::not_found_by`].
    #[must_use]
    pub fn not_found_by(mut self, fault: &SecretFault) -> Self {
        self.error = self.error.not_found_by(fault);
        self
    }
}

impl<R: Default> From<ApiError> for FailedWrite<R> {
    fn from(error: ApiError) -> Self {
        let refusal = R::default();
        Self { error, refusal }
    }
}

impl<R> From<FailedWrite<R>> for ApiError {
    fn from(failed: FailedWrite<R>) -> Self {
        failed.error
    }
}

impl<'a> ApiClient<'a> {
    pub fn new(
        http: &'a Http,
        vendor: &'a VendorId,
        description: ApiDescription,
        base: &'a Url,
        authorization: Authorization,
    ) -> Self {
        Self {
            http,
            vendor,
            description,
            base,
            authorization,
            limits: None,
        }
    }

    #[must_use]
    pub fn with_wall_clock(mut self, zone: &'static TimeZone) -> Self {
        self.description.wall_clock = Some(zone);
        self
    }

    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Makes a call that changes nothing at the API, whatever its method.
    ///
    /// Sends nothing while the API is paused for this vendor.
    pub async fn read(&self, call: ApiCall<'_>) -> Result<ApiResponse, ApiError> {
        Ok(self.send(&call).await?)
    }

    /// Like [`Self::read`]. `None` if the API answers that there is no such thing.
    pub async fn find(&self, call: ApiCall<'_>) -> Result<Option<ApiResponse>, ApiError> {
        found(self.read(call).await)
    }

    /// Makes a call that may change something at the API. A read-only client
    /// records the call instead and returns `None`; it still fails for calls
    /// that could not be sent.
    pub async fn write(&self, call: ApiCall<'_>) -> Result<Option<ApiResponse>, ApiError> {
        Ok(self.send_or_record(call).await?)
    }

    /// Like [`Self::find`], with the answer in its form.
    pub async fn find_json<T: DeserializeOwned>(
        &self,
        call: ApiCall<'_>,
    ) -> Result<Option<T>, ApiError> {
        let found = self.find(call).await?;
        found.map(|found| found.json()).transpose()
    }

    /// Like [`Self::write`], for removing what may be gone already.
    pub async fn remove(&self, call: ApiCall<'_>) -> Result<(), ApiError> {
        found(self.write(call).await).map(drop)
    }

    /// Like [`Self::write`], for callers that read the body of an error.
    pub async fn try_write<R>(
        &self,
        call: ApiCall<'_>,
        refusal: impl FnOnce(&FailedCall) -> R,
    ) -> Result<Option<ApiResponse>, FailedWrite<R>> {
        self.send_or_record(call)
            .await
            .map_err(|failed| FailedWrite {
                refusal: refusal(&failed),
                error: failed.error,
            })
    }

    async fn send_or_record(&self, call: ApiCall<'_>) -> Result<Option<ApiResponse>, FailedCall> {
        let Some(dry_run) = &self.http.dry_run else {
            return self.send(&call).await.map(Some);
        };
        let failed = |kind| self.error(call.endpoint, kind);
        drop(self.admit().map_err(failed)?);
        if call.has_path() {
            self.request(&call).map_err(failed)?;
        }
        dry_run.record(call.into_dry_run());
        Ok(None)
    }

    fn error(&self, endpoint: &'static str, kind: ApiErrorKind) -> ApiError {
        ApiError {
            api: self.description.name,
            endpoint,
            kind,
        }
    }

    fn admit(&self) -> Result<CallPermit<'_>, ApiErrorKind> {
        let backoffs = &self.http.backoffs;
        let permit = backoffs.admit_call(self.vendor, self.description.name);
        permit.map_err(|wait| ApiErrorKind::Paused { wait })
    }

    fn request(&self, call: &ApiCall<'_>) -> Result<reqwest::Request, ApiErrorKind> {
        call.request(&self.http.client, self.base, &self.authorization)
    }

    async fn send(&self, call: &ApiCall<'_>) -> Result<ApiResponse, FailedCall> {
        let (api, endpoint) = (self.description.name, call.endpoint);
        let failed = |kind| self.error(endpoint, kind);
        let budget = &self.http.budget;
        let mut body_reservation = budget.reserve_body().await.map_err(failed)?;
        let permit = self.admit().map_err(failed)?;
        let request = self.request(call).map_err(failed)?;
        let began = Instant::now();
        let response = self.http.send(request).await;
        let took = began.elapsed();
        let status = response.as_ref().map(http::Response::status);
        self.http.metrics.record(api, status, took);
        permit.finish(!matches!(
            status,
            Err(ApiErrorKind::Timeout | ApiErrorKind::Connection)
        ));
        let (head, body) = response.map_err(failed)?.into_parts();
        let status = head.status;
        debug!(
            api,
            endpoint,
            status = status.as_u16(),
            took_ms = took.as_millis(),
            "An API answered."
        );
        body_reservation.shrink_to(body.len());
        let stated = self.limits.and_then(|limits| limits(&head, &body));
        if !status.is_success() {
            return Err(self.failed_call(endpoint, &head, body, stated));
        }
        if let Some(wait) = stated {
            self.http.backoffs.pause(self.vendor, api, wait);
        }
        let parsed_size = parsed_size(&body);
        let reservation = budget.reserve_parsed(parsed_size).await.map_err(failed)?;
        Ok(ApiResponse {
            api,
            endpoint,
            body,
            parsed_size,
            budget: budget.clone(),
            _reservations: [body_reservation, reservation],
        })
    }

    /// Also pauses the API if the response asks for it.
    fn failed_call(
        &self,
        endpoint: &'static str,
        head: &Parts,
        body: Vec<u8>,
        stated: Option<Duration>,
    ) -> FailedCall {
        let error_body = ErrorBody::parse(&body);
        let zone = self.description.wall_clock;
        let wait = requested_wait(head, error_body.retry_after, &body, zone, stated);
        if let Some(wait) = wait {
            let backoffs = &self.http.backoffs;
            backoffs.pause(self.vendor, self.description.name, wait);
        }
        let kind = ApiErrorKind::Status {
            status: head.status.as_u16(),
            code: error_body.code,
            wait,
        };
        let error = self.error(endpoint, kind);
        FailedCall { error, body }
    }
}

fn found<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Err(error) if error.status() == Some(404) => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    #[tokio::test]
    async fn a_read_only_client_records_writes_and_sends_none() {
        let http = Http::new().unwrap().read_only();
        let vendor = VendorId::try_from("v").unwrap();
        // Nothing listens at this address, so a call that was sent would fail.
        let base = Url::parse("http://127.0.0.1:9/base").unwrap();
        let description = ApiDescription {
            name: "crm",
            wall_clock: None,
        };
        let api = ApiClient::new(&http, &vendor, description, &base, Authorization::InBody);
        let write = |segments: &[&str]| {
            ApiCall::new(Method::PUT, "/contacts/{email}", segments)
                .query("by", "email")
                .json("Anna".into())
        };
        let answer = api.write(write(&["anna@example.se"])).await;
        assert!(matches!(answer, Ok(None)));
        assert!(matches!(api.write(write(&[])).await, Ok(None)));
        let [known, unknown] = http.dry_run_calls().try_into().unwrap();
        assert_eq!(known.path.as_deref(), Some("/contacts/anna%40example.se"));
        assert_eq!(known.query, [("by", "email".to_owned())]);
        assert_eq!(known.body, "Anna");
        assert_eq!(format!("{known:?}"), "PUT /contacts/{email}");
        assert_eq!(unknown.path, None);

        let invalid = api.write(write(&[".."])).await.unwrap_err();
        assert!(matches!(invalid.kind, ApiErrorKind::Malformed(_)));
        http.backoffs.pause(&vendor, "crm", Duration::from_secs(60));
        let paused = api.write(write(&["a"])).await.unwrap_err();
        assert!(matches!(paused.kind, ApiErrorKind::Paused { .. }));
        assert_eq!(http.dry_run_calls().len(), 2);
        let read = api.read(ApiCall::new(Method::GET, "/x", &[])).await;
        assert!(matches!(
            read.unwrap_err().kind,
            ApiErrorKind::Paused { .. }
        ));
    }
}
