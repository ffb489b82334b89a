//! One API of one vendor, and calls to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::debug;

use super::error::{ApiError, Fault};
use super::memory::{Memory, Share, weigh};
use super::pause::Passage;
use super::told::Told;
use super::withheld::Withheld;
use super::{Http, retry_after};
use crate::identity::VendorId;

/// How long an API is left alone that answers 429 without saying how long.
/// Assumed: most limits count by the minute.
const UNSTATED_WAIT: Duration = Duration::from_secs(30);

/// What never needs encoding in a part of a path (RFC 3986, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes one part of a path.
fn encode_segment(segment: &str) -> String {
    utf8_percent_encode(segment, ENCODED).to_string()
}

/// What is fixed about an API.
#[derive(Debug, Clone, Copy)]
pub struct ApiDescription {
    /// The API's name in logs, metrics and errors.
    pub name: &'static str,
    /// The zone of wall-clock times in its answers, where it writes such.
    pub wall_clock: Option<&'static TimeZone>,
}

/// How a call shows whose it is.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// `Authorization: Bearer …`
    Bearer(SecretString),
    /// `Authorization: Basic …`
    Basic {
        /// The user name.
        user: SecretString,
        /// The password.
        password: SecretString,
    },
    /// The body holds the credentials.
    InBody,
}

/// One API of one vendor.
#[derive(Debug)]
pub struct Api<'a> {
    http: &'a Http,
    vendor: &'a VendorId,
    description: ApiDescription,
    base: &'a Url,
    authorization: Authorization,
}

/// One call to an API.
#[derive(Debug)]
pub struct Call<'a> {
    method: Method,
    template: &'static str,
    /// `None` where the template has more placeholders than there were segments.
    path: Option<String>,
    query: Vec<(&'static str, String)>,
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    None,
    Json(Value),
    Form(Vec<(&'static str, &'a str)>),
}

impl Body<'_> {
    /// The body as JSON, for the journal of writes that were not sent.
    fn into_json(self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Json(json) => json,
            Self::Form(pairs) => pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

impl<'a> Call<'a> {
    /// A call of `method` to the path that `template` gives when each `{…}` in
    /// it is replaced by the next of `segments`, percent-encoded. The template
    /// itself names the endpoint in logs and errors, so no value shows there.
    pub fn new(method: Method, template: &'static str, segments: &[&str]) -> Self {
        Self {
            method,
            template,
            path: fill(template, segments),
            query: Vec::new(),
            body: Body::None,
        }
    }

    /// With a query parameter.
    #[must_use]
    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// With a form as body.
    #[must_use]
    pub fn form(mut self, body: Vec<(&'static str, &'a str)>) -> Self {
        self.body = Body::Form(body);
        self
    }
}

/// The template with every placeholder replaced by the next segment, encoded.
fn fill(template: &str, segments: &[&str]) -> Option<String> {
    let mut path = String::new();
    let mut segments = segments.iter();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(&encode_segment(segments.next()?));
        rest = after.split_once('}')?.1;
    }
    path.push_str(rest);
    Some(path)
}

/// An answer of success (2xx).
#[derive(Debug)]
pub struct Reply {
    api: &'static str,
    endpoint: &'static str,
    body: Vec<u8>,
    weight: usize,
    memory: Arc<Memory>,
    /// The memory for the body, and for what it is parsed into.
    _shares: [Share; 2],
}

impl Reply {
    /// How many bytes of memory what it says takes at most.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Makes sure that what this and other answers for the same reader say can
    /// be kept together, which weighs so much.
    ///
    /// # Errors
    /// [`Fault::NoRoom`] where the reader would have to be alone for that,
    /// [`Fault::Malformed`] where it is more than an instance has.
    pub fn check_sum(&self, weight: usize) -> Result<(), ApiError> {
        self.memory.check(weight).map_err(|fault| ApiError {
            api: self.api,
            endpoint: self.endpoint,
            fault,
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Fault::Malformed`] where it is not JSON of this form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| self.malformed("the body is not JSON of the expected form"))
    }

    /// The error that this answer's content is not what it must be.
    pub fn malformed(&self, what: &'static str) -> ApiError {
        ApiError {
            api: self.api,
            endpoint: self.endpoint,
            fault: Fault::Malformed(what),
        }
    }
}

/// A call that did not succeed, with the answer's body for a caller that knows
/// what the API names in it. The body may hold personal data, so it is never
/// printed and ends with this.
pub struct Refused {
    /// What went wrong.
    pub error: ApiError,
    body: Vec<u8>,
}

impl Refused {
    /// The answer's body, where it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let body = Vec::new();
        Self { error, body }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl<'a> Api<'a> {
    /// The API at `base`, called for `vendor`.
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
        }
    }

    /// Makes a call that changes nothing at the API, whatever its method.
    ///
    /// While the API wants to be left alone by this vendor, nothing is sent.
    ///
    /// # Errors
    /// [`ApiError`] for everything but an answer of success.
    pub async fn read(&self, call: Call<'_>) -> Result<Reply, ApiError> {
        Ok(self.send(&call).await?)
    }

    /// Makes a call that may change something at the API. `None` where the
    /// client is read-only: nothing was sent, and the caller goes on with what
    /// reading can tell.
    ///
    /// # Errors
    /// [`ApiError`] for everything but an answer of success; where nothing is
    /// sent, for a call that could not be.
    pub async fn write(&self, call: Call<'_>) -> Result<Option<Reply>, ApiError> {
        Ok(self.try_write(call).await?)
    }

    /// The same for a caller that reads what a refusal names.
    ///
    /// # Errors
    /// As [`Api::write`].
    pub async fn try_write(&self, call: Call<'_>) -> Result<Option<Reply>, Refused> {
        let Some(journal) = &self.http.journal else {
            return self.send(&call).await.map(Some);
        };
        let failed = |fault| self.failed(call.template, fault);
        drop(self.admit().map_err(failed)?);
        // A path may wait for the answer of a write that was withheld, too.
        if call.path.is_some() {
            self.request(&call).map_err(failed)?;
        }
        journal.note(Withheld {
            method: call.method,
            endpoint: call.template,
            path: call.path,
            query: call.query,
            body: call.body.into_json(),
        });
        Ok(None)
    }

    fn failed(&self, endpoint: &'static str, fault: Fault) -> ApiError {
        ApiError {
            api: self.description.name,
            endpoint,
            fault,
        }
    }

    /// Lets a call through, unless the API is left alone now.
    fn admit(&self) -> Result<Passage<'_>, Fault> {
        let pauses = &self.http.pauses;
        let passage = pauses.admit(self.vendor, self.description.name);
        passage.map_err(|wait| Fault::Paused { wait })
    }

    async fn send(&self, call: &Call<'_>) -> Result<Reply, Refused> {
        let endpoint = call.template;
        let failed = |fault| self.failed(endpoint, fault);
        let mut share = self.http.memory.for_body().await.map_err(failed)?;
        let passage = self.admit().map_err(failed)?;
        let request = self.request(call).map_err(failed)?;
        let began = Instant::now();
        let answer = self.http.exchange(request).await;
        let ended = answer.as_ref().map(http::Response::status);
        let (api, took) = (self.description.name, began.elapsed());
        self.http.calls.note(api, ended, took);
        passage.ended(!matches!(answer, Err(Fault::Timeout | Fault::Connection)));
        let (head, body) = answer.map_err(failed)?.into_parts();
        let (status, headers) = (head.status, head.headers);
        debug!(
            api = self.description.name,
            endpoint,
            status = status.as_u16(),
            took_ms = took.as_millis(),
            "An API answered."
        );
        share.shrink_to(body.len());
        if status.is_success() {
            let weight = weigh(&body);
            let values = self.http.memory.for_values(weight).await;
            return Ok(Reply {
                api: self.description.name,
                endpoint,
                body,
                weight,
                memory: self.http.memory.clone(),
                _shares: [share, values.map_err(failed)?],
            });
        }
        let told = Told::read(&body);
        let mut wait = retry_after::wait(
            &headers,
            told.retry_after,
            &body,
            self.description.wall_clock,
            Timestamp::now(),
        );
        if status == StatusCode::TOO_MANY_REQUESTS {
            wait = wait.or(Some(UNSTATED_WAIT));
        }
        let asks_to_wait = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if let Some(wait) = wait.filter(|_| asks_to_wait) {
            self.http
                .pauses
                .begin(self.vendor, self.description.name, wait);
        }
        let error = failed(Fault::Status {
            status: status.as_u16(),
            code: told.code,
            wait: wait.filter(|_| asks_to_wait),
        });
        Err(Refused { error, body })
    }

    fn request(&self, call: &Call<'_>) -> Result<reqwest::Request, Fault> {
        const IMPOSSIBLE: Fault = Fault::Malformed("the call has no valid address or credentials");
        let base = self.base.as_str().trim_end_matches('/');
        let path = call.path.as_deref().ok_or(IMPOSSIBLE)?;
        let url = Url::parse(&format!("{base}{path}")).map_err(|_| IMPOSSIBLE)?;
        // A segment such as ".." would have walked out of the path it stands in.
        if !url.path().ends_with(path) {
            return Err(IMPOSSIBLE);
        }
        let mut request = self
            .http
            .client
            .request(call.method.clone(), url)
            .header(ACCEPT, "application/json");
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        request = match &call.body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Form(pairs) => request.form(pairs),
        };
        request = match &self.authorization {
            Authorization::InBody => request,
            Authorization::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Authorization::Basic { user, password } => {
                request.basic_auth(user.expose_secret(), Some(password.expose_secret()))
            }
        };
        request.build().map_err(|_| IMPOSSIBLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_path_is_encoded_and_stays_one_part() {
        let cases = [
            ("anna+news@example.se", "/x/anna%2Bnews%40example.se/tags"),
            ("email|84cc", "/x/email%7C84cc/tags"),
            ("a/b?c#d%e", "/x/a%2Fb%3Fc%23d%25e/tags"),
            ("å", "/x/%C3%A5/tags"),
            ("{}", "/x/%7B%7D/tags"),
        ];
        for (segment, path) in cases {
            assert_eq!(fill("/x/{name}/tags", &[segment]).as_deref(), Some(path));
        }
    }

    #[test]
    fn a_segment_cannot_walk_out_of_its_path() {
        let http = Http::new().unwrap();
        let vendor = VendorId::try_from("v").unwrap();
        let base = Url::parse("https://api.example.com/base/").unwrap();
        let description = ApiDescription {
            name: "crm",
            wall_clock: None,
        };
        let api = Api::new(&http, &vendor, description, &base, Authorization::InBody);
        for segment in ["..", ".", ""] {
            let request = api.request(&Call::new(Method::GET, "/users/{id}/x", &[segment]));
            match request {
                Ok(request) => assert_eq!(request.url().path(), "/base/users//x"),
                Err(fault) => assert!(matches!(fault, Fault::Malformed(_))),
            }
        }
    }

    #[tokio::test]
    async fn a_read_only_client_notes_writes_and_sends_none() {
        let http = Http::new().unwrap().read_only();
        let vendor = VendorId::try_from("v").unwrap();
        // Nobody listens there: whatever was sent would fail.
        let base = Url::parse("http://127.0.0.1:9/base").unwrap();
        let description = ApiDescription {
            name: "crm",
            wall_clock: None,
        };
        let api = Api::new(&http, &vendor, description, &base, Authorization::InBody);
        let write = |segments: &[&str]| {
            Call::new(Method::PUT, "/contacts/{email}", segments)
                .query("by", "email")
                .json("Anna".into())
        };
        let answer = api.write(write(&["anna@example.se"])).await;
        assert!(matches!(answer, Ok(None)));
        // A part that only the answer to a withheld write would give.
        assert!(matches!(api.write(write(&[])).await, Ok(None)));
        let [known, unknown] = http.withheld().try_into().unwrap();
        assert_eq!(known.path.as_deref(), Some("/contacts/anna%40example.se"));
        assert_eq!(known.query, [("by", "email".to_owned())]);
        assert_eq!(known.body, "Anna");
        assert_eq!(format!("{known:?}"), "PUT /contacts/{email}");
        assert_eq!(unknown.path, None);

        let impossible = api.write(write(&[".."])).await.unwrap_err();
        assert!(matches!(impossible.fault, Fault::Malformed(_)));
        http.pauses.begin(&vendor, "crm", Duration::from_secs(60));
        let paused = api.write(write(&["a"])).await.unwrap_err();
        assert!(matches!(paused.fault, Fault::Paused { .. }));
        assert_eq!(http.withheld().len(), 2);
        let read = api.read(Call::new(Method::GET, "/x", &[])).await;
        assert!(matches!(read.unwrap_err().fault, Fault::Paused { .. }));
    }

    #[test]
    fn credentials_never_show_in_debug_output() {
        let printed = format!("{:?}", Authorization::Bearer("s3cret".into()));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
