//! This project's folder, tools and build.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{Error, Result, child::Program};

#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The folder this crate was compiled in.
    pub fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(|error| {
            Error::new(format!("{} does not exist: {error}", root.display()))
                .advice("Was the project moved? `cargo clean` and try again.")
        })?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Builds the functions as they are deployed and returns the built template.
    ///
    /// If `FUNCTIONS_BUILT` is set, the functions are already built: concurrent builds
    /// would interfere with each other.
    pub async fn build(&self, on_line: impl Fn(&str) + Clone + Send + 'static) -> Result<PathBuf> {
        let template = self.root.join(".aws-sam/build/template.yaml");
        if env::var_os("FUNCTIONS_BUILT").is_some() {
            return Ok(template);
        }
        let cargo_lambda = self.tool(".venv/sam/bin/cargo-lambda")?;
        // `sam build` links one function after another. This links them in parallel, and
        // `sam build` then only copies them.
        let compile = Program::new("cargo lambda", cargo_lambda)
            .args(["lambda", "build", "--locked", "--release"])
            .current_dir(&self.root);
        for step in [compile, self.sam(["build"])?] {
            step.env(outer_environment())
                .env([("PATH", self.path()?)])
                .on_line(on_line.clone())
                .run()
                .await
                .map_err(|error| error.advice("`make build` shows the full output."))?;
        }
        Ok(template)
    }

    /// The SAM CLI. The caller sets its environment.
    pub(crate) fn sam<const N: usize>(&self, args: [&str; N]) -> Result<Program> {
        let sam = self.tool(".venv/sam/bin/sam")?;
        Ok(Program::new("sam", sam)
            .args(args)
            .env([("SAM_CLI_TELEMETRY", "0")])
            .current_dir(&self.root))
    }

    /// The Python of the virtual environment that has the local AWS.
    pub(crate) fn local_aws_python(&self) -> Result<PathBuf> {
        self.tool(".venv/ministack/bin/python")
    }

    /// A tool of the browser's environment.
    pub(crate) fn browser_tool(&self, path: &str) -> Result<PathBuf> {
        let unpacked = self.root.join(".venv/browser/.unpacked");
        if !unpacked.is_file() {
            let missing = Error::new("the headless browser of the tests is not installed");
            return Err(missing.advice("`make browser` installs it."));
        }
        self.tool(&format!(".venv/browser/{path}"))
    }

    fn tool(&self, path: &str) -> Result<PathBuf> {
        let tool = self.root.join(path);
        if tool.is_file() {
            return Ok(tool);
        }
        Err(Error::new(format!("{path} is not installed")).advice("`make tools` installs it."))
    }

    /// `PATH`, with the SAM CLI's environment first.
    fn path(&self) -> Result<OsString> {
        let outer = std::env::var_os("PATH").unwrap_or_default();
        let own = self.root.join(".venv/sam/bin");
        std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&outer))).map_err(
            |_| {
                Error::new(format!(
                    "the folder {} cannot be put on PATH",
                    self.root.display()
                ))
            },
        )
    }

    /// A new, empty folder for one run. It is inside the project, because the file system
    /// of temporary folders may forbid running programs.
    pub(crate) fn new_folder(&self) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self.root.join(format!(".local/{}-{number}", process::id()));
        let created = std::fs::remove_dir_all(&folder)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .and_then(|()| std::fs::create_dir_all(&folder));
        created.map_err(|error| {
            Error::new(format!(
                "{} could not be created: {error}",
                folder.display()
            ))
        })?;
        Ok(folder)
    }
}

/// This process's environment without variables that would change a build or reach a
/// real AWS account.
///
/// `cargo run` and `cargo test` add variables that would make cargo rebuild what
/// a build from the command line has just built.
fn outer_environment() -> impl Iterator<Item = (OsString, OsString)> {
    const ADDED_BY_CARGO: [&str; 12] = [
        "CARGO_BIN_",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "LD_LIBRARY_PATH",
        "OUT_DIR",
        "RUSTUP_TOOLCHAIN",
        "RUST_RECURSION_COUNT",
        // Also added by this project's `.cargo/config.toml`.
        "AWS_",
    ];
    std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name != "CARGO" && !ADDED_BY_CARGO.iter().any(|prefix| name.starts_with(prefix))
    })
}
