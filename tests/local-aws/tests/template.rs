//! The blocks of the connectors in `template.yaml` repeat each other, and so
//! must not drift apart.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what breaks here must fail the test"
)]

use std::collections::BTreeMap;

fn template() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The blocks by the connector's name, without comments and blank lines, and
/// with a placeholder for the name.
fn blocks(template: &str) -> BTreeMap<String, Vec<String>> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in template.lines() {
        if let Some((_, name)) = line.split_once("- begin connector ") {
            assert!(open.is_none(), "{name} begins within another block");
            open = Some((name.to_owned(), Vec::new()));
        } else if let Some((_, name)) = line.split_once("- end connector ") {
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
    let blocks = blocks(&template());
    let (first, expected) = blocks.first_key_value().expect("no connector at all");
    for (name, block) in &blocks {
        for (found, wanted) in block.iter().zip(expected) {
            assert_eq!(found, wanted, "{name} differs from {first}");
        }
        assert_eq!(block.len(), expected.len(), "{name} and {first}");
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
