//! A request to the webhook, freed of how API Gateway hands it over.

use lambda_http::http::header::AUTHORIZATION;
use lambda_http::http::{HeaderName, HeaderValue, Method};
use lambda_http::lambda_runtime::LambdaInvocation;
use lambda_http::{Request, RequestExt as _};
use serde_json::Value;

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

/// Takes out of API Gateway's event the headers that `lambda_http` cannot read,
/// such as one with a letter outside ASCII. It would refuse the whole event,
/// and a stranger's odd header is no reason for a server error.
pub fn without_unreadable_headers(mut invocation: LambdaInvocation) -> LambdaInvocation {
    let Ok(mut event) = serde_json::from_slice::<Value>(&invocation.body) else {
        return invocation;
    };
    let mut all_readable = true;
    for headers in ["headers", "multiValueHeaders"] {
        if let Some(headers) = event.get_mut(headers).and_then(Value::as_object_mut) {
            headers.retain(|name, value| {
                let readable =
                    HeaderName::from_bytes(name.as_bytes()).is_ok() && is_readable(value);
                all_readable &= readable;
                readable
            });
        }
    }
    if !all_readable && let Ok(event) = serde_json::to_vec(&event) {
        invocation.body = event.into();
    }
    invocation
}

fn is_readable(value: &Value) -> bool {
    match value {
        Value::String(text) => HeaderValue::from_str(text).is_ok(),
        Value::Array(texts) => texts.iter().all(is_readable),
        _ => false,
    }
}
