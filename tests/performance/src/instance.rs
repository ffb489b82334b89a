//! One running instance of a function.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;

use crate::runtime_api::Seen;
use crate::{Error, Result, RuntimeApi};

/// How long a function is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What something took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the outside.
    pub wall: Duration,
    /// On a processor: all threads of the function, the kernel's part included.
    pub cpu: Duration,
}

/// One running instance. Dropping it kills it.
pub struct Instance {
    function: &'static str,
    log: PathBuf,
    process: Child,
    api: RuntimeApi,
}

impl Instance {
    /// Starts a binary and waits until it asks for its first event. What comes
    /// with it is what that took.
    ///
    /// # Errors
    /// When it does not start, or ends instead.
    pub fn start(
        function: &'static str,
        binary: &Path,
        environment: &[(&str, String)],
    ) -> Result<(Self, Cost)> {
        if !binary.is_file() {
            return Err(Error::NotBuilt(binary.to_owned()));
        }
        let failed = |what: &str| Error::io(format!("{what} of {function}"));
        let log = binary.with_file_name("measured.log");
        let output = std::fs::File::create(&log).map_err(failed("the log"))?;
        let copy = output.try_clone().map_err(failed("the log"))?;
        let api = RuntimeApi::start().map_err(failed("the Runtime API"))?;
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(copy);
        let began = Instant::now();
        let process = command.spawn().map_err(failed("the start"))?;
        let mut instance = Self {
            function,
            log,
            process,
            api,
        };
        let polled = instance.polled()?;
        let cost = Cost {
            wall: polled - began,
            cpu: instance.cpu()?,
        };
        Ok((instance, cost))
    }

    /// Has it handle an event and waits until it asks for the next one. The
    /// time from the outside ends with the answer, as Lambda's does.
    ///
    /// # Errors
    /// When it fails or says nothing for long.
    pub fn invoke(&mut self, event: Bytes) -> Result<(Bytes, Cost)> {
        let before = self.cpu()?;
        self.api.put(event);
        let Seen::Handed(began) = self.seen()? else {
            return Err(self.error("did something else than take an event"));
        };
        let Seen::Answer(answered, answer) = self.seen()? else {
            return Err(self.error("did something else than answer"));
        };
        self.polled()?;
        let cost = Cost {
            wall: answered - began,
            cpu: self.cpu()?.saturating_sub(before),
        };
        Ok((answer, cost))
    }

    /// The most memory it has held so far, in bytes.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let kib = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        });
        let kib: u64 = kib.ok_or_else(|| self.error("has no VmHWM"))?;
        Ok(kib * 1024)
    }

    /// That it did something wrong.
    pub fn error(&self, what: impl Into<String>) -> Error {
        Error::Function {
            function: self.function,
            what: what.into(),
            log: self.log.clone(),
        }
    }

    fn polled(&mut self) -> Result<Instant> {
        match self.seen()? {
            Seen::Poll(at) => Ok(at),
            other => Err(self.error(format!("did not ask for an event but {other:?}"))),
        }
    }

    fn seen(&mut self) -> Result<Seen> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.api.seen(Duration::from_secs(1)) {
                Ok(Seen::Failed(why)) => return Err(self.error(format!("reported {why}"))),
                Ok(seen) => return Ok(seen),
                Err(_) => {
                    if let Ok(Some(status)) = self.process.try_wait() {
                        return Err(self.error(format!("ended with {status}")));
                    }
                }
            }
        }
        Err(self.error(format!("said nothing for {} s", PATIENCE.as_secs())))
    }

    /// What all of its threads have had of a processor so far, as the
    /// scheduler counts it: to the nanosecond while they sleep.
    fn cpu(&self) -> Result<Duration> {
        let threads = format!("/proc/{}/task", self.process.id());
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(&threads).map_err(Error::io(&threads))? {
            let thread = thread.map_err(Error::io(&threads))?;
            // A thread that has just ended is no longer there.
            let told = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let on_processor = told.split(' ').next().unwrap_or_default();
            nanoseconds += on_processor.parse().unwrap_or(0_u64);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(&path).map_err(Error::io(path))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Fails only where it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
