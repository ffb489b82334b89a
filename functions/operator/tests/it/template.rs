//! The template gives the operator every connector, and no more rights than it needs.

fn template() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).unwrap()
}

fn resource<'a>(template: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("  {name}:");
    let mut lines = template.lines().skip_while(|line| **line != head);
    lines.next().unwrap();
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim)
        .collect()
}

/// The connectors that the template is generated for (`.ci/template.py`).
fn connectors(template: &str) -> Vec<&str> {
    let mut lines = template.lines();
    let names = lines.find_map(|line| line.strip_prefix("# connectors: "));
    names.unwrap().split(' ').collect()
}

#[test]
fn the_operator_knows_every_connector() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let known = function.iter().filter(|line| line.starts_with("- !Sub "));
    let known: Vec<_> = known.map(|line| (*line).to_owned()).collect();
    let names = connectors(&template).into_iter();
    let expected = names.map(|name| {
        let lower = name.to_lowercase();
        format!("- !Sub {lower}=${{{name}Queue}},${{{name}DeadLetterQueue}}")
    });
    assert_eq!(known, expected.collect::<Vec<_>>());
}

/// The lines of a statement of the operator's role.
fn statement<'a>(template: &'a str, sid: &str) -> Vec<&'a str> {
    let role = resource(template, "OperatorRole");
    let head = format!("- Sid: {sid}");
    let lines = role.into_iter().skip_while(|line| **line != head).skip(1);
    let lines: Vec<_> = lines
        .take_while(|line| !line.starts_with("- Sid: "))
        .collect();
    assert!(!lines.is_empty(), "there is no statement {sid}");
    lines
}

#[test]
fn the_operator_may_use_only_its_queues_and_table() {
    let template = template();
    let each = |kind: &str| {
        let names = connectors(&template).into_iter();
        names.map(|name| format!("{name}{kind}")).collect()
    };
    let cases = [
        ("Queues", each("Queue")),
        ("DeadLetters", each("DeadLetterQueue")),
        ("Ticks", vec!["OperatorQueue".to_owned()]),
        ("Resyncs", vec!["ResyncTable".to_owned()]),
    ];
    for (sid, expected) in cases {
        let lines = statement(&template, sid);
        let lines = lines
            .iter()
            .skip_while(|line| !line.starts_with("Resource:"));
        let resources = lines.filter(|line| !line.starts_with('#') && **line != "Resource:");
        let allowed: Vec<_> = resources.copied().collect();
        let arns = allowed.iter().filter_map(|line| {
            let (_, name) = line.split_once("!GetAtt ")?;
            Some(name.trim_end_matches(".Arn").to_owned())
        });
        assert_eq!(arns.collect::<Vec<_>>(), expected, "{sid}");
        assert_eq!(allowed.len(), expected.len(), "{sid}: {allowed:?}");
    }
}

#[test]
fn the_operator_may_describe_connector_secrets_but_not_read_them() {
    let template = template();
    let names = |sid: &str| {
        let statement = statement(&template, sid);
        let arns = statement.into_iter().filter_map(|line| {
            let (_, name) = line.split_once(":secret:${SecretPrefix}/")?;
            Some(name.to_owned())
        });
        arns.collect::<Vec<_>>()
    };
    // Each with and without the six characters that Secrets Manager adds.
    let both = |names: &[String]| {
        let both = names
            .iter()
            .flat_map(|name| [format!("{name}-??????"), name.clone()]);
        both.collect::<Vec<_>>()
    };
    let sesamy = "*/sesamy".to_owned();
    // Not the tokens of webhooks: the names of secrets tell which vendors there are.
    assert_eq!(names("Credentials"), both(std::slice::from_ref(&sesamy)));
    let vendors = ["Action: secretsmanager:ListSecrets", "Resource: \"*\""];
    for line in vendors {
        assert!(statement(&template, "Vendors").contains(&line), "{line}");
    }
    let connectors = connectors(&template);
    let connectors = connectors
        .iter()
        .map(|name| format!("*/{}", name.to_lowercase()));
    let described: Vec<_> = [sesamy].into_iter().chain(connectors).collect();
    assert_eq!(names("Connectors"), both(&described));
    assert!(statement(&template, "Connectors").contains(&"Action: secretsmanager:DescribeSecret"));
}

#[test]
fn only_commands_its_own_queue_and_the_schedule_invoke_the_operator() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let sources: Vec<_> = function
        .iter()
        .filter(|line| line.starts_with("Type: "))
        .collect();
    assert_eq!(sources, [&"Type: AWS::Serverless::Function", &"Type: SQS"]);
    assert!(function.contains(&"Queue: !GetAtt OperatorQueue.Arn"));
    assert!(
        !function
            .iter()
            .any(|line| line.starts_with("FunctionUrlConfig:"))
    );
    let invokers = template
        .lines()
        .filter(|line| line.contains("FunctionName: !Ref OperatorFunction"));
    let permissions = invokers.filter(|line| !line.contains('{')).count();
    assert_eq!(permissions, 1);
    let permission = resource(&template, "ReconcilePermission");
    assert!(permission.contains(&"SourceArn: !GetAtt ReconcileRule.Arn"));
}

/// A step must not be repeated while it still runs, and soon enough that the queues
/// drop what it sent before as duplicates.
#[test]
fn a_step_is_repeated_after_its_timeout_and_within_the_deduplication_time() {
    let template = template();
    let number = |resource_name: &str, key: &str| {
        let lines = resource(&template, resource_name);
        let found = lines.iter().find_map(|line| line.strip_prefix(key));
        found.unwrap().trim().parse::<u32>().unwrap()
    };
    let timeout = number("OperatorFunction", "Timeout:");
    let visibility = number("OperatorQueue", "VisibilityTimeout:");
    assert!(timeout < visibility);
    // Twice within SQS's five minutes.
    assert!(2 * visibility + timeout < 300);
}
