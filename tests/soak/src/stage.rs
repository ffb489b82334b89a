//! A local AWS to deploy into.

use local_aws::{Built, Deployment, LocalAws, Manner, Project, Result};

use crate::Deployed;

/// A local AWS and what is to be deployed into it.
///
/// It is never taken down: what it started ends with this program, whichever
/// way that ends, which a destructor could not promise.
pub struct Stage {
    local: &'static LocalAws,
    built: Built,
}

impl Stage {
    /// Builds the functions and starts a local AWS.
    ///
    /// # Errors
    /// When either fails.
    pub async fn set(on_line: impl Fn(&str) + Clone + Send + 'static) -> Result<Self> {
        let project = Project::here()?;
        let built = project.build(on_line).await?;
        let local = LocalAws::start(&project, Manner::Strict).await?;
        Ok(Self {
            // A stack borrows it.
            local: Box::leak(Box::new(local)),
            built,
        })
    }

    /// Deploys a stack of this name, whose functions log from this level.
    ///
    /// # Errors
    /// When the deployment fails.
    pub async fn deploy(&self, name: &str, log_level: &str) -> Result<Deployed> {
        let mut deployment = Deployment::new(name);
        deployment.log_level = log_level.to_owned();
        self.deploy_as(deployment).await
    }

    /// Deploys a stack.
    ///
    /// # Errors
    /// When the deployment fails.
    pub async fn deploy_as(&self, deployment: Deployment) -> Result<Deployed> {
        let stack = self.local.deploy(&self.built, &deployment).await?;
        Deployed::look_up(stack, &deployment.name).await
    }
}
