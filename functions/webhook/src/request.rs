//! A request to the webhook, freed of how API Gateway hands it over.

use lambda_http::http::Method;
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::{Request, RequestExt as _};

use crate::authentication::Presented;
use crate::queues::TraceHeader;

/// The path of the webhook, where the method is [`Method::POST`]. Source: the contract.
///
/// Something may precede it: a custom domain's base path does.
const PATH: &str = "/webhooks/sesamy";

/// A request, as far as the webhook looks at it.
pub struct Incoming<'a> {
    /// Where it is to go.
    pub route: Route,
    /// The token it presents.
    pub presented: Option<Presented>,
    /// Its body, decoded.
    pub body: &'a [u8],
    /// The trace it belongs to.
    pub trace: Option<TraceHeader>,
    /// Lambda's name for this invocation.
    pub request_id: &'a str,
}

/// Where a request is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the webhook.
    Webhook,
    /// To the webhook's path, by a method it does not have.
    OtherMethod,
    /// To a path that does not exist.
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

impl<'a> Incoming<'a> {
    /// Reads the request that `lambda_http` made of API Gateway's event.
    pub fn read(request: &'a Request) -> Self {
        let context = request.lambda_context_ref();
        Self {
            route: Route::of(request.method(), request.raw_http_path()),
            presented: request
                .headers()
                .get(AUTHORIZATION)
                .and_then(|header| Presented::read(header.as_bytes())),
            body: request.body().as_ref(),
            // From Lambda, not from a header: anybody can send one.
            trace: context
                .and_then(|context| context.xray_trace_id.as_deref())
                .and_then(TraceHeader::read),
            request_id: context.map_or("", |context| context.request_id.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Context;
    use serde_json::{Value, json};

    use super::*;

    /// The request that `lambda_http` makes of an event.
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
    fn a_body_is_read_as_text_or_decoded_from_base64() {
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
            assert_eq!(Incoming::read(&request).body, body.as_bytes());
        }
    }

    #[test]
    fn the_token_is_in_the_header_authorization() {
        let cases = [
            (json!({ "Authorization": "Bearer token" }), true),
            (json!({ "authorization": "token" }), true),
            (json!({ "AUTHORIZATION": "Bearer t\u{f6}ken" }), true),
            (json!({ "Authorization": "" }), false),
            (json!({ "Proxy-Authorization": "Bearer token" }), false),
            (json!({ "X-Name": "Bj\u{f6}rn" }), false),
            (json!(null), false),
        ];
        for (headers, presented) in cases {
            let request = request(&event(
                json!({ "headers": headers, "multiValueHeaders": null }),
            ));
            let incoming = Incoming::read(&request);
            assert_eq!(incoming.presented.is_some(), presented, "{headers}");
        }
    }

    #[test]
    fn the_trace_is_lambdas_and_not_the_senders() {
        let senders = json!({ "X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000000" });
        let mut request = request(&event(json!({ "headers": senders })));
        assert_eq!(Incoming::read(&request).trace, None);
        let mut context = Context::default();
        let lambdas = "Root=1-5759e988-bd862e3fe1be46a994272793";
        context.xray_trace_id = Some(lambdas.to_owned());
        context.request_id = "request".to_owned();
        request = request.with_lambda_context(context);
        let incoming = Incoming::read(&request);
        assert_eq!(
            incoming.trace.map(|trace| trace.to_string()).as_deref(),
            Some(lambdas)
        );
        assert_eq!(incoming.request_id, "request");
    }
}
