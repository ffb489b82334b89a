//! What a resync needs from outside.

use std::sync::Arc;

use jiff::Timestamp;
use shared::http::Http;
use shared::secrets::Secrets;
use shared::sesamy::Sesamy;

use super::executions::Executions;
use super::users::Users;
use super::vendors::Vendors;

pub trait Platform: Executions + Users + Vendors {
    fn now(&self) -> Timestamp;

    fn new_id(&self) -> String;
}

/// Step Functions, Secrets Manager and Sesamy.
pub struct AwsPlatform {
    pub states: aws_sdk_sfn::Client,
    pub state_machine_arn: String,
    pub names: aws_sdk_secretsmanager::Client,
    pub secrets: Secrets,
    /// Counts the calls to Sesamy.
    pub http: Arc<Http>,
    pub sesamy: Sesamy,
}

impl Platform for AwsPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn new_id(&self) -> String {
        format!("{:032x}", fastrand::u128(..))
    }
}
