//! The template names every connector to the operator: one that it does not
//! know is one whose dead letters nobody can bring home.

#![expect(clippy::unwrap_used, reason = "what breaks here must fail the test")]

fn template() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The lines of a resource.
fn resource<'a>(template: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("  {name}:");
    let mut lines = template.lines().skip_while(|line| **line != head);
    lines.next().unwrap();
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim)
        .collect()
}

fn connectors(template: &str) -> Vec<&str> {
    let begins = template
        .lines()
        .filter_map(|line| line.split_once("- begin connector "));
    begins.map(|(_, name)| name).collect()
}

#[test]
fn the_operator_knows_every_connector() {
    let template = template();
    let names = connectors(&template);
    assert!(!names.is_empty());
    let function = resource(&template, "OperatorFunction");
    for name in &names {
        let line = format!(
            "!Sub {}=${{{name}Queue}},${{{name}DeadLetterQueue}}",
            name.to_lowercase()
        );
        let count = function.iter().filter(|found| found.ends_with(&line));
        assert_eq!(count.count(), 1, "{line}");
    }
    let named = function.iter().filter(|line| line.contains("!Sub "));
    assert_eq!(named.count(), names.len());
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
fn the_operator_may_use_these_queues_and_no_others() {
    let template = template();
    let list = |kind: &str| {
        let queues = connectors(&template)
            .into_iter()
            .map(|name| format!("!GetAtt {name}{kind}.Arn"));
        let queues: Vec<_> = queues.collect();
        format!("Resource: [{}]", queues.join(", "))
    };
    let cases = [
        ("Queues", list("Queue")),
        ("DeadLetters", list("DeadLetterQueue")),
        ("Ticks", "Resource: !GetAtt OperatorQueue.Arn".to_owned()),
        ("Resyncs", "Resource: !GetAtt ResyncTable.Arn".to_owned()),
    ];
    for (sid, expected) in cases {
        let statement = statement(&template, sid);
        let resources = statement
            .iter()
            .filter(|line| line.starts_with("Resource:"));
        assert_eq!(resources.collect::<Vec<_>>(), [&expected.as_str()], "{sid}");
    }
}

#[test]
fn the_operator_may_ask_which_connectors_a_vendor_has_and_open_none() {
    let template = template();
    let names = |sid: &str| {
        let statement = statement(&template, sid);
        let arns = statement.into_iter().filter_map(|line| {
            let (_, name) = line.split_once(":secret:${SecretPrefix}/")?;
            Some(name.to_owned())
        });
        arns.collect::<Vec<_>>()
    };
    // Each as it is, and with the six characters that Secrets Manager adds.
    let both = |names: &[String]| {
        let both = names
            .iter()
            .flat_map(|name| [format!("{name}-??????"), name.clone()]);
        both.collect::<Vec<_>>()
    };
    // Not the tokens of webhooks: which vendors there are, names of secrets tell.
    assert_eq!(names("Credentials"), both(&["*/sesamy".to_owned()]));
    let vendors = ["Action: secretsmanager:ListSecrets", "Resource: \"*\""];
    for line in vendors {
        assert!(statement(&template, "Vendors").contains(&line), "{line}");
    }
    let mut asked = vec!["*/sesamy".to_owned()];
    asked.extend(
        connectors(&template)
            .iter()
            .map(|name| format!("*/{}", name.to_lowercase())),
    );
    assert_eq!(names("Connectors"), both(&asked));
    assert!(statement(&template, "Connectors").contains(&"Action: secretsmanager:DescribeSecret"));
}

#[test]
fn nothing_but_a_person_its_own_queue_and_the_schedule_invokes_the_operator() {
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

/// What a step that died has sent is swallowed when it is done again only if
/// that is soon enough, and it must not be done again while it still runs.
#[test]
fn a_step_is_done_again_after_its_time_and_within_what_the_queues_remember() {
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
