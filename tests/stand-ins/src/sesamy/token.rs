//! The token endpoint: OAuth 2.0 client credentials, form-encoded.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::state::{State, Token, TokenGrant};
use crate::{
    answer::Answer,
    call::{self, Call},
    clock,
    violations::{Harm, Watch},
};

const KNOWN: [&str; 5] = [
    "grant_type",
    "client_id",
    "client_secret",
    "audience",
    "scope",
];

/// The body the token endpoint sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    json!({"message": status.canonical_reason().unwrap_or("Error")})
}

fn refused(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, json!({"message": message}))
}

fn oauth_error(code: &str, description: &str) -> Answer {
    let body = json!({"error": code, "error_description": description});
    Answer::json(StatusCode::BAD_REQUEST, body)
}

/// The credentials of a token request: from the form, else from HTTP Basic.
struct Request {
    pairs: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl Request {
    fn of(call: &Call<'_>) -> Option<Self> {
        let form = call.media_type() == "application/x-www-form-urlencoded";
        Some(Self {
            pairs: form.then(|| call::form(call.body)).flatten()?,
            basic: call.basic(),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn client_id(&self) -> Option<&str> {
        self.get("client_id")
            .or(self.basic.as_ref().map(|(id, _)| id.as_str()))
    }

    fn client_secret(&self) -> Option<&str> {
        self.get("client_secret")
            .or(self.basic.as_ref().map(|(_, secret)| secret.as_str()))
    }
}

impl State {
    /// The vendor that a token request names.
    pub fn client(&self, call: &Call<'_>) -> Option<String> {
        let request = Request::of(call)?;
        let client_id = request.client_id()?;
        self.vendors
            .iter()
            .find(|(_, vendor)| vendor.client_id == client_id)
            .map(|(id, _)| id.clone())
    }

    pub fn token(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Answer {
        self.grant(call, watch).unwrap_or_else(|refused| refused)
    }

    fn grant(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Result<Answer, Answer> {
        if call.path != "/oauth/token" || call.method != Method::POST {
            return Err(refused(StatusCode::NOT_FOUND, "Not Found"));
        }
        if !call.query.is_empty() {
            watch.report(Harm::SecretExposed, "the token request carries a query");
        }
        // The same misleading answer for a JSON body and for a tenant-id
        // header, as Sesamy's own plugin reports it.
        if call.headers.contains_key("tenant-id") {
            return Err(refused(StatusCode::FORBIDDEN, "Client not found"));
        }
        let request =
            Request::of(call).ok_or_else(|| refused(StatusCode::FORBIDDEN, "Client not found"))?;
        if request
            .pairs
            .iter()
            .any(|(name, _)| !KNOWN.contains(&name.as_str()))
        {
            // The name is not shown: a body in a wrong format is one long name.
            watch.report(Harm::UnknownParameter, "a form field that is not known");
        }
        match request.get("grant_type") {
            Some("client_credentials") => {}
            Some(_) => return Err(oauth_error("unsupported_grant_type", "unknown grant_type")),
            None => return Err(oauth_error("invalid_request", "grant_type is required")),
        }
        let client_id = request
            .client_id()
            .ok_or_else(|| oauth_error("invalid_request", "client_id is required"))?;
        let secret = request
            .client_secret()
            .ok_or_else(|| refused(StatusCode::UNAUTHORIZED, "client_secret is required"))?;
        let (vendor_id, vendor) = self
            .vendors
            .iter_mut()
            .find(|(_, vendor)| vendor.client_id == client_id)
            .ok_or_else(|| refused(StatusCode::FORBIDDEN, "Client not found"))?;
        if vendor.client_secret != secret {
            return Err(refused(StatusCode::FORBIDDEN, "Invalid client credentials"));
        }
        vendor.grants.push(TokenGrant {
            at: call.now,
            audience: request.get("audience").map(Into::into),
            scope: request.get("scope").map(Into::into),
        });
        self.tokens_made += 1;
        // Opaque on purpose: a client has no business reading it.
        let token = format!(
            "stand-in-token-{}-{:016x}",
            self.tokens_made,
            fastrand::u64(..)
        );
        let seconds = vendor.settings.token_seconds;
        self.tokens.insert(
            token.clone(),
            Token {
                vendor: vendor_id.clone(),
                expires_at: clock::after(call.now, seconds),
            },
        );
        let mut body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": seconds,
        });
        if let (Some(scope), Some(body)) = (request.get("scope"), body.as_object_mut()) {
            body.insert("scope".into(), scope.into());
        }
        Ok(Answer::ok(body))
    }
}
