//! Traces and the dashboard.

use std::collections::{BTreeMap, BTreeSet};

use fakes::{Api, Fault};
use harness::{Connector, Function, Result, Stack, eventually};
use serde_json::Value;

use crate::environment::{SOON, run_test};

/// The JSON lines of a function's log, which include its metrics.
async fn lines(stack: &Stack<'_>, function: Function) -> Result<Vec<Value>> {
    let lines = stack.logs(function).await?;
    let lines = lines.iter().map(|line| serde_json::from_str(line).ok());
    Ok(lines.flatten().collect())
}

#[test]
fn one_trace_covers_the_webhook_and_the_calls_to_the_crm() {
    run_test(async |env| {
        let publisher = env.publisher("traced");
        publisher.put_user("email|tea", "tea.traced@example.com");
        let event = publisher.announce("userVendor.1#new", "email|tea").await?;

        let webhook_line = eventually("the line of the webhook", SOON, async || {
            let mut lines = lines(&env.stack, Function::Webhook).await?.into_iter();
            Ok(lines.find(|line| line["event_id"] == event.as_str()))
        });
        let trace = webhook_line.await?["trace_id"].clone();
        assert!(
            trace
                .as_str()
                .is_some_and(|trace| trace.starts_with("Root=1-"))
        );

        let trace_lines = eventually("the lines of the sync", SOON, async || {
            let lines = lines(&env.stack, Connector::Rule.function()).await?;
            let ended = |line: &&Value| line["event_ids"] == event.as_str();
            let Some(ended) = lines.iter().find(ended) else {
                return Ok(None);
            };
            assert_eq!(ended["trace_id"], trace, "{ended}");
            let trace_lines = lines
                .iter()
                .filter(|line| line["span"]["trace_id"] == trace);
            Ok(Some(trace_lines.cloned().collect::<Vec<_>>()))
        });
        let trace_lines = trace_lines.await?;
        let apis: BTreeSet<_> = trace_lines
            .iter()
            .filter_map(|line| line["api"].as_str())
            .collect();
        assert!(
            apis.is_superset(&BTreeSet::from(["sesamy", "rule"])),
            "{trace_lines:#?}"
        );
        Ok(())
    });
}

/// One of this system's metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    function: String,
    name: String,
    dimensions: BTreeSet<String>,
}

/// The metrics in a log line that has CloudWatch's embedded metric format.
fn counted_metrics(line: &Value) -> Vec<Metric> {
    let part = |part| line.pointer(&format!("/_aws/CloudWatchMetrics/0/{part}"));
    let dimensions = part("Dimensions/0").and_then(Value::as_array);
    let dimensions: BTreeSet<_> = dimensions.into_iter().flatten().map(string).collect();
    let function = line.get("FunctionName").map(string).unwrap_or_default();
    let metrics = part("Metrics").and_then(Value::as_array);
    let names = metrics
        .into_iter()
        .flatten()
        .filter_map(|metric| metric.get("Name"));
    names
        .map(|name| Metric {
            function: function.clone(),
            name: string(name),
            dimensions: dimensions.clone(),
        })
        .collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// This system's metrics that a dashboard shows.
fn shown_metrics(dashboard: &Value) -> BTreeSet<Metric> {
    let list = |value: &Value, pointer| -> Vec<Value> {
        let list = value.pointer(pointer).and_then(Value::as_array);
        list.unwrap().clone()
    };
    let widgets = list(dashboard, "/widgets").into_iter();
    // The other widgets query logs.
    let widgets = widgets.filter(|widget| widget["type"] == "metric");
    let rows = widgets.flat_map(|widget| list(&widget, "/properties/metrics"));
    rows.filter_map(|row| named_metric(&row).or_else(|| searched_metric(&row)))
        .collect()
}

/// The metric of a row that names it.
fn named_metric(row: &Value) -> Option<Metric> {
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
    Some(Metric {
        function: function.to_owned(),
        name: (*name).to_owned(),
        dimensions: names,
    })
}

/// The metric of a row that searches for it.
fn searched_metric(row: &Value) -> Option<Metric> {
    let expression = row.pointer("/0/expression")?.as_str()?;
    let (_, search) = expression.split_once("{SesamyCrmSync,")?;
    let (dimensions, terms) = search.split_once('}')?;
    let term = |name: &str| {
        let (_, after) = terms.split_once(&format!("{name}=\""))?;
        Some(after.split_once('"')?.0.to_owned())
    };
    let dimensions = dimensions.split(',').map(str::to_owned).collect();
    Some(Metric {
        function: term("FunctionName")?,
        name: term("MetricName")?,
        dimensions,
    })
}

#[test]
fn functions_count_all_metrics_that_the_dashboard_shows() {
    run_test(async |env| {
        let publisher = env.publisher("watched");
        publisher.other_crms().await?;
        publisher.put_user("email|wat", "wat.watched@example.com");
        // Each connector retries the first event and syncs the second.
        let fault = Fault::status(503).on(Api::Sesamy).path("/users/*");
        let fault = env.fakes.fault(fault.account(publisher.id));
        publisher.announce("userVendor.1#new", "email|late").await?;
        for connector in Connector::ALL {
            eventually("a message to be retried", SOON, async || {
                let lines = lines(&env.stack, connector.function()).await?;
                let retried =
                    |line: &Value| line["outcome"] == "retry" && line["vendor_id"] == publisher.id;
                Ok(lines.iter().any(retried).then_some(()))
            })
            .await?;
        }
        env.fakes.remove_fault(fault);
        publisher.announce("userVendor.1#new", "email|wat").await?;

        let dashboard = env.stack.dashboard().await?;
        let shown = shown_metrics(&dashboard);
        let functions: BTreeSet<_> = shown.iter().map(|metric| &metric.function).collect();
        assert_eq!(functions.len(), 1 + Connector::ALL.len(), "{functions:?}");
        let labels = dashboard.to_string();
        assert!(labels.contains("${PROP('Dim.Outcome')}"), "{labels}");

        let mut missing = BTreeSet::new();
        let counted = eventually("all metrics of the dashboard", SOON, async || {
            let mut counted = BTreeSet::new();
            let connectors = Connector::ALL.map(Connector::function);
            for function in connectors.into_iter().chain([Function::Webhook]) {
                let lines = lines(&env.stack, function).await?;
                counted.extend(lines.iter().flat_map(counted_metrics));
            }
            missing = shown.difference(&counted).cloned().collect();
            Ok(missing.is_empty().then_some(()))
        });
        let counted = counted.await;
        assert!(counted.is_ok(), "never counted: {missing:#?}");
        Ok(())
    });
}
