//! The faults and disruptions of a soak.

use std::time::Duration;

use fakes::{Api, Fakes, Fault, RetryAfter};
use fastrand::Rng;
use harness::{Connector, Function, Result, Stack};
use tokio::time::{Instant, sleep_until};

use crate::{Publisher, webhook_secret};

/// Makes an eighth of all calls fail, in ways that are always retried.
///
/// 401 and 403 are left out: the messages would wait for minutes until an operator acts.
/// Rate limits are short, because each one pauses all users of a publisher.
pub fn inject(fakes: &Fakes) -> Vec<InjectedFault> {
    let mut injected = Vec::new();
    for api in Api::ALL {
        let waits = match api {
            Api::Rule => [RetryAfter::Stockholm(1), RetryAfter::StockholmText(1)],
            Api::Sesamy => [RetryAfter::Body(1), RetryAfter::Seconds(1)],
            _ => [RetryAfter::HttpDate(1), RetryAfter::Seconds(1)],
        };
        let waits = waits.map(|wait| (Fault::too_many_requests(wait), 0.003, false));
        let others = [
            (Fault::status(500), 0.035, false),
            (Fault::bad_gateway(), 0.025, false),
            (Fault::reset(), 0.015, false),
            (Fault::reset().after_effect(), 0.01, true),
            (Fault::truncated(), 0.015, true),
            (Fault::slow(Duration::from_millis(300)), 0.02, false),
        ];
        for (fault, probability, loses_answer) in waits.into_iter().chain(others) {
            injected.push(InjectedFault {
                id: fakes.fault(fault.on(api).probability(probability)),
                api,
                loses_answer,
            });
        }
    }
    injected
}

pub struct InjectedFault {
    pub id: u64,
    pub api: Api,
    /// The call has its effect, but the function does not learn of it.
    pub loses_answer: bool,
}

/// How often the faults struck. Removing a fault also removes its count.
pub fn count_struck<'a>(
    fakes: &Fakes,
    injected: impl IntoIterator<Item = &'a InjectedFault>,
) -> u64 {
    let faults = fakes.faults();
    let struck = injected.into_iter().map(|injected| {
        let fault = faults.iter().find(|fault| fault.id == injected.id);
        fault.map_or(0, |fault| u64::from(fault.struck))
    });
    struck.sum()
}

/// How long the webhook may refuse a token after it was added to the secret: an unknown
/// token makes the webhook read the secret again, but at most every ten seconds.
const TOKEN_DELAY: Duration = Duration::from_secs(11);

/// A change to the system itself, as opposed to a failing call.
#[derive(Clone, Copy, Debug)]
enum Disruption {
    Kill(Function),
    /// The webhook accepts both the old and the new token of every publisher.
    AddNewTokens,
    /// From now on Sesamy sends the new tokens.
    SwitchTokens,
    RemoveOldTokens,
    /// All credentials of the publisher with this index are replaced.
    RotateCredentials(usize),
    /// Sesamy's access tokens for the publisher with this index stop working.
    RevokeAccessTokens(usize),
}

/// Disruptions, each with its time since the start.
pub struct Schedule(Vec<(Duration, Disruption)>);

impl Schedule {
    /// Plans kills at random times, and one rotation of all tokens and credentials.
    pub fn new(random: &mut Rng, time: Duration, kills: usize, publishers: usize) -> Self {
        let mut at = |from: f64, to: f64| time.mul_f64(from + (to - from) * random.f64());
        let functions = Connector::ALL.map(Connector::function);
        let functions = functions.into_iter().chain([Function::Webhook]).cycle();
        let mut disruptions: Vec<_> = functions
            .take(kills)
            .map(|function| (at(0.05, 0.95), Disruption::Kill(function)))
            .collect();
        let new_tokens = time.mul_f64(0.05);
        disruptions.push((new_tokens, Disruption::AddNewTokens));
        disruptions.push((new_tokens + TOKEN_DELAY, Disruption::SwitchTokens));
        disruptions.push((time.mul_f64(0.9), Disruption::RemoveOldTokens));
        for index in 0..publishers {
            disruptions.push((at(0.3, 0.6), Disruption::RotateCredentials(index)));
            disruptions.push((at(0.1, 0.9), Disruption::RevokeAccessTokens(index)));
        }
        disruptions.sort_by_key(|(at, _)| *at);
        Self(disruptions)
    }

    /// Returns the number of killed processes.
    pub async fn run(
        self,
        stack: &Stack<'_>,
        fakes: &Fakes,
        publishers: &[Publisher],
        switch_tokens: impl Fn(),
    ) -> Result<usize> {
        let start = Instant::now();
        let mut killed = 0;
        for (at, disruption) in self.0 {
            sleep_until(start + at).await;
            match disruption {
                Disruption::Kill(function) => killed += stack.kill_function(function).await?,
                Disruption::AddNewTokens => {
                    let secret = webhook_secret(publishers, &[1, 2]);
                    stack.put_secret("webhook", &secret).await?;
                }
                Disruption::SwitchTokens => switch_tokens(),
                Disruption::RemoveOldTokens => {
                    let secret = webhook_secret(publishers, &[2]);
                    stack.put_secret("webhook", &secret).await?;
                }
                Disruption::RotateCredentials(index) => {
                    if let Some(publisher) = publishers.get(index) {
                        rotate_credentials(stack, fakes, publisher).await?;
                    }
                }
                Disruption::RevokeAccessTokens(index) => {
                    if let Some(publisher) = publishers.get(index) {
                        publisher.sesamy.revoke_tokens();
                    }
                }
            }
        }
        Ok(killed)
    }
}

/// Replaces each secret, and then makes the API reject the old credentials, which the
/// functions still cache.
async fn rotate_credentials(stack: &Stack<'_>, fakes: &Fakes, publisher: &Publisher) -> Result<()> {
    let apis = ["sesamy"]
        .into_iter()
        .chain(Connector::ALL.map(Connector::name));
    for ((name, content), api) in publisher.secrets(fakes, 2).into_iter().zip(apis) {
        stack.put_secret(&name, &content).await?;
        publisher.accept(api, 2);
        if api == "sesamy" {
            publisher.sesamy.revoke_tokens();
        }
    }
    Ok(())
}
