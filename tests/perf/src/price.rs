//! What a million events cost on AWS, from list prices and measured times.
//!
//! The prices are those of us-east-1 in US dollars, per million, as AWS publishes them
//! (documented, see `docs/performance.md`).

const API_GATEWAY: f64 = 3.50;
const INVOCATION: f64 = 0.20;
/// Of x86_64, per million GB-seconds.
const GB_SECOND: f64 = 16.6667;
const SQS_CALL: f64 = 0.50;
const TABLE_READ: f64 = 0.125;
const TABLE_WRITE: f64 = 0.625;
/// Per million kB.
const LOGS: f64 = 0.50;

/// The memory of a function, in GB.
const MEMORY: f64 = 0.25;

/// The share of a processor that the memory buys (documented).
const PROCESSOR: f64 = 256.0 / 1_769.0;

/// How long SQS takes to answer, in seconds (assumed).
const SQS_TIME: f64 = 0.01;

/// In kB, as measured.
const LOG_OF_WEBHOOK: f64 = 0.8;
const LOG_OF_SYNC: f64 = 0.5;
const LOG_OF_BATCH: f64 = 1.5;
/// Lambda's own lines of an invocation, in kB.
const LOG_OF_LAMBDA: f64 = 0.35;

/// The times of the functions, in seconds.
#[derive(Debug, Clone)]
pub struct Times {
    /// A webhook's processor time.
    pub webhook_cpu: f64,
    /// How long each connector takes for a batch, with APIs that answer after 100 ms.
    pub batches: Vec<f64>,
    /// The processor time of each connector's batch.
    pub batch_cpu: Vec<f64>,
    /// The users of a batch.
    pub batch: f64,
}

/// What a million events cost, by what they are spent on, in US dollars.
pub fn per_million(times: &Times) -> Vec<(&'static str, f64)> {
    let seconds = |wait: f64, cpu: f64| MEMORY * GB_SECOND * (wait + cpu / PROCESSOR);
    #[expect(clippy::cast_precision_loss, reason = "a few connectors")]
    let connectors = times.batches.len() as f64;
    let batches = connectors / times.batch;
    let spent: f64 = {
        let batches = times.batches.iter().zip(&times.batch_cpu);
        batches.map(|(wait, cpu)| seconds(*wait, *cpu)).sum()
    };
    vec![
        ("API Gateway", API_GATEWAY),
        (
            "webhook function",
            INVOCATION + seconds(SQS_TIME, times.webhook_cpu),
        ),
        ("SQS: sends", connectors * SQS_CALL),
        ("SQS: receives and deletes", 2.0 * batches * SQS_CALL),
        (
            "DynamoDB: two reads and a write of each sync",
            connectors * (2.0 * TABLE_READ + TABLE_WRITE),
        ),
        ("connectors: requests", batches * INVOCATION),
        ("connectors: time", spent / times.batch),
        (
            "logs of the functions",
            LOGS * (LOG_OF_WEBHOOK + connectors * LOG_OF_SYNC + batches * LOG_OF_BATCH),
        ),
        ("logs of Lambda", LOGS * LOG_OF_LAMBDA * (1.0 + batches)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(batch: f64, connectors: usize) -> f64 {
        let times = Times {
            webhook_cpu: 0.0,
            batches: vec![0.4; connectors],
            batch_cpu: vec![0.0; connectors],
            batch,
        };
        per_million(&times)
            .into_iter()
            .map(|(_, price)| price)
            .sum()
    }

    #[test]
    fn event_without_connectors_costs_the_webhook_and_its_logs() {
        let webhook = 3.5 + 0.2 + 0.25 * 16.6667 * 0.01 + 0.5 * (0.8 + 0.35);
        assert!((sum(1.0, 0) - webhook).abs() < 1e-9);
    }

    #[test]
    fn batches_share_invocations_receives_and_time() {
        let shared = 1.0 + 0.2 + 0.25 * 16.6667 * 0.4 + 0.5 * (1.5 + 0.35);
        let saved = sum(1.0, 1) - sum(10.0, 1);
        assert!((saved - 0.9 * shared).abs() < 1e-9, "{saved}");
    }
}
