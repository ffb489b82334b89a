//! A stack for each test in one local AWS.

use std::sync::LazyLock;

use local_aws::{Deployment, Error, Result};
use soak::{Deployed, Stage};
use tokio::{runtime::Runtime, sync::OnceCell};

/// Runs a test on a stack of its own, whose functions log from this level. The
/// local AWS is started by the first test; what it started ends with this program.
pub fn on_stack(name: &str, log_level: &str, test: impl AsyncFnOnce(Deployed) -> Result<()>) {
    let mut deployment = Deployment::new(name);
    deployment.log_level = log_level.to_owned();
    on_stack_of(deployment, test);
}

/// Runs a test on such a stack.
pub fn on_stack_of(deployment: Deployment, test: impl AsyncFnOnce(Deployed) -> Result<()>) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static STAGE: OnceCell<std::result::Result<Stage, String>> = OnceCell::const_new();
    let result = RUNTIME.block_on(async {
        // Also a failure is kept, so that every other test fails at once.
        let stage = STAGE
            .get_or_init(async || Stage::set(|_| {}).await.map_err(|error| error.to_string()))
            .await;
        match stage {
            Ok(stage) => test(stage.deploy_as(deployment).await?).await,
            Err(error) => Err(Error::new(format!("no stage: {error}"))),
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
