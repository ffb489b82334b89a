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
fn the_operator_may_use_only_the_connectors_queues() {
    let template = template();
    let each = |kind: &str| -> Vec<_> {
        let names = connectors(&template).into_iter();
        names.map(|name| format!("{name}{kind}")).collect()
    };
    let cases = [
        ("Queues", each("Queue")),
        ("DeadLetters", each("DeadLetterQueue")),
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
fn only_commands_the_state_machine_and_the_schedule_invoke_the_operator() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let sources = function.iter().filter(|line| {
        line.starts_with("Type: ")
            || line.starts_with("Events:")
            || line.starts_with("FunctionUrlConfig:")
    });
    assert_eq!(
        sources.collect::<Vec<_>>(),
        [&"Type: AWS::Serverless::Function"]
    );
    let invokers: Vec<_> = ["ResyncRole", "ReconcileRole"]
        .into_iter()
        .filter(|role| {
            let role = resource(&template, role);
            role.contains(&"Action: lambda:InvokeFunction")
                && role.contains(&"Resource: !GetAtt OperatorFunction.Arn")
        })
        .collect();
    let all = template.matches("Action: lambda:InvokeFunction").count();
    assert_eq!(invokers.len(), all);
    assert!(!template.contains("FunctionName: !Ref OperatorFunction\n"));
}

/// The state machine must not give a step up before Lambda does.
#[test]
fn a_step_may_take_as_long_as_the_function() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let timeout = function
        .iter()
        .find_map(|line| line.strip_prefix("Timeout: "));
    let timeout: u64 = timeout.unwrap().parse().unwrap();
    let definition = include_str!("../../resync.asl.json");
    let definition: serde_json::Value = serde_json::from_str(definition).unwrap();
    let step = definition["States"]["Step"]["TimeoutSeconds"]
        .as_u64()
        .unwrap();
    assert!(timeout < step);
    // A repeated step is dropped by the queues for five minutes.
    assert!(2 * step < 300);
}
