//! The template gives the operator every connector, and no more rights than it needs.

use serde_json::Value;

fn template() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).unwrap()
}

fn resource<'a>(template: &'a str, name: &str) -> Vec<&'a str> {
    let lines = template.lines();
    let lines = lines.skip_while(|line| **line != format!("  {name}:"));
    let lines = lines.skip(1).map(|line| (line, line.trim()));
    let lines = lines.take_while(|(line, _)| line.is_empty() || line.starts_with("    "));
    let lines = lines.map(|(_, line)| line);
    lines.filter(|line| !line.starts_with('#')).collect()
}

/// For each connector that the template is generated for (`.ci/template.py`).
fn each(template: &str, of: impl Fn(&str) -> String) -> Vec<String> {
    let mut lines = template.lines();
    let names = lines.find_map(|line| line.strip_prefix("# connectors: "));
    names.unwrap().split(' ').map(of).collect()
}

/// Action and resources of a statement of the operator's role.
fn statement<'a>(template: &'a str, sid: &str) -> (&'a str, Vec<&'a str>) {
    let role = resource(template, "OperatorRole").into_iter();
    let lines = role.skip_while(|line| *line != format!("- Sid: {sid}"));
    let lines: Vec<_> = lines
        .skip(1)
        .take_while(|line| !line.starts_with("- Sid: "))
        .collect();
    let action = lines.iter().find_map(|line| line.strip_prefix("Action: "));
    let resources = lines.iter().skip_while(|line| **line != "Resource:");
    let resources = resources.filter_map(|line| line.strip_prefix("- "));
    (action.unwrap_or_default(), resources.collect())
}

#[test]
fn the_operator_knows_every_connector() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let known = function.iter().filter(|line| line.starts_with("- !Sub "));
    let expected = each(&template, |name| {
        let lower = name.to_lowercase();
        format!("- !Sub {lower}=${{{name}Queue}},${{{name}DeadLetterQueue}}")
    });
    assert_eq!(
        known.collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
}

#[test]
fn the_operator_may_use_only_the_connectors_queues() {
    let template = template();
    for (sid, kind) in [("Queues", "Queue"), ("DeadLetters", "DeadLetterQueue")] {
        let expected = each(&template, |name| format!("!GetAtt {name}{kind}.Arn"));
        assert_eq!(statement(&template, sid).1, expected, "{sid}");
    }
}

#[test]
fn the_operator_may_describe_connector_secrets_but_not_read_them() {
    let template = template();
    // Each with and without the six characters that Secrets Manager adds.
    let secret = |name: &str| {
        let arn = "!Sub arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretPrefix}";
        ["-??????", ""].map(|end| format!("{arn}/*/{}{end}", name.to_lowercase()))
    };
    let names = each(&template, str::to_owned);
    let described = names.iter().flat_map(|name| secret(name));
    let described: Vec<_> = secret("sesamy").into_iter().chain(described).collect();
    // Not the tokens of webhooks: the names of secrets tell which vendors there are.
    let cases = [
        (
            "Credentials",
            "secretsmanager:GetSecretValue",
            secret("sesamy").to_vec(),
        ),
        ("Connectors", "secretsmanager:DescribeSecret", described),
        ("Vendors", "secretsmanager:ListSecrets", vec![]),
    ];
    for (sid, action, resources) in cases {
        let expected: Vec<_> = resources.iter().map(String::as_str).collect();
        assert_eq!(statement(&template, sid), (action, expected), "{sid}");
    }
    let all = template.matches("secretsmanager:GetSecretValue").count();
    assert_eq!(
        all,
        2 + names.len(),
        "of the webhook, the connectors and the operator"
    );
}

#[test]
fn only_commands_the_state_machine_the_schedule_and_the_widgets_invoke_the_operator() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    for source in ["Events:", "FunctionUrlConfig:"] {
        assert!(!function.contains(&source), "{source}");
    }
    let invoke = "Action: lambda:InvokeFunction";
    for role in ["ResyncRole", "ReconcileRole", "WidgetActionsRole"] {
        let role = resource(&template, role);
        assert!(role.contains(&invoke) && role.contains(&"Resource: !GetAtt OperatorFunction.Arn"));
    }
    // The one that only shows may invoke aliases that only read.
    let shows = resource(&template, "WidgetsRole");
    let mut lines = shows.iter().skip_while(|line| **line != "- Sid: Ask");
    let mut aliases = lines
        .by_ref()
        .skip_while(|line| **line != "Resource:")
        .skip(1)
        .copied()
        .collect::<Vec<_>>();
    aliases.retain(|line| !line.is_empty());
    let mut expected = vec!["- !Ref OperatorAskAlias".to_owned()];
    expected.extend(each(&template, |name| format!("- !Ref {name}AskAlias")));
    assert_eq!(aliases, expected);
    assert_eq!(template.matches(invoke).count(), 4);
    // An alias, and no permission for a service.
    assert!(!template.contains("AWS::Lambda::Permission"));
}

#[test]
fn the_state_machine_waits_for_a_step_and_does_what_it_answers() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    let mut lines = function.iter();
    let timeout = lines.find_map(|line| line.strip_prefix("Timeout: "));
    let definition = include_str!("../../resync.asl.json");
    let definition: Value = serde_json::from_str(definition).unwrap();
    let states = &definition["States"];
    let step = states["Step"]["TimeoutSeconds"].as_u64().unwrap();
    assert!(timeout.unwrap().parse::<u64>().unwrap() < step);
    // A repeated step is dropped by the queues for five minutes.
    assert!(2 * step < 300);
    for (choice, [next, state]) in [
        ["wait", "Wait"],
        ["finish", "Finished"],
        ["hand_over", "HandOver"],
    ]
    .iter()
    .enumerate()
    {
        let choice = &states["Decide"]["Choices"][choice];
        assert_eq!(
            (&choice["StringEquals"], &choice["Next"]),
            (&(*next).into(), &(*state).into())
        );
    }
    assert_eq!(states["Decide"]["Default"], "Failed");
    assert_eq!(states["Wait"]["SecondsPath"], "$.waitSeconds");
    assert_eq!(states["Failed"]["CausePath"], "$.reason");
}
