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
        "Webhooks", "Syncs", "ApiCalls", "Outcome", "refused", "429", "sesamy",
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
