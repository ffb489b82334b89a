//! What an operator sees of the deployed stack: traces and the dashboard.

use std::collections::{BTreeMap, BTreeSet};

use local_aws::{Connector, Function, Result, Stack, eventually};
use serde_json::Value;
use stand_ins::{Api, Fault, User};

use crate::stage::{SOON, on_stage};

/// The log lines of a function, those of metrics among them.
async fn lines(stack: &Stack<'_>, function: Function) -> Result<Vec<Value>> {
    let lines = stack.logs(function).await?;
    let lines = lines.iter().map(|line| serde_json::from_str(line).ok());
    Ok(lines.flatten().collect())
}

#[test]
fn one_trace_leads_from_the_webhook_to_the_calls_of_the_crm() {
    on_stage(async |stage| {
        let publisher = stage.publisher("traced");
        let user = User::new("email|tea").email("tea.traced@example.com");
        publisher.sesamy.put_user(user);
        let event = publisher.announce("userVendor.1#new", "email|tea").await?;

        let answered = eventually("the line of the webhook", SOON, async || {
            let mut lines = lines(&stage.stack, Function::Webhook).await?.into_iter();
            Ok(lines.find(|line| line["event_id"] == event.as_str()))
        });
        let trace = answered.await?["trace_id"].clone();
        assert!(
            trace
                .as_str()
                .is_some_and(|trace| trace.starts_with("Root=1-"))
        );

        let of_trace = eventually("the lines of the sync", SOON, async || {
            let lines = lines(&stage.stack, Connector::Rule.function()).await?;
            let ended = |line: &&Value| line["event_ids"] == event.as_str();
            let Some(ended) = lines.iter().find(ended) else {
                return Ok(None);
            };
            assert_eq!(ended["trace_id"], trace, "{ended}");
            let of_trace = lines
                .iter()
                .filter(|line| line["span"]["trace_id"] == trace);
            Ok(Some(of_trace.cloned().collect::<Vec<_>>()))
        });
        let of_trace = of_trace.await?;
        let apis: BTreeSet<_> = of_trace
            .iter()
            .filter_map(|line| line["api"].as_str())
            .collect();
        assert!(
            apis.is_superset(&BTreeSet::from(["sesamy", "rule"])),
            "{of_trace:#?}"
        );
        Ok(())
    });
}

/// A metric that the stack counts itself: function, name and dimensions.
type Metric = (String, String, BTreeSet<String>);

/// The metrics that a line in CloudWatch's embedded metric format tells.
fn told(line: &Value) -> Vec<Metric> {
    let told = |part| line.pointer(&format!("/_aws/CloudWatchMetrics/0/{part}"));
    let dimensions = told("Dimensions/0").and_then(Value::as_array);
    let dimensions: BTreeSet<_> = dimensions.into_iter().flatten().map(word).collect();
    let function = line.get("FunctionName").map(word).unwrap_or_default();
    let metrics = told("Metrics").and_then(Value::as_array);
    let names = metrics
        .into_iter()
        .flatten()
        .filter_map(|metric| metric.get("Name"));
    names
        .map(|name| (function.clone(), word(name), dimensions.clone()))
        .collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The metrics of this system's own that a dashboard shows.
fn shown(dashboard: &Value) -> BTreeSet<Metric> {
    let list = |value: &Value, pointer| -> Vec<Value> {
        let list = value.pointer(pointer).and_then(Value::as_array);
        list.unwrap().clone()
    };
    let widgets = list(dashboard, "/widgets").into_iter();
    // The others ask the logs, not the metrics.
    let widgets = widgets.filter(|widget| widget["type"] == "metric");
    let rows = widgets.flat_map(|widget| list(&widget, "/properties/metrics"));
    rows.filter_map(|row| plain(&row).or_else(|| searched(&row)))
        .collect()
}

/// The metric of a row that names it.
fn plain(row: &Value) -> Option<Metric> {
    let words: Vec<_> = row.as_array()?.iter().filter_map(Value::as_str).collect();
    let ["SesamyCrmSync", name, dimensions @ ..] = words.as_slice() else {
        return None;
    };
    let pairs = dimensions.chunks_exact(2).filter_map(|pair| match pair {
        [name, value] => Some((*name, *value)),
        _ => None,
    });
    let dimensions: BTreeMap<_, _> = pairs.collect();
    let function = dimensions.get("FunctionName").copied().unwrap_or_default();
    let names = dimensions.keys().map(ToString::to_string).collect();
    Some((function.to_owned(), (*name).to_owned(), names))
}

/// The metric of a row that searches for it.
fn searched(row: &Value) -> Option<Metric> {
    let expression = row.pointer("/0/expression")?.as_str()?;
    let (_, search) = expression.split_once("{SesamyCrmSync,")?;
    let (dimensions, terms) = search.split_once('}')?;
    let term = |name: &str| {
        let (_, after) = terms.split_once(&format!("{name}=\""))?;
        Some(after.split_once('"')?.0.to_owned())
    };
    let dimensions = dimensions.split(',').map(str::to_owned).collect();
    Some((term("FunctionName")?, term("MetricName")?, dimensions))
}

#[test]
fn what_the_dashboard_shows_is_what_the_functions_count() {
    on_stage(async |stage| {
        let publisher = stage.publisher("watched");
        publisher.other_crms().await?;
        let user = User::new("email|wat").email("wat.watched@example.com");
        publisher.sesamy.put_user(user);
        // Each connector puts the first event back, and does the second.
        let down = Fault::status(503).on(Api::Sesamy).path("/users/*");
        let down = stage.stand_ins.fault(down.account(publisher.id));
        publisher.announce("userVendor.1#new", "email|late").await?;
        for connector in Connector::ALL {
            eventually("a message to be put back", SOON, async || {
                let lines = lines(&stage.stack, connector.function()).await?;
                let retried =
                    |line: &Value| line["outcome"] == "retry" && line["vendor_id"] == publisher.id;
                Ok(lines.iter().any(retried).then_some(()))
            })
            .await?;
        }
        stage.stand_ins.remove_fault(down);
        publisher.announce("userVendor.1#new", "email|wat").await?;

        let dashboard = stage.stack.dashboard().await?;
        let shown = shown(&dashboard);
        let functions: BTreeSet<_> = shown.iter().map(|(function, ..)| function).collect();
        assert_eq!(functions.len(), 1 + Connector::ALL.len(), "{functions:?}");
        let labels = dashboard.to_string();
        assert!(labels.contains("${PROP('Dim.Outcome')}"), "{labels}");

        let mut missing = BTreeSet::new();
        let counted = eventually("all that the dashboard shows", SOON, async || {
            let mut counted = BTreeSet::new();
            let connectors = Connector::ALL.map(Connector::function);
            for function in connectors.into_iter().chain([Function::Webhook]) {
                let lines = lines(&stage.stack, function).await?;
                counted.extend(lines.iter().flat_map(told));
            }
            missing = shown.difference(&counted).cloned().collect();
            Ok(missing.is_empty().then_some(()))
        });
        let counted = counted.await;
        assert!(counted.is_ok(), "never counted: {missing:#?}");
        Ok(())
    });
}
