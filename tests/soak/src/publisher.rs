//! A publisher with accounts in all three CRMs.

use serde_json::{Value, json};
use stand_ins::{
    StandIns, mailmojo::MailmojoAccount, make::MakeAccount, rule::RuleAccount, sesamy::Vendor,
};

/// The list that Mailmojo's contacts are put on.
pub const LIST: u64 = 42;

/// A publisher with accounts in all three CRMs.
pub struct Publisher {
    /// Its id at Sesamy, and the name of its accounts.
    pub id: &'static str,
    /// Sesamy.
    pub sesamy: Vendor,
    /// Rule.
    pub rule: RuleAccount,
    /// Mailmojo.
    pub mailmojo: MailmojoAccount,
    /// Make.as: each set of credentials with its list.
    pub make: Vec<(MakeAccount, u64)>,
}

impl Publisher {
    /// A publisher with so many sets of credentials for Make.as.
    pub fn open(stand_ins: &StandIns, id: &'static str, sets: u64) -> Self {
        let sesamy =
            stand_ins
                .sesamy()
                .add_vendor(id, &format!("client-{id}"), &secret(id, "sesamy", 1));
        // The limit is a minute's; a soak has few of them.
        sesamy.set_rate_limit(None);
        let mailmojo = stand_ins
            .mailmojo()
            .add_account(id, &secret(id, "mailmojo", 1));
        mailmojo.add_list(LIST, "Readers");
        let make = (1..=sets).map(|n| {
            let name = format!("{id}-{n}");
            let account = stand_ins.make().add_account(
                &name,
                &format!("user-{name}"),
                &secret(id, "make", 1),
            );
            account.add_list(n, "Readers");
            (account, n)
        });
        Self {
            make: make.collect(),
            rule: stand_ins.rule().add_account(id, &secret(id, "rule", 1)),
            mailmojo,
            sesamy,
            id,
        }
    }

    /// The publisher's secrets by name, in their how many-th version.
    pub fn secrets(&self, stand_ins: &StandIns, version: u32) -> [(String, Value); 4] {
        let (id, urls) = (self.id, stand_ins.urls());
        let sets = self.make.iter().map(|(account, list)| {
            json!({
                "userId": format!("user-{}", account.name()),
                "apiKey": secret(id, "make", version),
                "listId": list.to_string(),
                "apiUrl": urls.make,
            })
        });
        [
            (
                format!("{id}/sesamy"),
                json!({
                    "clientId": format!("client-{id}"),
                    "clientSecret": secret(id, "sesamy", version),
                    "apiUrl": urls.sesamy_api,
                    "tokenUrl": urls.sesamy_token,
                }),
            ),
            (
                format!("{id}/rule"),
                json!({"apiKey": secret(id, "rule", version), "apiUrl": urls.rule}),
            ),
            (
                format!("{id}/mailmojo"),
                json!({
                    "apiToken": secret(id, "mailmojo", version),
                    "listId": LIST.to_string(),
                    "apiUrl": urls.mailmojo,
                }),
            ),
            (format!("{id}/make"), sets.collect()),
        ]
    }

    /// From now on one API takes the credentials of this version alone.
    pub fn accept(&self, api: &str, version: u32) {
        let secret = secret(self.id, api, version);
        match api {
            "sesamy" => self.sesamy.set_client_secret(&secret),
            "rule" => self.rule.set_api_key(&secret),
            "mailmojo" => self.mailmojo.set_token(&secret),
            _ => self
                .make
                .iter()
                .for_each(|(account, _)| account.set_api_key(&secret)),
        }
    }

    /// The token of its webhooks in this version.
    pub fn token(&self, version: u32) -> String {
        secret(self.id, "webhook", version)
    }
}

fn secret(id: &str, api: &str, version: u32) -> String {
    format!("secret-{version}-of-{id}-at-{api}")
}
