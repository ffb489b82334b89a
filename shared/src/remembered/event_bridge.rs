//! Wake-ups as one-time schedules of EventBridge Scheduler, which send a message to
//! the connector's queue and then delete themselves.

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
use crate::message::UserKey;

/// The name of a schedule that never fires.
const CHECK: &str = "check";

/// Where schedules are kept and what they may do.
#[derive(Debug, Clone)]
pub struct EventBridge {
    pub client: Client,
    /// The connector's own schedule group.
    pub group: String,
    /// Scheduler sends with this role.
    pub role_arn: String,
    /// The queue deduplicates by content: Scheduler sends no deduplication id.
    pub queue_arn: String,
}

impl EventBridge {
    pub fn new(config: &SdkConfig, group: String, role_arn: String, queue_arn: String) -> Self {
        Self {
            client: Client::new(config),
            group,
            role_arn,
            queue_arn,
        }
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

    /// Creates a schedule, or replaces the one of this name.
    async fn put(
        &self,
        name: &str,
        at: Timestamp,
        target: Target,
        state: ScheduleState,
    ) -> Result<(), ScheduleError> {
        let expression = expression(at);
        let exact = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off);
        let exact = exact.build().map_err(incomplete)?;
        let create = self
            .client
            .create_schedule()
            .name(name)
            .group_name(&self.group)
            .schedule_expression(&expression)
            .flexible_time_window(exact.clone())
            .action_after_completion(ActionAfterCompletion::Delete)
            .state(state.clone())
            .target(target.clone())
            .send();
        match create.await {
            Ok(_) => return Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_conflict_exception()) => {}
            Err(error) => return Err(schedule_error(&error)),
        }
        let update = self
            .client
            .update_schedule()
            .name(name)
            .group_name(&self.group)
            .schedule_expression(&expression)
            .flexible_time_window(exact)
            .action_after_completion(ActionAfterCompletion::Delete)
            .state(state)
            .target(target)
            .send();
        // If the old schedule fired in between, this fails; the retry creates it.
        update.await.map(drop).map_err(|error| ScheduleError {
            is_transient: true,
            ..schedule_error(&error)
        })
    }

    async fn delete(&self, name: &str) -> Result<(), ScheduleError> {
        let delete = self.client.delete_schedule().name(name);
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
        let target = self.target(wake_up.message().to_json(), group.clone());
        Box::pin(async move {
            self.put(&group, wake_up.at, target?, ScheduleState::Enabled)
                .await
        })
    }

    fn cancel<'a>(&'a self, user: &'a UserKey) -> ScheduleResult<'a> {
        Box::pin(async move { self.delete(&user.message_group()).await })
    }

    /// Creates a schedule that is switched off, and deletes it: only that shows
    /// whether the function may pass the role.
    fn check(&self) -> ScheduleResult<'_> {
        let at = Timestamp::now() + SignedDuration::from_hours(24);
        let target = self.target("{}".to_owned(), CHECK.to_owned());
        Box::pin(async move {
            self.put(CHECK, at, target?, ScheduleState::Disabled)
                .await?;
            self.delete(CHECK).await
        })
    }
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
    const PASSING: [&str; 2] = ["ThrottlingException", "InternalServerException"];
    let is_transient = match error {
        SdkError::ServiceError(_) => error.code().is_none_or(|code| PASSING.contains(&code)),
        _ => true,
    };
    ScheduleError {
        reason: reason(error),
        is_transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_written_in_utc_without_a_zone() {
        let at: Timestamp = "2026-12-01T13:05:09+01:00".parse().unwrap();
        assert_eq!(expression(at), "at(2026-12-01T12:05:09)");
    }
}
