//! The parts of a request that the webhook uses.

use lambda_http::http::Method;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::{Request, RequestExt as _};

use crate::authentication::PresentedToken;
use crate::queues::TraceHeader;

/// Source: the contract. A custom domain's base path may precede it.
const PATH: &str = "/webhooks/sesamy";

pub struct WebhookRequest<'a> {
    pub route: Route,
    pub token: Option<PresentedToken>,
    pub body: &'a [u8],
    pub trace: Option<TraceHeader>,
    pub request_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Webhook,
    /// The webhook's path, but not `POST`.
    OtherMethod,
    OtherPath,
}

impl Route {
    fn of(method: &Method, path: &str) -> Self {
        if !path.trim_end_matches('/').ends_with(PATH) {
            Self::OtherPath
        } else if method == Method::POST {
            Self::Webhook
        } else {
            Self::OtherMethod
        }
    }
}

impl<'a> WebhookRequest<'a> {
    pub fn read(request: &'a Request) -> Self {
        let context = request.lambda_context_ref();
        Self {
            route: Route::of(request.method(), request.raw_http_path()),
            token: request
                .headers()
                .get(AUTHORIZATION)
                .and_then(|header| PresentedToken::from_header(header.as_bytes())),
            body: request.body().as_ref(),
            // From Lambda's context, because anyone can send the header.
            trace: context
                .and_then(|context| context.xray_trace_id.as_deref())
                .and_then(TraceHeader::parse),
            request_id: context.map_or("", |context| context.request_id.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Context;
    use serde_json::{Value, json};

    use super::*;

    fn request(event: &Value) -> Request {
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    fn event(more: Value) -> Value {
        let mut event = json!({
            "path": "/webhooks/sesamy",
            "httpMethod": "POST",
            "headers": { "Authorization": "Bearer token" },
            "multiValueHeaders": { "Authorization": ["Bearer token"] },
            "requestContext": { "stage": "live", "httpMethod": "POST" },
            "body": "{}",
            "isBase64Encoded": false,
        });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    }

    #[test]
    fn body_is_read_as_text_or_decoded_from_base64() {
        let cases = [
            (json!({ "body": "{\"å\":1}" }), "{\"å\":1}"),
            (
                json!({ "body": "eyLDpSI6MX0=", "isBase64Encoded": true }),
                "{\"å\":1}",
            ),
            (json!({ "body": null }), ""),
            (json!({ "body": "" }), ""),
        ];
        for (more, body) in cases {
            let request = request(&event(more));
            assert_eq!(WebhookRequest::read(&request).body, body.as_bytes());
        }
    }

    #[test]
    fn token_comes_from_the_authorization_header() {
        let cases = [
            (json!({ "Authorization": "Bearer token" }), true),
            (json!({ "authorization": "token" }), true),
            (json!({ "AUTHORIZATION": "Bearer t\u{f6}ken" }), true),
            (json!({ "Authorization": "" }), false),
            (json!({ "Proxy-Authorization": "Bearer token" }), false),
            (json!({ "X-Name": "Bj\u{f6}rn" }), false),
            (json!(null), false),
        ];
        for (headers, is_presented) in cases {
            let more = json!({ "headers": headers, "multiValueHeaders": null });
            let request = request(&event(more));
            let token = WebhookRequest::read(&request).token;
            assert_eq!(token.is_some(), is_presented, "{headers}");
        }
    }

    #[test]
    fn trace_comes_from_lambda_and_not_from_the_sender() {
        let headers = json!({ "X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000000" });
        let mut request = request(&event(json!({ "headers": headers })));
        assert_eq!(WebhookRequest::read(&request).trace, None);
        let mut context = Context::default();
        let trace_id = "Root=1-5759e988-bd862e3fe1be46a994272793";
        context.xray_trace_id = Some(trace_id.to_owned());
        context.request_id = "request".to_owned();
        request = request.with_lambda_context(context);
        let read = WebhookRequest::read(&request);
        assert_eq!(
            read.trace.map(|trace| trace.to_string()).as_deref(),
            Some(trace_id)
        );
        assert_eq!(read.request_id, "request");
    }
}
