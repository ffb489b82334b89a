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

    /// The problems that a check of the vendor finds: what, and its code. What
    /// cannot be told about an assumption is left out.
    pub async fn troubles(&self) -> Vec<(String, Code)> {
        let findings = self.check().await.findings.into_iter();
        let troubles = findings
            .filter(|finding| finding.result != Verdict::Ok && finding.code != Code::CannotBeTold);
        troubles
            .map(|finding| (finding.what, finding.code))
            .collect()
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
