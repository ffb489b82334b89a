//! The table of what is remembered: texts by key.

use std::pin::Pin;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::aws::reason;

/// `Err` says why, without any content.
pub type TableResult<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Reads see every earlier write.
pub trait UserTable: Send + Sync + 'static {
    fn get<'a>(&'a self, key: &'a str) -> TableResult<'a, Option<String>>;

    fn put<'a>(&'a self, key: &'a str, text: String) -> TableResult<'a, ()>;

    /// Puts an item if the present one is still `old`. False if it is not.
    fn replace<'a>(
        &'a self,
        key: &'a str,
        old: Option<String>,
        new: String,
    ) -> TableResult<'a, bool>;

    /// Deletes an item if it is still `old`.
    fn delete<'a>(&'a self, key: &'a str, old: String) -> TableResult<'a, ()>;
}

const KEY: &str = "key";
const TEXT: &str = "text";

/// The stack's `UserTable`.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    client: Client,
    table: String,
}

impl DynamoDb {
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            table: table.into(),
        }
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A failed condition may be the echo of our own write, whose first answer was
/// lost.
fn holds(error: &PutItemError, new: &str) -> Option<bool> {
    let PutItemError::ConditionalCheckFailedException(failed) = error else {
        return None;
    };
    let present = failed.item().and_then(|item| item.get(TEXT));
    Some(present.is_some_and(|present| *present == text(new)))
}

impl UserTable for DynamoDb {
    fn get<'a>(&'a self, key: &'a str) -> TableResult<'a, Option<String>> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.key(KEY, text(key)).consistent_read(true);
        Box::pin(async move {
            let found = get.send().await.map_err(|error| reason(&error))?;
            let mut item = found.item.unwrap_or_default();
            Ok(match item.remove(TEXT) {
                Some(AttributeValue::S(text)) => Some(text),
                _ => None,
            })
        })
    }

    fn put<'a>(&'a self, key: &'a str, new: String) -> TableResult<'a, ()> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put.item(KEY, text(key)).item(TEXT, text(new));
        Box::pin(async move { put.send().await.map(drop).map_err(|error| reason(&error)) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        old: Option<String>,
        new: String,
    ) -> TableResult<'a, bool> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .item(KEY, text(key))
            .item(TEXT, text(&new))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match old {
            None => put
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", KEY),
            Some(old) => put
                .condition_expression("#text = :old")
                .expression_attribute_names("#text", TEXT)
                .expression_attribute_values(":old", text(old)),
        };
        Box::pin(async move {
            match put.send().await {
                Ok(_) => Ok(true),
                Err(error) => {
                    let holds = error.as_service_error().and_then(|e| holds(e, &new));
                    holds.ok_or_else(|| reason(&error))
                }
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a str, old: String) -> TableResult<'a, ()> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key(KEY, text(key))
            .condition_expression("#text = :old")
            .expression_attribute_names("#text", TEXT)
            .expression_attribute_values(":old", text(old));
        Box::pin(async move {
            match delete.send().await {
                Err(error)
                    if !error
                        .as_service_error()
                        .is_some_and(|e| e.is_conditional_check_failed_exception()) =>
                {
                    Err(reason(&error))
                }
                _ => Ok(()),
            }
        })
    }
}
