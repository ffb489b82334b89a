//! Wake-ups as one-time schedules of EventBridge Scheduler, which send a message to
//! the connector's queue and then delete themselves.

use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, ScheduleState,
    SqsParameters, Target,
};
use jiff::{SignedDuration, Timestamp};

use super::wake_ups::{ScheduleError, ScheduleResult, WakeUp, WakeUps};
use crate::aws::reason;

/// Where schedules are kept and what they may do.
#[derive(Debug, Clone)]
pub struct EventBridge {
    config: SdkConfig,
    /// Made when the first wake-up needs it: most starts need none.
    client: OnceLock<Client>,
    /// The connector's own schedule group.
    group: String,
    /// Scheduler sends with this role.
    role_arn: String,
    /// The queue deduplicates by content: Scheduler sends no deduplication id.
    queue_arn: String,
}

impl EventBridge {
    pub fn new(config: &SdkConfig, group: String, role_arn: String, queue_arn: String) -> Self {
        Self {
            config: config.clone(),
            client: OnceLock::new(),
            group,
            role_arn,
            queue_arn,
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.config))
    }

    fn target(&self, message: String, message_group: String) -> Result<Target, ScheduleError> {
        let parameters = SqsParameters::builder().message_group_id(message_group);
        let target = Target::builder()
            .arn(&self.queue_arn)
            .role_arn(&self.role_arn)
            .input(message)
            .sqs_parameters(parameters.build());
        target.build().map_err(incomplete)
    }

    /// Does nothing if there is a schedule of this name.
    async fn create(
        &self,
        name: &str,
        at: Timestamp,
        target: Target,
        state: ScheduleState,
    ) -> Result<(), ScheduleError> {
        let exact = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off);
        let create = self
            .client()
            .create_schedule()
            .name(name)
            .group_name(&self.group)
            .schedule_expression(expression(at))
            .flexible_time_window(exact.build().map_err(incomplete)?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .state(state)
            .target(target)
            .send();
        match create.await {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(|e| e.is_conflict_exception()) =>
            {
                Err(schedule_error(&error))
            }
            _ => Ok(()),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), ScheduleError> {
        let delete = self.client().delete_schedule().name(name);
        match delete.group_name(&self.group).send().await {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(|e| e.is_resource_not_found_exception()) =>
            {
                Err(schedule_error(&error))
            }
            _ => Ok(()),
        }
    }
}

impl WakeUps for EventBridge {
    fn set<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        let group = wake_up.user.message_group();
        let target = self.target(wake_up.message().to_json(), group);
        Box::pin(async move {
            let state = ScheduleState::Enabled;
            self.create(&name(wake_up), wake_up.at, target?, state)
                .await
        })
    }

    fn cancel<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        Box::pin(async move { self.delete(&name(wake_up)).await })
    }

    /// Creates a schedule that is switched off, and deletes it: only that shows
    /// whether the function may pass the role.
    fn check(&self) -> ScheduleResult<'_> {
        let at = Timestamp::now() + SignedDuration::from_hours(24);
        let name = format!("check-{:016x}", fastrand::u64(..));
        let target = self.target("{}".to_owned(), name.clone());
        Box::pin(async move {
            let state = ScheduleState::Disabled;
            self.create(&name, at, target?, state).await?;
            self.delete(&name).await
        })
    }
}

/// One schedule per user and moment: a schedule that has just fired may still be
/// there, and a change of it would be lost when AWS deletes it.
fn name(wake_up: &WakeUp) -> String {
    /// AWS allows 64 characters.
    const USER_DIGITS: usize = 48;
    let mut name = wake_up.user.message_group();
    name.truncate(USER_DIGITS);
    format!("{name}-{}", wake_up.at.as_second())
}

/// A part that AWS requires is missing.
fn incomplete(error: BuildError) -> ScheduleError {
    ScheduleError {
        reason: error.to_string(),
        is_transient: false,
    }
}

/// In UTC, without fraction and zone.
fn expression(at: Timestamp) -> String {
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn schedule_error<E>(error: &SdkError<E>) -> ScheduleError
where
    SdkError<E>: std::error::Error + ProvideErrorMetadata,
{
    // A refusal lasts: access denied, an invalid request, a full quota.
    let is_transient = match error.raw_response().map(|response| response.status()) {
        Some(status) => status.is_server_error() || status.as_u16() == 429,
        None => true,
    } || error.code() == Some("ThrottlingException");
    ScheduleError {
        reason: reason(error),
        is_transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{UserId, VendorId};
    use crate::message::UserKey;

    #[test]
    fn schedule_of_each_user_and_moment_has_a_name_that_aws_accepts() {
        let user = |id: &str| UserKey {
            vendor_id: VendorId::try_from("vendor").unwrap(),
            user_id: UserId::try_from(id).unwrap(),
        };
        let wake_up = |id, at: i64| WakeUp {
            user: user(id),
            at: Timestamp::from_second(at).unwrap(),
        };
        let far = name(&wake_up("a", 253_402_000_000));
        assert!(far.len() <= 64, "{far}");
        assert_ne!(name(&wake_up("a", 1)), name(&wake_up("a", 2)));
        assert_ne!(name(&wake_up("a", 1)), name(&wake_up("b", 1)));
    }

    #[test]
    fn schedule_is_written_in_utc_without_a_zone() {
        let at: Timestamp = "2026-12-01T13:05:09+01:00".parse().unwrap();
        assert_eq!(expression(at), "at(2026-12-01T12:05:09)");
    }
}
