//! One call to an API, and the request made from it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::ACCEPT;
use reqwest::{Client, Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::dry_run::DryRunCall;
use super::error::ApiErrorKind;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[derive(Debug, Clone)]
pub enum Authorization {
    Bearer(SecretString),
    Basic {
        user: SecretString,
        password: SecretString,
    },
    /// The body holds the credentials.
    InBody,
}

#[derive(Debug)]
pub struct ApiCall<'a> {
    method: Method,
    pub(super) endpoint: &'static str,
    /// `None` if there are fewer segments than placeholders: in a dry run a
    /// segment may depend on the response to a recorded write.
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

impl<'a> ApiCall<'a> {
    /// The path is `endpoint` with each `{…}` replaced by the next of
    /// `segments`, percent-encoded. Logs and errors show `endpoint` only, so
    /// they hold no personal data.
    pub fn new(method: Method, endpoint: &'static str, segments: &[&str]) -> Self {
        Self {
            method,
            endpoint,
            path: fill_path(endpoint, segments),
            query: Vec::new(),
            body: Body::None,
        }
    }

    #[must_use]
    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// Like [`Self::json`], without the parts of the object that are null.
    #[must_use]
    pub fn json_parts(self, body: Value) -> Self {
        self.json(without_nulls(body))
    }

    #[must_use]
    pub fn form(mut self, body: Vec<(&'static str, &'a str)>) -> Self {
        self.body = Body::Form(body);
        self
    }

    pub(super) fn has_path(&self) -> bool {
        self.path.is_some()
    }

    pub(super) fn request(
        &self,
        client: &Client,
        base: &Url,
        authorization: &Authorization,
    ) -> Result<Request, ApiErrorKind> {
        const INVALID: ApiErrorKind =
            ApiErrorKind::Malformed("the call has no valid address or credentials");
        let base = base.as_str().trim_end_matches('/');
        let path = self.path.as_deref().ok_or(INVALID)?;
        let url = Url::parse(&format!("{base}{path}")).map_err(|_| INVALID)?;
        // `Url` resolves a segment such as "..", which would call another endpoint.
        if !url.path().ends_with(path) {
            return Err(INVALID);
        }
        let mut request = client
            .request(self.method.clone(), url)
            .header(ACCEPT, "application/json");
        if !self.query.is_empty() {
            request = request.query(&self.query);
        }
        request = match &self.body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Form(pairs) => request.form(pairs),
        };
        request = match authorization {
            Authorization::InBody => request,
            Authorization::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Authorization::Basic { user, password } => {
                request.basic_auth(user.expose_secret(), Some(password.expose_secret()))
            }
        };
        request.build().map_err(|_| INVALID)
    }

    pub(super) fn into_dry_run(self) -> DryRunCall {
        let body = match self.body {
            Body::None => Value::Null,
            Body::Json(json) => json,
            Body::Form(pairs) => pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect::<Map<_, _>>()
                .into(),
        };
        DryRunCall {
            method: self.method,
            endpoint: self.endpoint,
            path: self.path,
            query: self.query,
            body,
        }
    }
}

/// Leaves out the parts of an object that are null.
pub fn without_nulls(mut json: Value) -> Value {
    if let Value::Object(parts) = &mut json {
        parts.retain(|_, part| !part.is_null());
    }
    json
}

fn fill_path(endpoint: &str, segments: &[&str]) -> Option<String> {
    let mut path = String::new();
    let mut segments = segments.iter();
    let mut rest = endpoint;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.extend(utf8_percent_encode(segments.next()?, ENCODED));
        rest = after.split_once('}')?.1;
    }
    path.push_str(rest);
    Some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Http;
    use super::*;

    #[test]
    fn path_segments_are_percent_encoded() {
        let cases = [
            ("anna+news@example.se", "/x/anna%2Bnews%40example.se/tags"),
            ("email|84cc", "/x/email%7C84cc/tags"),
            ("a/b?c#d%e", "/x/a%2Fb%3Fc%23d%25e/tags"),
            ("å", "/x/%C3%A5/tags"),
            ("{}", "/x/%7B%7D/tags"),
        ];
        for (segment, path) in cases {
            let filled = fill_path("/x/{name}/tags", &[segment]);
            assert_eq!(filled.as_deref(), Some(path));
        }
    }

    #[test]
    fn only_parts_of_the_object_itself_are_left_out() {
        let json = json!({ "a": null, "b": false, "c": { "d": null }, "e": [null] });
        let rest = json!({ "b": false, "c": { "d": null }, "e": [null] });
        assert_eq!(without_nulls(json), rest);
        assert_eq!(without_nulls(json!([null])), json!([null]));
    }

    #[test]
    fn dot_segments_cannot_change_the_path() {
        let http = Http::new().unwrap();
        let base = Url::parse("https://api.example.com/base/").unwrap();
        for segment in ["..", ".", ""] {
            let call = ApiCall::new(Method::GET, "/users/{id}/x", &[segment]);
            match call.request(&http.client, &base, &Authorization::InBody) {
                Ok(request) => assert_eq!(request.url().path(), "/base/users//x"),
                Err(kind) => assert!(matches!(kind, ApiErrorKind::Malformed(_))),
            }
        }
    }

    #[test]
    fn credentials_never_show_in_debug_output() {
        let printed = format!("{:?}", Authorization::Bearer("s3cret".into()));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
