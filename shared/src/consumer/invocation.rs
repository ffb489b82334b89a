//! What a connector's function is invoked with: a batch of its queue, or a
//! person's request.

use std::fmt;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::actions::Answer;

/// The key that tells a batch from a request.
const RECORDS: &str = "Records";

/// An invocation's event.
#[derive(Debug)]
pub(super) enum Invocation {
    /// What SQS sends.
    Batch(SqsEvent),
    /// Anything else.
    Request(Value),
}

/// An invocation's answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Reply {
    /// To SQS.
    Batch(SqsBatchResponse),
    /// To a person.
    Answer(Box<Answer>),
}

/// Reads the records straight into place: batches are what counts, and need no
/// detour by a JSON value.
impl<'de> Deserialize<'de> for Invocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Event;

        impl<'de> Visitor<'de> for Event {
            type Value = Invocation;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a batch of SQS or a request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Invocation, A::Error> {
                let mut records: Option<Vec<SqsMessage>> = None;
                let mut request = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key == RECORDS {
                        records = Some(map.next_value()?);
                    } else {
                        request.insert(key, map.next_value()?);
                    }
                }
                Ok(
                    records.map_or(Invocation::Request(request.into()), |records| {
                        let mut event = SqsEvent::default();
                        event.records = records;
                        Invocation::Batch(event)
                    }),
                )
            }

            // What is no object is no request either, and is told so.

            fn visit_unit<E>(self) -> Result<Invocation, E> {
                Ok(Invocation::Request(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Invocation, E> {
                Ok(Invocation::Request(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Invocation, E> {
                Ok(Invocation::Request(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Invocation, E> {
                Ok(Invocation::Request(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Invocation, E> {
                Ok(Invocation::Request(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Invocation, E> {
                Ok(Invocation::Request(value.into()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Invocation, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Invocation::Request(Value::Array(list)))
            }
        }

        deserializer.deserialize_any(Event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_records_is_a_batch_and_anything_else_a_request() {
        let batch = json!({ "Records": [{ "messageId": "1", "body": "b" }], "more": 1 });
        let read = serde_json::from_value(batch).unwrap();
        assert!(matches!(read, Invocation::Batch(event) if event.records.len() == 1));
        for request in [
            json!({ "action": "preview", "vendorId": "v" }),
            json!({ "records": [] }),
            json!({}),
            json!([1, {}]),
            json!("preview"),
            json!(1),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(null),
        ] {
            let read = serde_json::from_value(request.clone()).unwrap();
            assert!(
                matches!(&read, Invocation::Request(value) if *value == request),
                "{request}: {read:?}"
            );
        }
    }
}
