//! The program: its output, its options and its end.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::Client;

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fakes"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn program_serves_a_seed_until_a_signal() {
    let path = std::env::temp_dir().join(format!("fakes-seed-{}.json", std::process::id()));
    let seed = json!({"rule": {"accounts": [{"name": "acme", "apiKey": "k"}]}});
    std::fs::write(&path, seed.to_string()).unwrap();
    for signal in ["INT", "TERM"] {
        let mut child = start(&["--port", "0", "--seed", path.to_str().unwrap()]);
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).unwrap();
        let base = urls["base"].as_str().unwrap();
        assert!(base.starts_with("http://127.0.0.1:"), "{base}");
        let client = Client::new(urls["rule"].as_str().unwrap()).bearer("k");
        client.get("/v2/tags").await.expect(200);
        let pid = child.id().to_string();
        let kill = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(kill.unwrap().success());
        assert!(child.wait().unwrap().success(), "{signal}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn program_reports_invalid_arguments() {
    let check = |arguments: &[&str], code, message| {
        let output = start(arguments).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(String::from_utf8_lossy(&output.stderr).contains(message));
    };
    check(&["--nonsense"], 2, "usage:");
    check(&["--port", "x"], 2, "usage:");
    check(&["--seed", "/nowhere.json"], 1, "/nowhere.json");
}
