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
    let role = resource(&template, "OperatorRole");
    let resources: Vec<_> = role
        .iter()
        .filter(|line| line.starts_with("Resource:"))
        .collect();
    assert_eq!(
        resources,
        [
            &"Resource: !GetAtt OperatorLogGroup.Arn",
            &list("Queue").as_str(),
            &list("DeadLetterQueue").as_str(),
        ]
    );
    assert!(!resources.iter().any(|line| line.contains('*')));
}

#[test]
fn nothing_but_a_person_invokes_the_operator() {
    let template = template();
    let function = resource(&template, "OperatorFunction");
    assert!(!function.iter().any(|line| line.starts_with("Events:")));
    assert!(
        !function
            .iter()
            .any(|line| line.starts_with("FunctionUrlConfig:"))
    );
}
