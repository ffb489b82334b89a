//! The setup that tests and programs share before they deploy stacks.

use std::{path::PathBuf, sync::LazyLock};

use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{AwsMode, Deployment, Error, LocalAws, Project, Result, Stack};

/// The built functions and a local AWS to deploy them into.
pub struct Deployer {
    local: &'static LocalAws,
    template: PathBuf,
}

impl Deployer {
    /// Builds the functions and starts a local AWS, which runs until this process ends.
    pub async fn start(on_line: impl Fn(&str) + Clone + Send + 'static) -> Result<Self> {
        let project = Project::here()?;
        let template = project.build(on_line).await?;
        let local = LocalAws::start(&project, AwsMode::Strict).await?;
        Ok(Self {
            // Stacks borrow it, and Rust never drops statics anyway.
            local: Box::leak(Box::new(local)),
            template,
        })
    }

    pub async fn deploy(&self, deployment: &Deployment) -> Result<Stack<'static>> {
        self.local.deploy(&self.template, deployment).await
    }
}

/// A value that all tests of a program share. The first test to run sets it up, and it
/// lasts until the process ends.
pub struct SharedSetup<T> {
    runtime: LazyLock<Runtime>,
    value: OnceCell<std::result::Result<T, String>>,
}

#[expect(
    clippy::new_without_default,
    clippy::panic,
    clippy::unwrap_used,
    reason = "only tests use it, and a test fails by a panic"
)]
impl<T> SharedSetup<T> {
    pub const fn new() -> Self {
        Self {
            runtime: LazyLock::new(|| Runtime::new().unwrap()),
            value: OnceCell::const_new(),
        }
    }

    /// Runs a test and panics with its error.
    pub fn run_test(
        &'static self,
        set_up: impl AsyncFnOnce() -> Result<T>,
        test: impl AsyncFnOnce(&'static T) -> Result<()>,
    ) {
        let result = self.runtime.block_on(async {
            // A failure is stored too, so that every other test fails immediately.
            let value = self
                .value
                .get_or_init(async || set_up().await.map_err(|error| error.to_string()))
                .await;
            match value {
                Ok(value) => test(value).await,
                Err(error) => Err(Error::new(format!("the setup failed: {error}"))),
            }
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}
