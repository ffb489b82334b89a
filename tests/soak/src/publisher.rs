use fakes::{
    Fakes, hubspot::HubSpotAccount, mailchimp::AudienceHandle, mailmojo::MailmojoAccount,
    make::MakeAccount, rule::RuleAccount, sesamy::Vendor,
};
use harness::{Connector, Error, Result, Stack, secrets, webhook};
use serde_json::Value;

/// The list at Mailmojo that contacts join.
pub const LIST: u64 = 42;

/// The audience at Mailchimp that contacts join.
const AUDIENCE: &str = "users";

/// A publisher with accounts at every CRM.
pub struct Publisher {
    /// The vendor id at Sesamy and the name of the accounts.
    pub id: &'static str,
    pub sesamy: Vendor,
    pub rule: RuleAccount,
    pub mailmojo: MailmojoAccount,
    /// Each account at Make.as with its list.
    pub make: Vec<(MakeAccount, u64)>,
    pub mailchimp: AudienceHandle,
    pub hubspot: HubSpotAccount,
}

impl Publisher {
    pub fn open(fakes: &Fakes, id: &'static str, make_accounts: u64) -> Self {
        let secret = |api| secret(id, api, 1);
        let client = format!("client-{id}");
        let sesamy = fakes.sesamy().add_vendor(id, &client, &secret("sesamy"));
        // A soak lasts minutes, and Sesamy's limit would stretch it to hours.
        sesamy.set_rate_limit(None);
        let mailmojo = fakes.mailmojo().add_account(id, &secret("mailmojo"));
        mailmojo.add_list(LIST, "Users");
        let mailchimp = fakes.mailchimp().add_account(id, &secret("mailchimp"));
        let make = (1..=make_accounts).map(|list| {
            let name = format!("{id}-{list}");
            let user = format!("user-{name}");
            let account = fakes.make().add_account(&name, &user, &secret("make"));
            account.add_list(list, "Users");
            (account, list)
        });
        Self {
            make: make.collect(),
            mailchimp: mailchimp.add_audience(AUDIENCE, "Users"),
            hubspot: fakes.hubspot().add_account(id, &secret("hubspot")),
            rule: fakes.rule().add_account(id, &secret("rule")),
            mailmojo,
            sesamy,
            id,
        }
    }

    /// The names and contents of the publisher's secrets for Sesamy and each connector,
    /// with the credentials of this version.
    pub fn secrets(&self, fakes: &Fakes, version: u32) -> [(String, Value); 6] {
        let (id, urls) = (self.id, fakes.urls());
        let secret = |api| secret(id, api, version);
        let make = self.make.iter().map(|(account, list)| {
            let user = format!("user-{}", account.name());
            secrets::make(urls, &user, &secret("make"), *list)
        });
        let client = format!("client-{id}");
        [
            ("sesamy", secrets::sesamy(urls, &client, &secret("sesamy"))),
            ("rule", secrets::rule(urls, &secret("rule"))),
            (
                "mailmojo",
                secrets::mailmojo(urls, &secret("mailmojo"), LIST),
            ),
            ("make", make.collect()),
            (
                "mailchimp",
                secrets::mailchimp(urls, &secret("mailchimp"), AUDIENCE),
            ),
            ("hubspot", secrets::hubspot(urls, &secret("hubspot"))),
        ]
        .map(|(api, content)| (format!("{id}/{api}"), content))
    }

    /// Makes an API accept only the credentials of this version.
    pub fn accept(&self, api: &str, version: u32) {
        let secret = secret(self.id, api, version);
        match api {
            "sesamy" => self.sesamy.set_client_secret(&secret),
            "rule" => self.rule.set_api_key(&secret),
            "mailmojo" => self.mailmojo.set_token(&secret),
            "mailchimp" => self.mailchimp.account().set_api_key(&secret),
            "hubspot" => self.hubspot.set_token(&secret),
            _ => self
                .make
                .iter()
                .for_each(|(account, _)| account.set_api_key(&secret)),
        }
    }

    /// The tags of the contact of an address, at Make.as in the first account.
    pub fn tags(&self, connector: Connector, email: &str) -> Option<Vec<String>> {
        Some(match connector {
            Connector::Rule => self.rule.subscriber(email)?.tags,
            Connector::Mailmojo => self.mailmojo.contact(email)?.tags,
            Connector::Make => self.make.first()?.0.subscriber(email)?.tags,
            Connector::Mailchimp => self.mailchimp.member(email)?.tags,
            Connector::Hubspot => self.hubspot.contact(email)?.values(hubspot::mapping::TAGS),
        })
    }

    /// The webhook token of this version.
    pub fn token(&self, version: u32) -> String {
        secret(self.id, "webhook", version)
    }

    /// Posts a webhook, which must be accepted.
    pub async fn announce(
        &self,
        stack: &Stack<'_>,
        event_type: &str,
        user_id: &str,
        occurred_at: &str,
    ) -> Result<()> {
        let body = webhook(event_type, self.id, user_id, occurred_at);
        match stack.post_webhook(&self.token(1), &body).await? {
            reply if reply.status == 202 => Ok(()),
            reply => Err(Error::new(format!("the webhook answered {reply:?}"))),
        }
    }
}

/// The webhook's secret, with the tokens of these versions for each publisher.
pub fn webhook_secret<'a>(
    publishers: impl IntoIterator<Item = &'a Publisher>,
    versions: &[u32],
) -> Value {
    secrets::webhook(publishers.into_iter().map(|publisher| {
        let tokens = versions.iter().map(|version| publisher.token(*version));
        (publisher.id, tokens.collect())
    }))
}

fn secret(id: &str, api: &str, version: u32) -> String {
    format!("secret-{version}-of-{id}-at-{api}")
}
