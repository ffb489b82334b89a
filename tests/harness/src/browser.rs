//! A headless browser (`make browser`), driven by `browser.mjs`.

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Error, Project, Result,
    child::{Child, Program},
};

/// Starting takes less than a second on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page. Dropping it stops it.
///
/// Selectors are Playwright's, such as `text=Redrive` or `form >> button`. A command waits
/// for its element up to 20 seconds. A page reaches 127.0.0.1 only.
pub struct Browser {
    /// Where commands are posted to.
    address: String,
    http: reqwest::Client,
    _process: Mutex<Child>,
}

impl Browser {
    pub async fn start(project: &Project) -> Result<Self> {
        let folder = project.new_folder()?;
        let node = project.browser_tool("bin/node")?;
        let modules = project.root().join(".venv/browser");
        let script = project.root().join("tests/harness/browser.mjs");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut process = Program::new("the browser", node)
            .args([script, modules])
            .env([("PATH", path.as_os_str())])
            // Its profile, which it leaves behind when it is killed.
            .env([("TMPDIR", &folder), ("HOME", &folder)])
            .current_dir(&folder)
            .own_folder(&folder)
            .start()?;
        let limit = Instant::now() + START_TIMEOUT;
        let address = loop {
            let printed = process.last_lines();
            if let Some(address) = printed.iter().find(|line| line.starts_with("http://")) {
                break address.clone();
            }
            if process.ended().is_some() || Instant::now() > limit {
                return Err(process.error("could not be started"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Ok(Self {
            address,
            http: reqwest::Client::new(),
            _process: Mutex::new(process),
        })
    }

    async fn command(&self, command: Value) -> Result<Value> {
        let failed = |what: &str| Error::new(format!("the browser failed at {command}: {what}"));
        let posted = self.http.post(&self.address).body(command.to_string());
        let answer = posted.send().await;
        let answer = answer.map_err(|error| failed(&error.to_string()))?;
        let is_ok = answer.status().is_success();
        let text = answer.text().await;
        let text = text.map_err(|error| failed(&error.to_string()))?;
        if !is_ok {
            return Err(failed(&text));
        }
        serde_json::from_str(&text).map_err(|error| failed(&error.to_string()))
    }

    pub async fn open(&self, url: &str) -> Result<()> {
        self.command(json!(["open", url])).await.map(drop)
    }

    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.command(json!(["resize", width, height]))
            .await
            .map(drop)
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        self.command(json!(["click", selector])).await.map(drop)
    }

    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        self.command(json!(["fill", selector, text]))
            .await
            .map(drop)
    }

    /// Waits until the element is visible.
    pub async fn see(&self, selector: &str) -> Result<()> {
        self.command(json!(["see", selector])).await.map(drop)
    }

    /// How many elements there are now.
    pub async fn count(&self, selector: &str) -> Result<u64> {
        let count = self.command(json!(["count", selector])).await?;
        Ok(count.as_u64().unwrap_or_default())
    }

    /// The text that is shown.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let text = self.command(json!(["text", selector])).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    pub async fn html(&self, selector: &str) -> Result<String> {
        let html = self.command(json!(["html", selector])).await?;
        Ok(html.as_str().unwrap_or_default().to_owned())
    }

    /// The value of an expression in the page.
    pub async fn evaluate(&self, script: &str) -> Result<Value> {
        self.command(json!(["evaluate", script])).await
    }

    /// Writes a PNG of an element.
    pub async fn screenshot(&self, path: &Path, selector: &str) -> Result<()> {
        let command = json!(["screenshot", path.display().to_string(), selector]);
        self.command(command).await.map(drop)
    }

    /// Errors of scripts, failed requests, and requests to elsewhere, since the last call.
    pub async fn faults(&self) -> Result<Vec<String>> {
        let faults = self.command(json!(["faults"])).await?;
        let faults = faults.as_array().into_iter().flatten();
        Ok(faults
            .filter_map(|fault| fault.as_str().map(str::to_owned))
            .collect())
    }
}
