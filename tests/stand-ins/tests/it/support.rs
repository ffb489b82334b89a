//! A bare client: it sends exactly what a test writes.

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use stand_ins::{StandIns, Vendor, rule::RuleAccount};

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }
}

/// A client with an address to start from and headers it always sends.
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

    /// The same without the connections made so far.
    pub fn anew(&self) -> Self {
        let mut anew = Self::new(&self.base);
        anew.headers.clone_from(&self.headers);
        anew
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
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply {
            status: StatusCode::as_u16(&status),
            headers,
            text: response.text().await?,
        })
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).await
    }

    pub async fn call(&self, method: &str, path: &str) -> Reply {
        self.try_send(method, path, None, String::new())
            .await
            .unwrap()
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let kind = Some("application/json");
        self.try_send(method, path, kind, body.to_string())
            .await
            .unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, body).await
    }
}

/// A vendor and a client that holds a token of it.
pub async fn vendor(stand_ins: &StandIns) -> (Vendor, Client) {
    let vendor = stand_ins.sesamy().add_vendor("acme", "client", "secret");
    let token = token(stand_ins, "client", "secret").await;
    (
        vendor,
        Client::new(&stand_ins.urls().sesamy_api).bearer(&token),
    )
}

pub async fn token(stand_ins: &StandIns, id: &str, secret: &str) -> String {
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let reply = Client::new(&stand_ins.urls().sesamy_token)
        .try_send("POST", "", Some("application/x-www-form-urlencoded"), body)
        .await
        .unwrap()
        .expect(200);
    reply["access_token"].as_str().unwrap().to_owned()
}

/// A Rule account with a few fields defined, and its client.
pub fn rule(stand_ins: &StandIns) -> (RuleAccount, Client) {
    let account = stand_ins.rule().add_account("acme", "rule-key");
    for (key, kind) in [
        ("Sesamy_User.ID", "text"),
        ("Sesamy_User.Created", "date"),
        ("Sesamy_ActiveProducts.SKU", "multiple"),
        ("Subscriber.FirstName", "text"),
    ] {
        account.define(key, serde_json::from_value(json!(kind)).unwrap());
    }
    (
        account,
        Client::new(&stand_ins.urls().rule).bearer("rule-key"),
    )
}
