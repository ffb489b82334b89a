//! What a connector's function answers to a person.

use serde_json::{Value, json};
use shared::check::{Code, Verdict};
use shared::consumer::{Answer, Check, Connector, Forgotten};

use crate::{Bench, VENDOR};

impl<C: Connector> Bench<C> {
    /// A check of the vendor.
    pub async fn check(&self) -> Check {
        match self
            .ask(json!({ "action": "check", "vendorId": VENDOR }))
            .await
        {
            Answer::Check(check) => check,
            other => panic!("no check: {other:?}"),
        }
    }

    /// Asserts that a check of the vendor finds exactly these troubles: what,
    /// and its code. What cannot be told about an assumption is left out.
    pub async fn finds(&self, case: &str, expected: &[(&str, Code)]) {
        let findings = self.check().await.findings;
        let troubles = findings
            .iter()
            .filter(|finding| finding.result != Verdict::Ok && finding.code != Code::CannotBeTold);
        let troubles: Vec<_> = troubles
            .map(|finding| (finding.what.as_str(), finding.code))
            .collect();
        assert_eq!(troubles, expected, "{case}");
    }

    /// The code of what a check of the vendor finds about one thing.
    pub async fn found_of(&self, what: &str) -> Option<Code> {
        let findings = self.check().await.findings;
        let finding = findings.iter().find(|finding| finding.what == what);
        finding.map(|finding| finding.code)
    }

    /// Forgets a user, whose address is Sesamy's or the one given.
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
