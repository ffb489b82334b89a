//! The demo as a page to look at: one file without a script, a font or a request.

use std::collections::BTreeMap;
use std::path::PathBuf;

use askama::Template;
use fakes::{Api, RecordedRequest};
use harness::{Connector, Error, Project, Result, Stack, samples};
use jiff::Timestamp;
use serde::Deserialize;

use crate::contact::{Change, Sign};
use crate::{Posted, Story};

/// Where the page is written, in the project.
const PATH: &str = ".local/demo.html";

/// Of the time lines, in pixels.
const WIDTH: f64 = 560.0;
const ROW: usize = 22;

/// A sync as its connector logged it.
#[derive(Deserialize)]
pub struct Sync {
    connector: String,
    vendor_id: String,
    user_id: String,
    outcome: String,
    reason: Option<String>,
    writes: u32,
    took_ms: u64,
    timestamp: Timestamp,
}

impl Sync {
    fn started(&self) -> Timestamp {
        let took = std::time::Duration::from_millis(self.took_ms);
        self.timestamp.checked_sub(took).unwrap_or(self.timestamp)
    }
}

/// All syncs of the sample publisher so far, oldest first.
pub async fn syncs(stack: &Stack<'_>) -> Result<Vec<Sync>> {
    let mut syncs = Vec::new();
    for connector in Connector::ALL {
        let lines = stack.logs(connector.function()).await?;
        let lines = lines.iter().filter(|line| line.contains("A sync ended."));
        syncs.extend(lines.filter_map(|line| serde_json::from_str::<Sync>(line).ok()));
    }
    syncs.retain(|sync| sync.vendor_id == samples::VENDOR);
    syncs.sort_by_key(|sync| sync.timestamp);
    Ok(syncs)
}

#[derive(Template)]
#[template(path = "demo.html")]
struct Page<'a> {
    verdict: &'a str,
    users: Vec<UserView<'a>>,
    calls: Vec<ApiCalls>,
    total: usize,
}

struct UserView<'a> {
    story: &'a Story,
    time_line: TimeLine,
}

/// Which webhooks came when, and when each connector synced the user.
struct TimeLine {
    height: usize,
    webhooks: Vec<Mark>,
    syncs: Vec<Bar>,
    seconds: Vec<Mark>,
}

struct Mark {
    x: f64,
    text: String,
}

struct Bar {
    x: f64,
    width: f64,
    y: usize,
    crm: String,
    text: String,
}

struct ApiCalls {
    api: String,
    calls: Vec<(String, usize)>,
}

impl ApiCalls {
    fn count(&self) -> usize {
        self.calls.iter().map(|(_, count)| count).sum()
    }
}

/// Writes the page and returns its path.
pub fn write(
    project: &Project,
    verdict: &str,
    stories: &[Story],
    posted: &[Posted],
    syncs: &[Sync],
    requests: &[RecordedRequest],
) -> Result<PathBuf> {
    let path = project.root().join(PATH);
    let page = render(verdict, stories, posted, syncs, requests);
    page.and_then(|page| std::fs::write(&path, page).map_err(|error| error.to_string()))
        .map_err(|error| Error::new(format!("{PATH} could not be written: {error}")))?;
    Ok(path)
}

fn render(
    verdict: &str,
    stories: &[Story],
    posted: &[Posted],
    syncs: &[Sync],
    requests: &[RecordedRequest],
) -> std::result::Result<String, String> {
    let users = stories.iter().map(|story| UserView {
        story,
        time_line: TimeLine::new(story.user.user_id, posted, syncs),
    });
    let calls = calls(requests);
    let page = Page {
        verdict,
        users: users.collect(),
        total: calls.iter().map(ApiCalls::count).sum(),
        calls,
    };
    page.render().map_err(|error| error.to_string())
}

impl TimeLine {
    fn new(user_id: &str, posted: &[Posted], syncs: &[Sync]) -> Self {
        let posted: Vec<_> = posted.iter().filter(|one| one.user_id == user_id).collect();
        let syncs: Vec<_> = syncs.iter().filter(|one| one.user_id == user_id).collect();
        let start = posted.first().map_or_else(Timestamp::now, |one| one.at);
        let end = syncs.iter().map(|sync| sync.timestamp).max();
        let seconds = |at: Timestamp| at.duration_since(start).as_secs_f64();
        let length = end.map_or(1.0, seconds).max(1.0).ceil();
        let x = |at: Timestamp| (seconds(at).max(0.0) / length * WIDTH).min(WIDTH);
        let bars = syncs.iter().enumerate().map(|(row, sync)| {
            let (from, to) = (x(sync.started()), x(sync.timestamp));
            let reason = sync.reason.as_deref().map(|reason| format!(" ({reason})"));
            Bar {
                x: from,
                width: (to - from).max(3.0),
                y: row * ROW,
                crm: crm(&sync.connector).to_owned(),
                text: format!(
                    "{}{}, {} writes, {:.1} s after the webhook",
                    sync.outcome,
                    reason.unwrap_or_default(),
                    sync.writes,
                    seconds(sync.timestamp)
                ),
            }
        });
        let syncs: Vec<_> = bars.collect();
        let ticks = 0..=length as u32;
        Self {
            height: syncs.len() * ROW,
            webhooks: posted
                .iter()
                .map(|one| Mark {
                    x: x(one.at),
                    text: one.event_type.to_owned(),
                })
                .collect(),
            syncs,
            seconds: ticks
                .map(|second| Mark {
                    x: f64::from(second) / length * WIDTH,
                    text: format!("{second} s"),
                })
                .collect(),
        }
    }
}

fn crm(connector: &str) -> &str {
    match connector {
        "rule" => "Rule",
        "mailmojo" => "Mailmojo",
        "make" => "Make.as",
        "mailchimp" => "Mailchimp",
        "hubspot" => "HubSpot",
        other => other,
    }
}

/// How often each call was made.
fn calls(requests: &[RecordedRequest]) -> Vec<ApiCalls> {
    let mut by_api: BTreeMap<Api, BTreeMap<String, usize>> = BTreeMap::new();
    for request in requests {
        let status = request.status.map(|status| status.to_string());
        let status = status.unwrap_or_else(|| "no answer".to_owned());
        let call = format!("{} {} → {status}", request.method, request.path);
        *by_api
            .entry(request.api)
            .or_default()
            .entry(call)
            .or_default() += 1;
    }
    let calls = by_api.into_iter().map(|(api, calls)| ApiCalls {
        api: match api {
            Api::Sesamy => "Sesamy",
            Api::SesamyToken => "Sesamy's tokens",
            Api::Rule => "Rule",
            Api::Mailmojo => "Mailmojo",
            Api::Make => "Make.as",
            Api::Mailchimp => "Mailchimp",
            Api::HubSpot => "HubSpot",
            Api::Other => "Others",
        }
        .to_owned(),
        calls: calls.into_iter().collect(),
    });
    calls.collect()
}

impl UserView<'_> {
    /// The tags and fields that changed, and how many stay.
    fn shown<'a>(&self, changes: &'a [Change]) -> (Vec<&'a Change>, usize) {
        let (kept, shown): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.sign == Sign::Kept);
        (shown, kept.len())
    }
}

#[cfg(test)]
mod tests {
    use harness::Browser;
    use serde_json::{Value, json};

    use super::*;
    use crate::contact::Contact;
    use crate::events::USERS;

    /// Shows the values of a contact as text, whatever they are.
    const HOSTILE: &str = "<script>document.title = 'hacked'</script><b id=hacked>&amp;";

    fn sync(connector: &str, started: &str, took_ms: u64) -> Sync {
        let value = json!({
            "connector": connector, "vendor_id": samples::VENDOR, "user_id": "email|anna",
            "outcome": "synced", "writes": 3, "took_ms": took_ms, "timestamp": started,
        });
        serde_json::from_value(value).unwrap()
    }

    async fn value(browser: &Browser, script: &str) -> Value {
        browser.evaluate(script).await.unwrap()
    }

    #[tokio::test]
    async fn person_sees_what_changed_when_and_by_which_calls() {
        let at: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        let mut after = Contact::new("Rule");
        after.tag("sesamy_active_subscriber").field("Name", HOSTILE);
        let stories = [Story {
            user: &USERS[0],
            contacts: vec![("Rule", Contact::missing("Rule").changes(&after))],
        }];
        let posted = [Posted {
            user_id: "email|anna",
            event_type: "checkout.1#confirm",
            at,
        }];
        let syncs = [
            sync("rule", "2026-11-27T10:00:06Z", 1_000),
            sync("hubspot", "2026-11-27T10:00:10Z", 2_000),
        ];
        let request = json!({
            "number": 1, "at": at, "api": "rule", "method": "POST", "path": "/v2/subscribers",
            "query": "", "headers": {}, "account": null, "body": null, "status": 200, "fault": null,
        });
        let requests = vec![serde_json::from_value(request).unwrap(); 2];
        let page = render("It worked.", &stories, &posted, &syncs, &requests).unwrap();

        let file = std::env::temp_dir().join(format!("demo-{}.html", std::process::id()));
        std::fs::write(&file, page).unwrap();
        let browser = Browser::start(&Project::here().unwrap()).await.unwrap();
        browser
            .open(&format!("file://{}", file.display()))
            .await
            .unwrap();
        for text in [
            "It worked.",
            "Anna, who has just become",
            "a new contact",
            "came,",
        ] {
            browser.see(&format!("text={text}")).await.unwrap();
        }
        let added = browser.text("li.added >> nth=0").await.unwrap();
        assert_eq!(added.trim(), "+sesamy_active_subscriber");
        // The bar of the later, slower sync begins later and is longer.
        let bars =
            "[...document.querySelectorAll('svg rect')].map(bar => bar.getBoundingClientRect())";
        let order = format!(
            "(([rule, hubspot]) => rule.x < hubspot.x && rule.width < hubspot.width)({bars})"
        );
        assert_eq!(value(&browser, &order).await, true);
        browser
            .see("text=synced, 3 writes, 10.0 s after the webhook")
            .await
            .unwrap();
        // The calls are folded until a person asks.
        browser.click("summary").await.unwrap();
        browser
            .see("text=POST /v2/subscribers → 200")
            .await
            .unwrap();
        browser.see("text=2×").await.unwrap();

        assert_eq!(
            value(&browser, "document.title").await,
            "sesamy-crm-sync: the demo"
        );
        assert_eq!(browser.count("#hacked").await.unwrap(), 0);
        assert_eq!(browser.faults().await.unwrap(), Vec::<String>::new());
        std::fs::remove_file(file).unwrap();
    }
}
