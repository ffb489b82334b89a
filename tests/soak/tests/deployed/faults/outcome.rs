//! What became of a case, against what must.

use std::time::Duration;

use soak::{Crm, Letter, SyncLine};

use super::{
    case::{Account, Case, Secrets, held},
    table::{Often, Then},
};

/// The shortest wait after credentials were refused, less what the clocks of
/// queue and test may differ by.
const REFUSED_WAIT: Duration = Duration::from_secs(55);

/// What is wrong with the outcome of a case that began so long ago.
pub fn wrong(
    case: &Case,
    account: &Account,
    lines: &[&SyncLine],
    letters: &[&Letter],
    struck: u32,
    began: Duration,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            let said: Vec<_> = lines
                .iter()
                .map(|line| format!("{} ({})", line.outcome, line.reason))
                .collect();
            wrong.push(format!(
                "{}: {what}; syncs: {said:?}, struck {struck}",
                case.id
            ));
        }
    };
    let outcomes: Vec<_> = lines.iter().map(|line| line.outcome.as_str()).collect();
    let is_done = |outcome: &str| matches!(outcome, "synced" | "unchanged");
    match case.then {
        Then::Retried | Then::RetriedOnce => {
            let lasts = case.often == Often::Always && case.then == Then::Retried;
            let least = if lasts { 2 } else { 1 };
            let (last, before) = outcomes.split_last().unwrap_or((&"", &[]));
            let retried = before.len() >= least && before.iter().all(|o| *o == "retry");
            check(
                retried && is_done(last),
                "was not tried again until done".into(),
            );
        }
        Then::Refused => {
            let (last, before) = match case.often {
                Often::Once => outcomes.split_last().unwrap_or((&"", &[])),
                Often::Always => (&"synced", outcomes.as_slice()),
            };
            let refused = !before.is_empty() && before.iter().all(|o| *o == "refused");
            check(
                refused && is_done(last),
                "was not refused, and done once it no longer was".into(),
            );
            let most = 1 + began.as_secs() / REFUSED_WAIT.as_secs();
            check(
                outcomes.len() as u64 <= most,
                "was tried again too early".into(),
            );
        }
        Then::Buried(kind, status) => {
            check(outcomes == ["dead_letter"], "was not buried at once".into());
            check(
                letters.len() == 1,
                format!("has {} dead letters", letters.len()),
            );
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            for letter in letters {
                let says = (letter.attribute("errorKind"), letter.attribute("status"));
                check(
                    says == (kind, status.as_str()),
                    format!("the letter says {says:?}"),
                );
            }
        }
        Then::Done if case.secrets == Secrets::NoneOfConnector => {
            check(outcomes == ["not_configured"], "was not left out".into());
            return wrong;
        }
        Then::Done => {
            let done = matches!(outcomes.as_slice(), [one] if is_done(one));
            check(done, "was not done at the first try".into());
        }
        Then::Skipped => check(outcomes == ["skipped"], "was not skipped".into()),
        Then::Undecided => check(outcomes.len() == 1, "did not end at the first try".into()),
    }
    if !matches!(case.then, Then::Buried(..) | Then::Undecided) {
        check(letters.is_empty(), "has a dead letter".into());
    }
    let held = held(account, &case.email());
    let ends_done = match case.then {
        Then::Retried | Then::RetriedOnce | Then::Done => true,
        Then::Refused => case.often == Often::Once,
        Then::Buried(..) | Then::Skipped | Then::Undecided => false,
    };
    if ends_done {
        let (tags, agrees) = held.unwrap_or_default();
        let expected = tags_of(case);
        check(
            tags == expected,
            format!("has the tags {tags:?}, not {expected:?}"),
        );
        // Mailmojo kept the contact off the list.
        let kept_off = case.place.0 == "mailmojo-subscribe" && case.place.1.starts_with("400");
        check(agrees != kept_off, "its data is not as it should be".into());
    } else {
        // What is not done may be half done, but the publisher's own is whole.
        let foreign = held.is_some_and(|(tags, _)| tags.iter().any(|tag| tag == "vip"));
        check(
            foreign == case.known,
            "the publisher's own tag has gone".into(),
        );
    }
    wrong
}

/// The tags the reader must have at last.
fn tags_of(case: &Case) -> Vec<&'static str> {
    let mut tags = vec![
        "sesamy_active_entitlement_the-daily",
        "sesamy_active_sku_sid-daily",
        "sesamy_active_subscriber",
    ];
    if case.crm == Crm::Rule {
        tags.extend(["sesamy", "sesamy_event_contract-update"]);
    }
    if case.known {
        tags.push("vip");
    }
    tags.sort_unstable();
    tags
}
