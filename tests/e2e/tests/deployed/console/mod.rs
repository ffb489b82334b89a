//! The dashboard's custom widgets in a browser, as CloudWatch's console shows them.

#![expect(clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use harness::aws::Aws;
use harness::{Browser, Error, Project, Result, Stack};
use serde_json::{Value, json};

/// Its page shows the widgets to one of the people who may see them.
pub struct Console {
    pub browser: Browser,
    address: String,
}

struct People {
    widgets: Value,
    /// By name, with a client that has the person's permissions.
    clients: BTreeMap<&'static str, Aws>,
}

impl Console {
    pub async fn start(
        stack: &Stack<'_>,
        clients: impl IntoIterator<Item = (&'static str, Aws)>,
    ) -> Result<Self> {
        let dashboard = stack.dashboard().await?;
        let widgets = dashboard["widgets"].as_array().cloned().unwrap_or_default();
        let widgets = widgets
            .into_iter()
            .filter(|widget| widget["type"] == "custom");
        let widgets = widgets.map(|mut widget| widget["properties"].take());
        let people = People {
            widgets: widgets.collect(),
            clients: clients.into_iter().collect(),
        };
        let router = Router::new()
            .route("/", get(async || Html(include_str!("console.html"))))
            .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
            .route("/widgets", get(list))
            .route("/invoke", post(invoke))
            .with_state(Arc::new(people));
        let failed = |error| Error::new(format!("the console could not be started: {error}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(failed)?;
        let address = format!("http://{}", listener.local_addr().map_err(failed)?);
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self {
            browser: Browser::start(&Project::here()?).await?,
            address,
        })
    }

    pub async fn open(&self, person: &str, theme: &str) -> Result<()> {
        let url = format!("{}/?as={person}&theme={theme}", self.address);
        self.browser.open(&url).await
    }

    /// Writes a picture for the docs, if `SCREENSHOTS` names a folder.
    pub async fn screenshot(&self, name: &str, selector: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else {
            return Ok(());
        };
        let path = Path::new(&folder).join(format!("{name}.png"));
        self.browser.screenshot(&path, selector).await
    }

    /// Clicks, and answers the question with OK.
    pub async fn click_and_confirm(&self, selector: &str) -> Result<()> {
        self.browser.click(selector).await?;
        self.browser.click(".popup button:has-text('OK')").await
    }

    /// The text of the popup that an action ends with, which is then closed.
    pub async fn close_popup(&self) -> Result<String> {
        self.browser.see(".popup button:has-text('Close')").await?;
        let text = self.browser.text(".popup").await?;
        self.browser
            .click(".popup button:has-text('Close')")
            .await?;
        Ok(text)
    }

    /// What widgets must never do: bring scripts along, fail, or load anything.
    pub async fn assert_harmless(&self) -> Result<()> {
        let removed = self.browser.evaluate("window.removed").await?;
        assert_eq!(removed, json!([]));
        assert_eq!(self.browser.evaluate("document.title").await?, "Dashboard");
        assert_eq!(self.browser.faults().await?, [""; 0]);
        Ok(())
    }
}

async fn list(State(people): State<Arc<People>>) -> Json<Value> {
    Json(people.widgets.clone())
}

async fn invoke(State(people): State<Arc<People>>, Json(call): Json<Value>) -> Json<Value> {
    let text = |key: &str| call[key].as_str().unwrap_or_default();
    let (_, function) = text("endpoint")
        .split_once(":function:")
        .unwrap_or_default();
    let answer = match people.clients.get(text("as")) {
        Some(client) => client.invoke(function, &call["event"]).await,
        None => Ok(None),
    };
    Json(match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => json!({ "error": "AccessDeniedException" }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}
