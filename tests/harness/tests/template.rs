//! Rules of `template.yaml` that no tool checks.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> String {
    std::fs::read_to_string(project().join("template.yaml")).unwrap()
}

/// The connectors that the template is generated for (`.ci/template.py`).
fn connectors(template: &str) -> Vec<&str> {
    let names = template
        .lines()
        .find_map(|line| line.strip_prefix("# connectors: "));
    let names: Vec<_> = names.unwrap().split(' ').collect();
    assert!(names.len() >= 3, "{names:?}");
    names
}

#[test]
fn template_has_every_connector_that_has_a_function() {
    let template = template();
    let folders = std::fs::read_dir(project().join("functions")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let with_mapping = folders.filter(|folder| folder.join("src/mapping.rs").exists());
    let with_mapping: BTreeSet<_> = with_mapping
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let named = connectors(&template).into_iter().map(str::to_lowercase);
    assert_eq!(named.collect::<BTreeSet<_>>(), with_mapping);
}

fn resource<'a>(template: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("  {name}:");
    let mut lines = template.lines().skip_while(|line| **line != head);
    assert!(lines.next().is_some(), "{name} is missing");
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim)
        .collect()
}

struct Alarm {
    metric: String,
    period: u32,
    periods: u32,
    needed: u32,
    threshold: u32,
}

impl Alarm {
    fn parse(template: &str, name: &str) -> Self {
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

    /// Whether `count` events can raise it, no matter in which periods they occur.
    fn can_be_raised_by(&self, count: u32) -> bool {
        count / (self.threshold + 1) >= self.needed
    }

    /// Whether one event every `seconds` raises it eventually.
    fn is_raised_by_one_every(&self, seconds: u32) -> bool {
        self.period * self.periods <= 86_400 && self.period / seconds > self.threshold
    }
}

#[test]
fn sustained_rejections_raise_an_alarm_and_three_stray_posts_do_not() {
    const HOUR: u32 = 3_600;
    let template = template();
    let check = |name: &str, metric: &str, interval: u32| {
        let alarm = Alarm::parse(&template, name);
        assert_eq!(alarm.metric, metric, "{name}");
        assert!(!alarm.can_be_raised_by(3), "{name}");
        assert!(alarm.is_raised_by_one_every(interval), "{name}");
    };
    check("WebhookUnauthenticatedAlarm", "Webhooks", HOUR);
    check("WebhookInvalidAlarm", "Webhooks", HOUR);
    check("WebhookTooLargeAlarm", "Webhooks", HOUR);
    check("WebhookClientErrorAlarm", "4XXError", HOUR / 2);
}

#[test]
fn long_queue_raises_an_alarm_before_sqs_stops_searching_it() {
    let template = template();
    for name in connectors(&template) {
        let alarms = [
            ("Waiting", "ApproximateNumberOfMessagesVisible"),
            ("InFlight", "ApproximateNumberOfMessagesNotVisible"),
        ];
        let max_without_alarm: u32 = alarms
            .iter()
            .map(|(kind, metric)| {
                let alarm = Alarm::parse(&template, &format!("{name}{kind}Alarm"));
                assert_eq!(alarm.metric, *metric);
                alarm.threshold
            })
            .sum();
        assert!(max_without_alarm <= 100_000, "{name}: {max_without_alarm}");
    }
}

/// Nothing else shows these failures: no one reads the answer of a scheduled invocation
/// or of a resync's step.
#[test]
fn failed_schedule_or_resync_raises_an_alarm() {
    let template = template();
    struct Case {
        alarm: &'static str,
        metric: &'static str,
        dimension: &'static str,
    }
    let cases = [
        Case {
            alarm: "OperatorErrorAlarm",
            metric: "Errors",
            dimension: "- {Name: FunctionName, Value: !Ref OperatorFunction}",
        },
        Case {
            alarm: "ResyncFailedAlarm",
            metric: "ExecutionsFailed",
            dimension: "- {Name: StateMachineArn, Value: !Ref ResyncStateMachine}",
        },
    ];
    for case in cases {
        let name = case.alarm;
        let alarm = Alarm::parse(&template, name);
        assert_eq!(alarm.metric, case.metric);
        assert!(alarm.can_be_raised_by(1), "{name}");
        let lines = resource(&template, name);
        assert!(lines.contains(&case.dimension), "{name}");
        assert!(lines.contains(&"AlarmActions: [!Ref AlarmTopic]"));
    }
}

/// SQS's age of the oldest message may ignore messages received more than three times,
/// which in an outage is every message.
#[test]
fn retries_for_fifteen_minutes_raise_a_lasting_alarm() {
    /// The longest wait between two tries of a message, in seconds, unless an API asks for
    /// more.
    const MAX_WAIT: u32 = 900;
    let template = template();
    for name in connectors(&template) {
        let id = format!("{name}RetriedAlarm");
        let alarm = Alarm::parse(&template, &id);
        assert_eq!(alarm.metric, "RetriedAge", "{name}");
        assert_eq!(alarm.threshold, 900, "{name}");
        // A single message adds a data point only when it is retried.
        assert_eq!(alarm.needed, 1, "{name}");
        assert!(
            alarm.period * alarm.periods > MAX_WAIT + alarm.period,
            "{name}"
        );
        let lines = resource(&template, &id);
        for line in ["Statistic: Maximum", "TreatMissingData: notBreaching"] {
            assert!(lines.contains(&line), "{name}: {line}");
        }
        // One dimension only, so that all vendors share one metric.
        let dimensions = lines.iter().filter(|line| line.starts_with("- {Name: "));
        assert_eq!(dimensions.count(), 1, "{name}");
    }
}

/// The guide reads the URLs of the retained queues from the outputs to delete them.
#[test]
fn outputs_list_exactly_the_retained_queues() {
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
        let is_deleted = queue.contains(&"DeletionPolicy: Delete");
        let is_retained = queue.contains(&"DeletionPolicy: RetainExceptOnCreate");
        assert_ne!(is_deleted, is_retained, "{id}");
        let output = format!("  {id}Url:\n");
        assert_eq!(outputs.contains(&output), is_retained, "{id}");
        queues += 1;
    }
    assert!(queues >= 6, "{queues} queues found");
}

/// It is deleted by hand, as the queues are.
#[test]
fn table_is_retained_and_named_in_the_outputs() {
    let template = template();
    let (resources, outputs) = template.split_once("\nOutputs:\n").unwrap();
    let tables = resources_of_type(resources, "AWS::DynamoDB::Table");
    assert_eq!(tables, ["UserTable"]);
    let table = resource(resources, "UserTable");
    for line in [
        "DeletionPolicy: RetainExceptOnCreate",
        "UpdateReplacePolicy: Retain",
        "BillingMode: PAY_PER_REQUEST",
        "SSESpecification: {SSEEnabled: true}",
        "- {AttributeName: key, KeyType: HASH}",
    ] {
        assert!(table.contains(&line), "{line}");
    }
    assert!(outputs.contains("  UserTableName:\n"));
}

/// The lines of a role's statement, without comments.
fn statement<'a>(role: &[&'a str], sid: &str) -> Vec<&'a str> {
    let head = format!("- Sid: {sid}");
    let mut lines = role.iter().skip_while(|line| **line != head);
    assert!(lines.next().is_some(), "{sid} is missing");
    let lines = lines.take_while(|line| !line.starts_with("- Sid: ") && **line != "- !If");
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.copied().collect()
}

#[test]
fn no_connector_may_touch_the_items_or_wake_ups_of_another() {
    let template = template();
    for name in connectors(&template) {
        let role = resource(&template, &format!("{name}Role"));
        let own = name.to_lowercase();
        let keys = format!("dynamodb:LeadingKeys: \"{own}#*\"");
        assert_eq!(
            statement(&role, "Users"),
            [
                "Effect: Allow",
                "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:DeleteItem]",
                "Resource: !GetAtt UserTable.Arn",
                "Condition:",
                "ForAllValues:StringLike:",
                &keys,
            ]
        );
        let group = format!(
            "Resource: !Sub arn:${{AWS::Partition}}:scheduler:${{AWS::Region}}:${{AWS::AccountId}}:schedule/${{{name}WakeUps}}/*"
        );
        assert_eq!(
            statement(&role, "WakeUps"),
            [
                "Effect: Allow",
                "Action: [scheduler:CreateSchedule, scheduler:DeleteSchedule]",
                &group,
            ]
        );
        let passed = format!("Resource: !GetAtt {name}WakeUpRole.Arn");
        assert_eq!(
            statement(&role, "WakeUpRole"),
            [
                "Effect: Allow",
                "Action: iam:PassRole",
                &passed,
                "Condition:",
                "StringEquals:",
                "iam:PassedToService: scheduler.amazonaws.com",
            ]
        );
        for (service, statements) in [("dynamodb:", 4), ("scheduler:", 3), ("iam:", 2)] {
            let text = role.join("\n");
            assert_eq!(
                text.matches(service).count(),
                statements,
                "{name}: {service}"
            );
        }
    }
}

/// AWS takes only a FIFO queue that deduplicates by content, since Scheduler sends no
/// deduplication id. The local AWS takes any.
#[test]
fn wake_up_may_only_send_to_its_connectors_queue_which_takes_it() {
    let template = template();
    for name in connectors(&template) {
        let role = resource(&template, &format!("{name}WakeUpRole"));
        let queue = format!("Resource: !GetAtt {name}Queue.Arn");
        assert_eq!(
            statement(&role, "Queue"),
            ["Effect: Allow", "Action: sqs:SendMessage", &queue]
        );
        let sids = role.iter().filter(|line| line.starts_with("- Sid: "));
        assert_eq!(sids.count(), 1, "{name}");
        assert!(!role.iter().any(|line| line.starts_with("ManagedPolicy")));
        let group = format!("aws:SourceArn: !GetAtt {name}WakeUps.Arn");
        for line in [
            "Principal: {Service: scheduler.amazonaws.com}",
            "aws:SourceAccount: !Ref AWS::AccountId",
            &group,
        ] {
            assert!(role.contains(&line), "{name}: {line}");
        }
        let queue = resource(&template, &format!("{name}Queue"));
        assert!(queue.contains(&"ContentBasedDeduplication: true"), "{name}");
        let kind = resource(&template, &format!("{name}WakeUps"));
        assert_eq!(kind.first(), Some(&"Type: AWS::Scheduler::ScheduleGroup"));
    }
}

/// Syncs go on meanwhile, so an outage of minutes is not worth an e-mail.
#[test]
fn lasting_failures_of_table_and_wake_ups_raise_an_alarm() {
    const HOUR: u32 = 3_600;
    let template = template();
    for name in connectors(&template) {
        for (kind, metric) in [("UserTable", "UserTableErrors"), ("WakeUp", "WakeUpErrors")] {
            let id = format!("{name}{kind}Alarm");
            let alarm = Alarm::parse(&template, &id);
            assert_eq!(alarm.metric, metric, "{id}");
            assert_eq!(alarm.threshold, 0, "{id}");
            // A short outage is in two periods at most.
            assert!(alarm.needed >= 3, "{id}");
            // An event every two hours is enough.
            assert!(
                alarm.period * alarm.periods >= alarm.needed * 2 * HOUR,
                "{id}"
            );
            let lines = resource(&template, &id);
            for line in [
                "Namespace: SesamyCrmSync",
                "Statistic: Sum",
                "TreatMissingData: notBreaching",
                "AlarmActions: [!Ref AlarmTopic]",
                &format!("- {{Name: FunctionName, Value: !Ref {name}Function}}"),
            ] {
                assert!(lines.contains(&line), "{id}: {line}");
            }
        }
    }
}

/// Aliases let a policy allow only one kind of request.
#[test]
fn each_connector_has_one_alias_per_kind_of_request() {
    let template = template();
    for name in connectors(&template) {
        for (alias, kind) in [("ask", "Ask"), ("forget", "Forget")] {
            let lines = resource(&template, &format!("{name}{kind}Alias"));
            let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            let expected = [
                "Type: AWS::Lambda::Alias".to_owned(),
                format!("FunctionName: !Ref {name}Function"),
                // Nothing publishes versions, so the alias points to the deployed code.
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
fn firewall_asks_refused_senders_to_retry() {
    let template = template();
    let firewall = resource(&template, "WebhookFirewall").concat();
    assert!(firewall.contains("ResponseCode: 429"), "{firewall}");
    assert!(firewall.contains("Name: Retry-After"), "{firewall}");
}

/// A refresh asks again. That of a user reads Sesamy for each connector.
#[test]
fn dashboard_asks_the_function_that_shows_and_no_other() {
    let template = template();
    let dashboard = resource(&template, "Dashboard").concat();
    let custom: Vec<_> = dashboard.split(r#""type": "custom""#).skip(1).collect();
    let shown = [("dead-letters", true), ("runs", true), ("user", false)];
    assert_eq!(custom.len(), shown.len());
    for (widget, (name, on_refresh)) in custom.into_iter().zip(shown) {
        for part in [
            r#""endpoint": "${WidgetsFunction.Arn}""#,
            &format!(r#""params": {{"widget": "{name}"}}"#),
            &format!(r#""refresh": {on_refresh}, "resize": false, "timeRange": false"#),
        ] {
            assert!(widget.contains(part), "{name}: {part}");
        }
    }
    assert!(!dashboard.contains("WidgetActionsFunction"));
}

/// The parts of this system's own metrics that alarms and dashboard use: names of metrics
/// and dimensions, and values of dimensions.
fn watched_words(template: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut ours = false;
    for line in template.lines().map(str::trim) {
        if let Some(namespace) = line.strip_prefix("Namespace: ") {
            ours = namespace == "SesamyCrmSync";
        }
        let terms = if ours && line.starts_with("MetricName: ") {
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
        words.extend(terms.split(',').map(str::to_owned));
    }
    // The references are function names.
    words.retain(|word| !word.is_empty() && !word.starts_with("!Ref ") && !word.contains('$'));
    words
}

/// The deployed code without its unit tests.
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
fn alarms_and_dashboard_use_metrics_that_the_code_counts() {
    let (watched, sources) = (watched_words(&template()), sources());
    // Proves that the template was parsed.
    let known = [
        "Webhooks",
        "Syncs",
        "RetriedAge",
        "ApiCalls",
        "Outcome",
        "refused",
        "429",
        "sesamy",
    ];
    for word in known {
        assert!(watched.contains(word), "{word}: {watched:?}");
    }
    for word in watched {
        assert!(
            sources.contains(&format!("\"{word}\"")),
            "the code never counts {word}"
        );
    }
}

/// AWS stops a function that invokes itself through SQS after about 16 rounds. The local
/// AWS does not. A wake-up is no such loop: Scheduler sends it, a minute later at least.
#[test]
fn no_function_can_invoke_itself_through_a_queue() {
    let template = template();
    let functions = resources_of_type(&template, "AWS::Serverless::Function");
    assert!(functions.len() >= 5, "{functions:?}");
    for id in functions {
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
        assert!(!invokes_itself, "{id}");
    }
    assert!(!template.contains("RecursiveLoop"));
}

fn resources_of_type<'a>(template: &'a str, kind: &str) -> Vec<&'a str> {
    let ids = template
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric()));
    let kind = format!("Type: {kind}");
    ids.filter(|id| resource(template, id).first() == Some(&kind.as_str()))
        .collect()
}

/// The statements that a role has only under a condition of the template.
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
fn customer_key_decrypts_only_through_secrets_manager() {
    let template = template();
    let mut roles_with_secrets = 0;
    for id in resources_of_type(&template, "AWS::IAM::Role") {
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
        roles_with_secrets += u32::from(reads);
    }
    assert!(roles_with_secrets >= 5, "{roles_with_secrets}");
}

/// X-Ray samples the first request of each second, which is nearly every request
/// of a quiet stack, and charges for each.
#[test]
fn tracing_is_off_by_default() {
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
    let functions = resources_of_type(&template, "AWS::Serverless::Function").len();
    let mut writers = 0;
    for id in resources_of_type(&template, "AWS::IAM::Role") {
        let role = resource(&template, id);
        let all = role.iter().filter(|line| line.contains("xray:")).count();
        let conditional = allowed_if(&role, "HasTracing");
        assert_eq!(all, conditional.matches("Action: [xray:").count(), "{id}");
        writers += all;
    }
    assert_eq!(writers, functions);
}

/// Documented: API Gateway rejects the account's settings before the account's first API
/// exists. The local AWS accepts them.
#[test]
fn role_for_access_logs_is_set_after_the_api_exists() {
    let template = template();
    let account = resource(&template, "AccessLogAccount");
    assert!(account.contains(&"DependsOn: WebhookApi"), "{account:?}");
}
