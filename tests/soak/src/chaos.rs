//! What goes wrong during a soak.

use std::time::Duration;

use fastrand::Rng;
use local_aws::Result;
use serde_json::{Value, json};
use stand_ins::{Api, Fault, RetryAfter, StandIns};
use tokio::time::{Instant, sleep_until};

use crate::{Crm, Deployed, publisher::Publisher};

/// The faults of every API with their probabilities, an eighth of all calls together.
///
/// None of them may bury a message. 401 and 403 are not among them: they say
/// that a person must act, and what they concern waits for minutes. Waits are short, since one concerns all readers of a publisher.
pub fn inject(stand_ins: &StandIns) -> Vec<u64> {
    let mut ids = Vec::new();
    for api in Api::ALL {
        let waits = match api {
            Api::Rule => [RetryAfter::Stockholm(1), RetryAfter::StockholmText(1)],
            Api::Sesamy => [RetryAfter::Body(1), RetryAfter::Seconds(1)],
            _ => [RetryAfter::HttpDate(1), RetryAfter::Seconds(1)],
        };
        let waits = waits.map(|wait| (Fault::too_many_requests(wait), 0.003));
        let others = [
            (Fault::status(500), 0.035),
            (Fault::bad_gateway(), 0.025),
            (Fault::reset(), 0.015),
            (Fault::reset().after_effect(), 0.01),
            (Fault::truncated(), 0.015),
            (Fault::slow(Duration::from_millis(300)), 0.02),
        ];
        for (fault, probability) in waits.into_iter().chain(others) {
            ids.push(stand_ins.fault(fault.on(api).probability(probability)));
        }
    }
    ids
}

/// How often faults struck. To be asked before they are taken off.
pub fn struck(stand_ins: &StandIns, ids: &[u64]) -> u64 {
    let faults = stand_ins.faults();
    let ours = faults.iter().filter(|fault| ids.contains(&fault.id));
    ours.map(|fault| u64::from(fault.struck)).sum()
}

/// How long after a token was added to the secret it is sure to be taken: an
/// unknown one makes the secret be read again at most every ten seconds, and
/// that may just have been done.
const TOKENS_KNOWN: Duration = Duration::from_secs(11);

/// What is done to the system itself.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill(&'static str),
    /// Both the old and the new token of every publisher count.
    NewTokens,
    /// Sesamy sends the new ones.
    TokensSwitch,
    /// Only the new one does.
    OldTokensEnd,
    /// Every secret of the publisher of this place is another one.
    NewCredentials(usize),
    /// The tokens that Sesamy gave the publisher of this place are worthless.
    Revoke(usize),
}

/// The content of the webhook's secret, with these versions of each publisher's token.
pub fn webhook_secret(publishers: &[Publisher], versions: &[u32]) -> Value {
    let vendors = publishers.iter().map(|publisher| {
        let tokens: Vec<_> = versions.iter().map(|v| publisher.token(*v)).collect();
        (publisher.id.to_owned(), json!({"tokens": tokens}))
    });
    json!({"vendors": vendors.collect::<serde_json::Map<_, _>>()})
}

/// What blows there are, and when.
pub struct Schedule(Vec<(Duration, Blow)>);

impl Schedule {
    /// So many kills at random moments of this time, and one change of all credentials.
    pub fn new(random: &mut Rng, time: Duration, kills: usize, publishers: usize) -> Self {
        let mut at = |from: f64, to: f64| time.mul_f64(from + (to - from) * random.f64());
        let mut blows: Vec<_> = (0..kills)
            .map(|n| {
                let functions = ["Rule", "Mailmojo", "Make", "Webhook"];
                let function = functions.get(n % functions.len()).copied();
                (at(0.05, 0.95), Blow::Kill(function.unwrap_or("Rule")))
            })
            .collect();
        let new_tokens = time.mul_f64(0.05);
        blows.push((new_tokens, Blow::NewTokens));
        blows.push((new_tokens + TOKENS_KNOWN, Blow::TokensSwitch));
        blows.push((time.mul_f64(0.9), Blow::OldTokensEnd));
        for place in 0..publishers {
            blows.push((at(0.3, 0.6), Blow::NewCredentials(place)));
            blows.push((at(0.1, 0.9), Blow::Revoke(place)));
        }
        blows.sort_by_key(|(at, _)| *at);
        Self(blows)
    }

    /// Deals the blows. `on_new_tokens` is told when Sesamy is to send the new tokens.
    /// Gives how many processes were killed.
    pub async fn deal(
        self,
        deployed: &Deployed,
        stand_ins: &StandIns,
        publishers: &[Publisher],
        on_new_tokens: impl Fn(),
    ) -> Result<usize> {
        let start = Instant::now();
        let mut killed = 0;
        for (at, blow) in self.0 {
            sleep_until(start + at).await;
            match blow {
                Blow::Kill(function) => killed += deployed.kill(function)?,
                Blow::NewTokens => {
                    let secret = webhook_secret(publishers, &[1, 2]);
                    deployed.stack.put_secret("webhook", &secret).await?;
                }
                Blow::TokensSwitch => on_new_tokens(),
                Blow::OldTokensEnd => {
                    let secret = webhook_secret(publishers, &[2]);
                    deployed.stack.put_secret("webhook", &secret).await?;
                }
                Blow::NewCredentials(place) => {
                    if let Some(publisher) = publishers.get(place) {
                        rotate(deployed, stand_ins, publisher).await?;
                    }
                }
                Blow::Revoke(place) => {
                    if let Some(publisher) = publishers.get(place) {
                        publisher.sesamy.revoke_tokens();
                    }
                }
            }
        }
        Ok(killed)
    }
}

/// Changes each of a publisher's credentials: first where the functions read
/// them, who go on with the old ones they know, and at once where they count.
async fn rotate(deployed: &Deployed, stand_ins: &StandIns, publisher: &Publisher) -> Result<()> {
    let apis = ["sesamy"].into_iter().chain(Crm::ALL.map(Crm::name));
    for ((name, content), api) in publisher.secrets(stand_ins, 2).into_iter().zip(apis) {
        deployed.stack.put_secret(&name, &content).await?;
        publisher.accept(api, 2);
        if api == "sesamy" {
            publisher.sesamy.revoke_tokens();
        }
    }
    Ok(())
}
