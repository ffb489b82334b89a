//! Operators' requests to a connector's function.

use std::time::Duration;

use serde_json::{Value, json};
use shared::actions::{Answer, Check, Forgotten, Preview, Scope};
use shared::check::{CheckCode, CheckStatus};
use shared::connector::Connector;

use crate::{Bench, VENDOR};

impl<C: Connector> Bench<C> {
    pub async fn ask(&self, request: Value) -> Answer {
        self.ask_within(request, Duration::from_secs(60)).await
    }

    pub async fn ask_within(&self, request: Value, time_left: Duration) -> Answer {
        self.ask_through(Scope::Everything, request, time_left)
            .await
    }

    /// Asks through the alias of this scope.
    pub async fn ask_through(&self, scope: Scope, request: Value, time_left: Duration) -> Answer {
        let consumer = self.consumer.clone();
        consumer.answer(request, scope, time_left).await
    }

    pub async fn preview(&self, user: &str) -> Preview {
        let request = json!({ "action": "preview", "vendorId": VENDOR, "userId": user });
        match self.ask(request).await {
            Answer::Preview(preview) => preview,
            other => panic!("no preview: {other:?}"),
        }
    }

    pub async fn check(&self) -> Check {
        let request = json!({ "action": "check", "vendorId": VENDOR });
        match self.ask(request).await {
            Answer::Check(check) => check,
            other => panic!("no check: {other:?}"),
        }
    }

    /// Asserts that a check finds exactly these problems: what is checked, and the
    /// code. Assumptions that the account does not show are left out.
    pub async fn assert_problems(&self, case: &str, expected: &[(&str, CheckCode)]) {
        let findings = self.check().await.findings;
        let problems = findings.iter().filter(|finding| {
            finding.result != CheckStatus::Ok && finding.code != CheckCode::CannotBeTold
        });
        let problems: Vec<_> = problems
            .map(|finding| (finding.what.as_str(), finding.code))
            .collect();
        assert_eq!(problems, expected, "{case}");
    }

    pub async fn check_code(&self, what: &str) -> Option<CheckCode> {
        let findings = self.check().await.findings;
        let finding = findings.iter().find(|finding| finding.what == what);
        finding.map(|finding| finding.code)
    }

    /// Forgets a user by this address, or else by Sesamy's.
    pub async fn forget(&self, user: &str, email: Option<&str>) -> Forgotten {
        let mut request = json!({ "action": "forget", "vendorId": VENDOR, "userId": user });
        if let (Some(email), Value::Object(request)) = (email, &mut request) {
            request.insert("email".to_owned(), email.into());
        }
        match self.ask(request).await {
            Answer::Forgotten(forgotten) => forgotten,
            other => panic!("not forgotten: {other:?}"),
        }
    }
}
