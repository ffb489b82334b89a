//! The token endpoint: OAuth 2.0 client credentials, form-encoded.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::state::{SesamyState, Token, TokenGrant};
use crate::{
    clock,
    request::{self, ApiRequest},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

const KNOWN: [&str; 5] = [
    "grant_type",
    "client_id",
    "client_secret",
    "audience",
    "scope",
];

/// The body that the token endpoint sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    json!({"message": status.canonical_reason().unwrap_or("Error")})
}

fn rejected(status: StatusCode, message: &str) -> ApiResponse {
    ApiResponse::json(status, json!({"message": message}))
}

fn client_not_found() -> ApiResponse {
    rejected(StatusCode::FORBIDDEN, "Client not found")
}

fn oauth_error(code: &str, description: &str) -> ApiResponse {
    let body = json!({"error": code, "error_description": description});
    ApiResponse::json(StatusCode::BAD_REQUEST, body)
}

/// The form of a token request. Its credentials may come from HTTP Basic instead.
struct TokenRequest {
    pairs: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl TokenRequest {
    fn parse(request: &ApiRequest<'_>) -> Option<Self> {
        if request.media_type() != "application/x-www-form-urlencoded" {
            return None;
        }
        Some(Self {
            pairs: request::form(request.body)?,
            basic: request.basic(),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    fn client_id(&self) -> Option<&str> {
        let basic = self.basic.as_ref().map(|(id, _)| id.as_str());
        self.get("client_id").or(basic)
    }

    fn client_secret(&self) -> Option<&str> {
        let basic = self.basic.as_ref().map(|(_, secret)| secret.as_str());
        self.get("client_secret").or(basic)
    }
}

impl SesamyState {
    /// The vendor that a token request names.
    pub fn client(&self, request: &ApiRequest<'_>) -> Option<String> {
        let token_request = TokenRequest::parse(request)?;
        let client_id = token_request.client_id()?;
        let mut vendors = self.vendors.iter();
        let (id, _) = vendors.find(|(_, vendor)| vendor.client_id == client_id)?;
        Some(id.clone())
    }

    pub fn token(&mut self, request: &ApiRequest<'_>, reporter: &mut Reporter<'_>) -> ApiResponse {
        self.grant(request, reporter)
            .unwrap_or_else(|rejected| rejected)
    }

    fn grant(
        &mut self,
        request: &ApiRequest<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, ApiResponse> {
        if request.path != "/oauth/token" || request.method != Method::POST {
            return Err(rejected(StatusCode::NOT_FOUND, "Not Found"));
        }
        if !request.query.is_empty() {
            let message = "the token request carries a query";
            reporter.report(ViolationKind::SecretExposed, message);
        }
        // Sesamy's own plugin documents this misleading message for a JSON body and for a
        // `tenant-id` header.
        if request.headers.contains_key("tenant-id") {
            return Err(client_not_found());
        }
        let form = TokenRequest::parse(request).ok_or_else(client_not_found)?;
        let unknown = |(name, _): &(String, String)| !KNOWN.contains(&name.as_str());
        if form.pairs.iter().any(unknown) {
            // The message leaves out the name: a body in a wrong format is one long name.
            let message = "unknown form field";
            reporter.report(ViolationKind::UnknownParameter, message);
        }
        match form.get("grant_type") {
            Some("client_credentials") => {}
            Some(_) => return Err(oauth_error("unsupported_grant_type", "unknown grant_type")),
            None => return Err(oauth_error("invalid_request", "grant_type is required")),
        }
        let client_id = form
            .client_id()
            .ok_or_else(|| oauth_error("invalid_request", "client_id is required"))?;
        let secret = form
            .client_secret()
            .ok_or_else(|| rejected(StatusCode::UNAUTHORIZED, "client_secret is required"))?;
        let (vendor_id, vendor) = self
            .vendors
            .iter_mut()
            .find(|(_, vendor)| vendor.client_id == client_id)
            .ok_or_else(client_not_found)?;
        if vendor.client_secret != secret {
            return Err(rejected(
                StatusCode::FORBIDDEN,
                "Invalid client credentials",
            ));
        }
        vendor.grants.push(TokenGrant {
            at: request.now,
            audience: form.get("audience").map(Into::into),
            scope: form.get("scope").map(Into::into),
        });
        self.tokens_granted += 1;
        let token = format!(
            "fake-token-{}-{:016x}",
            self.tokens_granted,
            fastrand::u64(..)
        );
        let seconds = vendor.settings.token_seconds;
        self.tokens.insert(
            token.clone(),
            Token {
                vendor: vendor_id.clone(),
                expires_at: clock::after(request.now, seconds),
            },
        );
        let mut body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": seconds,
        });
        if let (Some(scope), Some(body)) = (form.get("scope"), body.as_object_mut()) {
            body.insert("scope".into(), scope.into());
        }
        Ok(ApiResponse::ok(body))
    }
}
