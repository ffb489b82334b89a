//! Strict parsing of requests.

use axum::http::{HeaderMap, Method, StatusCode, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::rejection::Rejection;

pub(crate) struct ApiRequest<'a> {
    pub method: &'a Method,
    /// Raw path after the base path of the API.
    pub path: &'a str,
    /// Raw query, without the question mark.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub now: Timestamp,
    /// The full URL of the API's base path, for links in responses.
    pub base: &'a str,
}

impl ApiRequest<'_> {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn authorization(&self, scheme: &str) -> Option<&str> {
        let (given, rest) = self.header(header::AUTHORIZATION)?.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then_some(rest.trim())
    }

    pub fn bearer(&self) -> Option<&str> {
        self.authorization("Bearer")
            .filter(|token| !token.is_empty())
    }

    /// User and password of HTTP Basic authentication.
    pub fn basic(&self) -> Option<(String, String)> {
        let bytes = BASE64_STANDARD.decode(self.authorization("Basic")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// In lower case, without parameters.
    pub fn media_type(&self) -> String {
        self.header(header::CONTENT_TYPE)
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }

    pub fn json(&self) -> Result<Value, Rejection> {
        if self.media_type() != "application/json" {
            return Err(Rejection::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        serde_json::from_slice(self.body)
            .map_err(|error| Rejection::bad_request(format!("body is not JSON: {error}")))
    }

    pub fn object(&self, otherwise: Rejection) -> Result<Map<String, Value>, Rejection> {
        match self.json()? {
            Value::Object(body) => Ok(body),
            _ => Err(otherwise),
        }
    }

    /// The decoded path segments. After a trailing slash, the last one is empty.
    pub fn segments(&self) -> Result<Vec<String>, String> {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        path.split('/').map(decode_segment).collect()
    }

    pub fn query(&self) -> Result<Query, String> {
        Query::parse(self.query)
    }
}

/// Rejects characters that a careful client percent-encodes. `@`, `+` and `:` are legal in
/// a path, but each real API reads at least one of them differently, so a client that does
/// not encode them works only by luck.
fn decode_segment(raw: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    decode(raw, plain)
}

fn decode(raw: &str, plain: impl Fn(u8) -> bool) -> Result<String, String> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = |digit: Option<u8>| digit.is_some_and(|d| d.is_ascii_hexdigit());
            if !(hex(bytes.next()) && hex(bytes.next())) {
                return Err(format!("broken percent-encoding in \"{raw}\""));
            }
        } else if !plain(byte) {
            let shown = char::from(byte);
            return Err(format!("\"{shown}\" must be percent-encoded in \"{raw}\""));
        }
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| format!("\"{raw}\" is not UTF-8 once decoded"))
}

#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Accepts raw brackets, because one API is documented with them, and otherwise only
    /// the characters that RFC 3986 allows.
    fn parse(raw: &str) -> Result<Self, String> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;:@/?[]".contains(&byte);
        let part = |text: &str| decode(text, plain).map(|_| decode_form(text));
        let pairs = raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((part(name)?, part(value)?))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { pairs })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn unknown(&self, known: &[&str]) -> Vec<&str> {
        self.pairs
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| !known.contains(key))
            .collect()
    }

    pub fn number(&self, name: &str) -> Result<Option<usize>, String> {
        self.get(name)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| format!("{name} must be a whole number"))
            })
            .transpose()
    }
}

/// Form decoding, where `+` is a space.
fn decode_form(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

pub(crate) fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok()?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(name), decode_form(value))
    });
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_must_be_percent_encoded() {
        for (raw, decoded) in [
            ("a%40b.se", Some("a@b.se")),
            ("a%2Bx%40b.se", Some("a+x@b.se")),
            ("email%7C84cc", Some("email|84cc")),
            ("sesamy_active-1~", Some("sesamy_active-1~")),
            ("a@b.se", None),
            ("a+x%40b.se", None),
            ("email|84cc", None),
            ("a%4", None),
            ("a%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_segment(raw).ok().as_deref(), decoded, "{raw}");
        }
    }

    #[test]
    fn queries_keep_order_and_decode() {
        let query = Query::parse("a=1&b%5B%5D=2&b[]=3&c=x+y%2Bz").unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.all("b[]").collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(query.get("c"), Some("x y+z"));
        assert_eq!(query.unknown(&["a", "c"]), ["b[]", "b[]"]);
        assert!(Query::parse("userId=email|1").is_err());
    }
}
