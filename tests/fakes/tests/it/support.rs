//! A client without any defaults, and tables of requests.

use fakes::{Fakes, Vendor, ViolationKind, rule::RuleAccount};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

pub const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            base: base.to_owned(),
            headers: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: String,
    ) -> Result<Reply, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(kind) = content_type {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().await?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    pub async fn send_as(&self, kind: &str, method: &str, path: &str, body: &str) -> Reply {
        self.try_send(method, path, Some(kind), body.to_owned())
            .await
            .unwrap()
    }

    /// Sends a JSON body, or no body if it is null.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let kind = (!body.is_null()).then_some("application/json");
        self.try_send(method, path, kind, body.to_string())
            .await
            .unwrap()
    }

    pub async fn call(&self, method: &str, path: &str) -> Reply {
        self.send(method, path, Value::Null).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, body).await
    }

    pub async fn check(&self, fakes: &Fakes, cases: impl IntoIterator<Item = Case>) {
        for case in cases {
            let name = format!("{} {} {}", case.method, case.path, case.body);
            fakes.clear_violations();
            let reply = self.send(case.method, &case.path, case.body).await;
            assert_eq!(reply.status, case.status, "{name}: {}", reply.text);
            let text = reply.text.replace("\\\"", "\"");
            assert!(text.contains(case.contains), "{name}: {text}");
            assert_eq!(fakes.violation_kinds(), case.violations, "{name}");
        }
    }
}

/// A request and the fake's expected reaction.
pub struct Case {
    pub method: &'static str,
    pub path: String,
    pub body: Value,
    pub status: u16,
    /// A part of the response's text.
    pub contains: &'static str,
    pub violations: &'static [ViolationKind],
}

/// A table of [`Case`]s, one per row:
/// `METHOD path, body => status "part of the response" [violations];`
macro_rules! cases {
    (@or $default:expr) => { $default };
    (@or $default:expr, $value:expr) => { $value };
    ($(
        $method:ident $path:expr $(, $body:expr)? =>
        $status:literal $($contains:literal)? $([$($kind:ident)*])?;
    )*) => {
        vec![$($crate::support::Case {
            method: stringify!($method),
            path: String::from($path),
            body: cases!(@or serde_json::Value::Null $(, $body)?),
            status: $status,
            contains: cases!(@or "" $(, $contains)?),
            violations: &[$($(fakes::ViolationKind::$kind),*)?],
        }),*]
    };
}

/// The object with some keys added or replaced.
pub fn merged(mut object: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(changes);
    object
}

pub async fn token(fakes: &Fakes, id: &str, secret: &str) -> String {
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let client = Client::new(&fakes.urls().sesamy_token);
    let reply = client.send_as(FORM, "POST", "", &body).await.expect(200);
    reply["access_token"].as_str().unwrap().to_owned()
}

/// A vendor and a client with its token.
pub async fn vendor(fakes: &Fakes) -> (Vendor, Client) {
    let vendor = fakes.sesamy().add_vendor("acme", "client", "secret");
    let token = token(fakes, "client", "secret").await;
    (vendor, Client::new(&fakes.urls().sesamy_api).bearer(&token))
}

/// A Rule account with some fields, and its client.
pub fn rule(fakes: &Fakes) -> (RuleAccount, Client) {
    let account = fakes.rule().add_account("acme", "rule-key");
    for (key, kind) in [
        ("Sesamy_User.ID", "text"),
        ("Sesamy_User.Created", "date"),
        ("Sesamy_ActiveProducts.SKU", "multiple"),
        ("Subscriber.FirstName", "text"),
    ] {
        account.define(key, serde_json::from_value(json!(kind)).unwrap());
    }
    (account, Client::new(&fakes.urls().rule).bearer("rule-key"))
}
