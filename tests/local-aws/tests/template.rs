//! The blocks of the connectors in `template.yaml` repeat each other, and so
//! must not drift apart; nor may what is watched from what is counted.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what breaks here must fail the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> String {
    std::fs::read_to_string(project().join("template.yaml")).unwrap()
}

/// The blocks by the connector's name, without comments and blank lines, and
/// with a placeholder for the name.
fn blocks(template: &str) -> BTreeMap<String, Vec<String>> {
    marked(template, "connector")
}

/// The connectors' rows of the dashboard, likewise.
fn rows(template: &str) -> BTreeMap<String, Vec<String>> {
    marked(template, "row")
}

fn marked(template: &str, what: &str) -> BTreeMap<String, Vec<String>> {
    let (begin, end) = (format!(" begin {what} "), format!(" end {what} "));
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in template.lines() {
        if let Some((_, name)) = line.split_once(&begin) {
            assert!(open.is_none(), "{name} begins within another block");
            open = Some((name.to_owned(), Vec::new()));
        } else if let Some((_, name)) = line.split_once(&end) {
            let (opened, lines) = open.take().expect(line);
            assert_eq!(opened, name);
            assert!(!lines.is_empty());
            assert_eq!(blocks.insert(opened, lines), None, "{name} stands twice");
        } else if let Some((name, lines)) = &mut open {
            let line = line.trim_end();
            if !line.is_empty() && !line.trim_start().starts_with('#') {
                let line = line.replace(name.as_str(), "<Name>");
                lines.push(line.replace(&name.to_lowercase(), "<name>"));
            }
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

#[test]
fn connectors_differ_in_their_name_alone() {
    let template = template();
    for blocks in [blocks(&template), rows(&template)] {
        let (first, expected) = blocks.first_key_value().expect("no connector at all");
        for (name, block) in &blocks {
            for (found, wanted) in block.iter().zip(expected) {
                assert_eq!(found, wanted, "{name} differs from {first}");
            }
            assert_eq!(block.len(), expected.len(), "{name} and {first}");
        }
    }
}

#[test]
fn every_connector_is_named_wherever_it_must_be() {
    let template = template();
    let lines: Vec<_> = template.lines().map(str::trim).collect();
    let count = |line: &str| lines.iter().filter(|found| **found == line).count();
    for name in blocks(&template).keys() {
        // What the webhook sends to, and where it finds the address.
        assert_eq!(count(&format!("- !GetAtt {name}Queue.Arn")), 1, "{name}");
        let url = lines.iter().filter(|line| {
            let line = line.trim_start_matches("- ");
            line == format!("!Ref {name}Queue")
        });
        assert_eq!(url.count(), 1, "{name}");
        // Its own part of the dashboard, and its part of Sesamy's limit.
        assert!(rows(&template).contains_key(name), "{name}");
        let calls = |line: &&&str| {
            line.contains(&format!(
                r#"FunctionName=\"${{{name}Function}}\" Api=\"sesamy\""#
            ))
        };
        assert_eq!(lines.iter().filter(calls).count(), 1, "{name}");
        for output in ["Queue", "DeadLetterQueue"] {
            assert_eq!(count(&format!("{name}{output}Url:")), 1, "{name}");
            assert_eq!(count(&format!("Value: !Ref {name}{output}")), 1, "{name}");
        }
    }
}

#[test]
fn every_resource_of_a_connector_is_in_its_block() {
    let template = template();
    let resources = template.lines().filter(|line| {
        let key = line
            .strip_prefix("  ")
            .and_then(|key| key.strip_suffix(':'));
        key.is_some_and(|key| key.chars().all(|c| c.is_ascii_alphanumeric()))
    });
    let resources: Vec<_> = resources
        .map(|line| line.trim().trim_end_matches(':'))
        .collect();
    for (name, block) in blocks(&template) {
        let inside = block
            .iter()
            .filter(|line| line.starts_with("  <Name>"))
            .count();
        let outputs = 2;
        let named = resources
            .iter()
            .filter(|key| key.starts_with(&name))
            .count();
        assert_eq!(named, inside + outputs, "{name}: {resources:?}");
    }
}

#[test]
fn a_row_of_the_dashboard_is_json() {
    for (name, row) in rows(&template()) {
        let (sub, widgets) = row.split_first().unwrap();
        assert_eq!(sub.trim(), "- !Sub |", "{name}");
        let json = format!("[{}]", widgets.concat());
        let widgets: Vec<Value> = serde_json::from_str(&json).expect(&name);
        let titles = widgets.iter().map(|widget| &widget["properties"]["title"]);
        let expected = [
            "<Name>: is it keeping up?",
            "<Name>: what fails?",
            "<Name>: how long does a change take?",
            "<Name>: calls a minute",
        ];
        assert_eq!(titles.collect::<Vec<_>>(), expected);
    }
}

/// The lines of a resource.
fn resource<'a>(template: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("  {name}:");
    let mut lines = template.lines().skip_while(|line| **line != head);
    assert!(lines.next().is_some(), "{name} is missing");
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim)
        .collect()
}

/// An alarm on what was counted.
struct Alarm {
    metric: String,
    period: u32,
    periods: u32,
    needed: u32,
    threshold: u32,
}

impl Alarm {
    fn of(template: &str, name: &str) -> Self {
        let lines = resource(template, name);
        let given = |key: &str| {
            let key = format!("{key}: ");
            lines.iter().find_map(|line| line.strip_prefix(&key))
        };
        let number = |key: &str| given(key).map(|value| value.parse().unwrap());
        let periods = number("EvaluationPeriods").unwrap();
        assert_eq!(given("ComparisonOperator"), Some("GreaterThanThreshold"));
        Self {
            metric: given("MetricName").unwrap().to_owned(),
            period: number("Period").unwrap(),
            periods,
            needed: number("DatapointsToAlarm").unwrap_or(periods),
            threshold: number("Threshold").unwrap(),
        }
    }

    /// Whether it can ring of so many, however they fall into its periods.
    fn can_ring_of(&self, count: u32) -> bool {
        count / (self.threshold + 1) >= self.needed
    }

    /// Whether it rings in the end of one each so many seconds.
    fn rings_of_one_each(&self, seconds: u32) -> bool {
        self.period * self.periods <= 86_400 && self.period / seconds > self.threshold
    }
}

#[test]
fn what_is_refused_rings_when_sustained_and_not_for_three_stray_posts() {
    const HOUR: u32 = 3_600;
    let template = template();
    let cases = [
        ("WebhookUnauthenticatedAlarm", "Webhooks", HOUR),
        ("WebhookInvalidAlarm", "Webhooks", HOUR),
        ("WebhookTooLargeAlarm", "Webhooks", HOUR),
        ("WebhookClientErrorAlarm", "4XXError", HOUR / 2),
    ];
    for (name, metric, low_traffic) in cases {
        let alarm = Alarm::of(&template, name);
        assert_eq!(alarm.metric, metric, "{name}");
        assert!(!alarm.can_ring_of(3), "{name}");
        assert!(alarm.rings_of_one_each(low_traffic), "{name}");
    }
}

#[test]
fn a_long_queue_rings_well_before_sqs_stops_looking() {
    let template = template();
    for name in blocks(&template).keys() {
        let alarms = [
            ("Waiting", "ApproximateNumberOfMessagesVisible"),
            ("InFlight", "ApproximateNumberOfMessagesNotVisible"),
        ];
        let silent: u32 = alarms
            .iter()
            .map(|(kind, metric)| {
                let alarm = Alarm::of(&template, &format!("{name}{kind}Alarm"));
                assert_eq!(alarm.metric, *metric);
                alarm.threshold
            })
            .sum();
        assert!(silent <= 100_000, "{name}: {silent}");
    }
}

/// A scheduled invocation and a step of a resync have nobody who reads an answer.
#[test]
fn what_nobody_waits_for_rings_when_it_fails() {
    let template = template();
    for (name, metric) in [
        ("OperatorErrorAlarm", "Errors"),
        ("ResyncFailedAlarm", "Resyncs"),
    ] {
        let alarm = Alarm::of(&template, name);
        assert_eq!(alarm.metric, metric);
        assert!(alarm.can_ring_of(1), "{name}");
        let lines = resource(&template, name);
        assert!(lines.contains(&"- {Name: FunctionName, Value: !Ref OperatorFunction}"));
        assert!(lines.contains(&"AlarmActions: [!Ref AlarmTopic]"));
    }
}

/// SQS's age of the oldest message may leave out messages that were received
/// more than three times: in an outage that is all of them.
#[test]
fn what_is_tried_again_for_a_quarter_of_an_hour_rings_and_keeps_ringing() {
    /// The longest from one try of a message to the next, unless an API asks for more.
    const LONGEST_WAIT: u32 = 900;
    let template = template();
    for name in blocks(&template).keys() {
        let of = format!("{name}RetriedAlarm");
        let alarm = Alarm::of(&template, &of);
        assert_eq!(alarm.metric, "RetriedAge", "{name}");
        assert_eq!(alarm.threshold, 900, "{name}");
        // One message tells of itself now and then only.
        assert_eq!(alarm.needed, 1, "{name}");
        assert!(
            alarm.period * alarm.periods > LONGEST_WAIT + alarm.period,
            "{name}"
        );
        let lines = resource(&template, &of);
        for line in ["Statistic: Maximum", "TreatMissingData: notBreaching"] {
            assert!(lines.contains(&line), "{name}: {line}");
        }
        // Nothing else is in its dimensions, so that it is one metric.
        let dimensions = lines.iter().filter(|line| line.starts_with("- {Name: "));
        assert_eq!(dimensions.count(), 1, "{name}");
    }
}

/// The guide deletes the queues that stay by their URLs, from the outputs.
#[test]
fn every_queue_that_outlives_the_stack_is_an_output_and_no_other() {
    let template = template();
    let (resources, outputs) = template.split_once("\nOutputs:\n").unwrap();
    let ids = resources.lines().filter_map(|line| {
        let id = line.strip_prefix("  ")?.strip_suffix(':')?;
        (id.ends_with("Queue") && !id.starts_with(' ')).then_some(id)
    });
    let mut queues = 0;
    for id in ids {
        let queue = resource(resources, id);
        assert_eq!(queue.first(), Some(&"Type: AWS::SQS::Queue"), "{id}");
        let goes = queue.contains(&"DeletionPolicy: Delete");
        let stays = queue.contains(&"DeletionPolicy: RetainExceptOnCreate");
        assert_ne!(goes, stays, "{id}");
        let output = format!("  {id}Url:\n");
        assert_eq!(outputs.contains(&output), stays, "{id}");
        queues += 1;
    }
    assert!(queues >= 8, "{queues} queues found");
}

/// Through which a person may be allowed a kind of request alone.
#[test]
fn each_connector_has_an_alias_for_each_kind_of_request() {
    let template = template();
    for name in blocks(&template).keys() {
        for (alias, kind) in [("ask", "Ask"), ("forget", "Forget")] {
            let lines = resource(&template, &format!("{name}{kind}Alias"));
            let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            let expected = [
                "Type: AWS::Lambda::Alias".to_owned(),
                format!("FunctionName: !Ref {name}Function"),
                // The code that the queue's batches meet: nothing publishes versions.
                "FunctionVersion: $LATEST".to_owned(),
                format!("Name: {alias}"),
            ];
            for line in &expected {
                assert!(lines.contains(&line.as_str()), "{name} {alias}: {line}");
            }
        }
    }
}

#[test]
fn whom_the_firewall_refuses_is_asked_to_come_again() {
    let template = template();
    let firewall = resource(&template, "WebhookFirewall").concat();
    assert!(firewall.contains("ResponseCode: 429"), "{firewall}");
    assert!(firewall.contains("Name: Retry-After"), "{firewall}");
}

/// What alarms and dashboard read of the metrics this system counts itself:
/// names of metrics and dimensions, and values of dimensions.
fn watched(template: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut ours = false;
    for line in template.lines().map(str::trim) {
        if let Some(namespace) = line.strip_prefix("Namespace: ") {
            ours = namespace == "SesamyCrmSync";
        }
        let plain = if ours && line.starts_with("MetricName: ") {
            line.trim_start_matches("MetricName: ").to_owned()
        } else if ours && line.starts_with("- {Name: ") {
            line.replace("- {Name: ", "")
                .replace(" Value: ", "")
                .replace('}', "")
        } else if let Some((_, metric)) = line.split_once(r#"["SesamyCrmSync", "#) {
            let (metric, _) = metric.split_once(", {").unwrap_or((metric, ""));
            metric.replace(['"', ' '], "")
        } else if let Some((_, search)) = line.split_once("{SesamyCrmSync,") {
            let (search, _) = search.split_once("',").unwrap();
            search
                .replace("MetricName=", "")
                .replace(['"', '\\'], "")
                .replace(['}', '=', ' '], ",")
        } else {
            continue;
        };
        words.extend(plain.split(',').map(str::to_owned));
    }
    // Names of functions are AWS's.
    words.retain(|word| !word.is_empty() && !word.starts_with("!Ref ") && !word.contains('$'));
    words
}

/// The code that is deployed, up to its tests.
fn sources() -> String {
    fn read(folder: &Path, code: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, code);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                code.push_str(text.split("#[cfg(test)]").next().unwrap());
            }
        }
    }
    let mut code = String::new();
    read(&project().join("shared/src"), &mut code);
    for function in std::fs::read_dir(project().join("functions")).unwrap() {
        read(&function.unwrap().path().join("src"), &mut code);
    }
    code
}

#[test]
fn what_is_watched_is_what_is_counted() {
    let (watched, sources) = (watched(&template()), sources());
    // That the template is read at all.
    let some = [
        "Webhooks",
        "Syncs",
        "RetriedAge",
        "Resyncs",
        "failed",
        "ApiCalls",
        "Outcome",
        "refused",
        "429",
        "sesamy",
    ];
    for word in some {
        assert!(watched.contains(word), "{word}: {watched:?}");
    }
    for word in watched {
        assert!(
            sources.contains(&format!("\"{word}\"")),
            "nothing is counted as {word}"
        );
    }
}

/// Lambda ends a loop of Lambda → SQS → the same Lambda after about 16 turns,
/// which no local AWS shows.
#[test]
fn a_function_that_can_invoke_itself_through_a_queue_says_that_it_means_to() {
    let template = template();
    let heads = template.lines().filter_map(|line| {
        let id = line.strip_prefix("  ")?.strip_suffix(':')?;
        (id.ends_with("Function") && id != "Function").then_some(id)
    });
    let mut seen = 0;
    for id in heads {
        let function = resource(&template, id);
        let queue = function.iter().find_map(|line| {
            let queue = line.trim().strip_prefix("Queue: !GetAtt ")?;
            queue.strip_suffix(".Arn")
        });
        let role = resource(&template, &id.replace("Function", "Role")).join("\n");
        let invokes_itself = queue.is_some_and(|queue| {
            let arn = format!("!GetAtt {queue}.Arn");
            role.split("- Sid:")
                .any(|statement| statement.contains("sqs:SendMessage") && statement.contains(&arn))
        });
        let allows = function
            .iter()
            .any(|line| line.trim() == "RecursiveLoop: Allow");
        assert_eq!(allows, invokes_itself, "{id}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen} functions found");
}

/// The ids of the resources of a type.
fn of_type<'a>(template: &'a str, kind: &str) -> Vec<&'a str> {
    let ids = template
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric()));
    let kind = format!("Type: {kind}");
    ids.filter(|id| resource(template, id).first() == Some(&kind.as_str()))
        .collect()
}

/// What a role allows on one condition alone.
fn allowed_if(role: &[&str], condition: &str) -> String {
    let head = format!("- {condition}");
    let lines = role.iter().skip_while(|line| **line != head).skip(1);
    lines
        .take_while(|line| **line != "- !Ref AWS::NoValue")
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn secrets_under_a_key_of_ones_own_are_read_through_secrets_manager_alone() {
    let template = template();
    let mut readers = 0;
    for id in of_type(&template, "AWS::IAM::Role") {
        let role = resource(&template, id);
        let reads = role
            .iter()
            .any(|line| line.ends_with("secretsmanager:GetSecretValue"));
        let key = allowed_if(&role, "HasSecretsKey");
        let expected = "- Sid: SecretsKey\nEffect: Allow\nAction: kms:Decrypt\n\
            Resource: !Ref SecretsKeyArn\nCondition:\nStringEquals:\n\
            kms:ViaService: !Sub secretsmanager.${AWS::Region}.${AWS::URLSuffix}";
        assert_eq!(key, if reads { expected } else { "" }, "{id}");
        assert_eq!(
            role.iter().filter(|line| line.contains("kms:")).count(),
            key.lines().filter(|line| line.contains("kms:")).count(),
            "{id}"
        );
        readers += u32::from(reads);
    }
    assert!(readers >= 5, "{readers}");
}

/// X-Ray takes the first request of each second, which is nearly every one where
/// few come, and charges for each.
#[test]
fn nothing_is_traced_unless_it_is_asked_for() {
    let template = template();
    let lines: Vec<_> = template.lines().map(str::trim).collect();
    let parameter = resource(&template, "Tracing");
    assert!(parameter.contains(&r#"Default: "off""#), "{parameter:?}");
    let condition = r#"HasTracing: !Equals [!Ref Tracing, "on"]"#;
    assert!(lines.contains(&condition));
    let modes = ["Tracing: ", "TracingEnabled: "].map(|key| {
        let given = lines.iter().filter_map(|line| line.strip_prefix(key));
        given.collect::<Vec<_>>()
    });
    assert_eq!(
        modes,
        [
            ["!If [HasTracing, Active, PassThrough]"],
            ["!If [HasTracing, true, false]"]
        ]
    );
    let functions = of_type(&template, "AWS::Serverless::Function").len();
    let mut writers = 0;
    for id in of_type(&template, "AWS::IAM::Role") {
        let role = resource(&template, id);
        let all = role.iter().filter(|line| line.contains("xray:")).count();
        let asked = allowed_if(&role, "HasTracing");
        assert_eq!(all, asked.matches("Action: [xray:").count(), "{id}");
        writers += all;
    }
    assert_eq!(writers, functions);
}

/// Documented: API Gateway refuses the settings of an account that has never had
/// an API. No local AWS shows it.
#[test]
fn the_role_for_access_logs_is_set_once_there_is_an_api() {
    let template = template();
    let account = resource(&template, "AccessLogAccount");
    assert!(account.contains(&"DependsOn: WebhookApi"), "{account:?}");
}
