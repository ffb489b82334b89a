//! Pages and selected fields of answers.

use serde_json::{Map, Value};

use super::invalid;
use crate::{rejection::Rejection, request::Query, response::ApiResponse};

const DEFAULT_COUNT: usize = 10;
const MAX_COUNT: usize = 1_000;

pub(crate) struct Page {
    count: usize,
    offset: usize,
    /// Dotted names of what the answer shows; empty for all.
    fields: Vec<String>,
    hidden: Vec<String>,
}

impl Page {
    pub fn read(query: &Query) -> Result<Self, Rejection> {
        let number = |name| query.number(name).map_err(invalid);
        let count = number("count")?.unwrap_or(DEFAULT_COUNT);
        if count > MAX_COUNT {
            return Err(invalid("count must be at most 1000"));
        }
        let names = |name| -> Vec<String> {
            let names = query.get(name).unwrap_or_default().split(',');
            let names = names.filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        Ok(Self {
            count,
            offset: number("offset")?.unwrap_or(0),
            fields: names("fields"),
            hidden: names("exclude_fields"),
        })
    }

    pub fn of(&self, all: &[Value]) -> Vec<Value> {
        let page = all.iter().skip(self.offset).take(self.count);
        page.cloned().collect()
    }

    pub fn answer(&self, body: Value) -> ApiResponse {
        fn names(names: &[String]) -> Vec<&str> {
            names.iter().map(String::as_str).collect()
        }
        let mut body = body;
        if !self.fields.is_empty() {
            body = shown(&body, &names(&self.fields));
        }
        if !self.hidden.is_empty() {
            body = without(body, &names(&self.hidden));
        }
        ApiResponse::ok(body)
    }
}

/// The rest of each path below a key. Empty where a path ends at the key.
fn below<'a>(paths: &[&'a str], key: &str) -> Vec<&'a str> {
    let rest = |path: &&'a str| match path.split_once('.') {
        Some((head, rest)) => (head == key).then_some(rest),
        None => (*path == key).then_some(""),
    };
    paths.iter().filter_map(rest).collect()
}

fn shown(value: &Value, paths: &[&str]) -> Value {
    match value {
        Value::Object(object) => {
            let mut kept = Map::new();
            for (key, value) in object {
                let below = below(paths, key);
                if below.contains(&"") {
                    kept.insert(key.clone(), value.clone());
                } else if !below.is_empty() {
                    kept.insert(key.clone(), shown(value, &below));
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().map(|item| shown(item, paths)).collect(),
        other => other.clone(),
    }
}

fn without(value: Value, paths: &[&str]) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(key, value)| {
                let below = below(paths, &key);
                (!below.contains(&"")).then(|| (key, without(value, &below)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| without(item, paths)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_show_the_selected_fields() {
        let body = json!({"id": 1, "tags": [{"id": 2, "name": "vip"}], "total": 1});
        assert_eq!(
            shown(&body, &["id", "tags.name", "unknown"]),
            json!({"id": 1, "tags": [{"name": "vip"}]})
        );
        assert_eq!(
            without(body, &["tags.id", "total"]),
            json!({"id": 1, "tags": [{"name": "vip"}]})
        );
    }
}
