use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;

use crate::runtime_api::{Activity, RuntimeApi};
use crate::{Error, Result};

/// How long to wait for a function's next call of the Runtime API.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wall-clock time, measured outside the process.
    pub wall: Duration,
    /// Processor time of all threads, including time in the kernel.
    pub cpu: Duration,
}

/// One running instance of a function. Dropping it kills the process.
pub struct Instance {
    function: &'static str,
    log: PathBuf,
    process: Child,
    api: RuntimeApi,
}

impl Instance {
    /// Starts a binary and waits for its first poll. An interpreter gets the script.
    pub fn start(
        function: &'static str,
        binary: &Path,
        script: Option<&Path>,
        environment: &[(&str, String)],
    ) -> Result<(Self, Cost)> {
        if !binary.is_file() {
            return Err(Error::NotBuilt(binary.to_owned()));
        }
        let failed = |what: &str| Error::io(format!("{what} of {function}"));
        let log = match script {
            None => binary.with_file_name("measured.log"),
            Some(_) => std::env::temp_dir().join("measured.log"),
        };
        let stdout = std::fs::File::create(&log).map_err(failed("the log"))?;
        let stderr = stdout.try_clone().map_err(failed("the log"))?;
        let api = RuntimeApi::start().map_err(failed("the Runtime API"))?;
        let mut command = Command::new(binary);
        command
            .args(script)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        let began = Instant::now();
        let process = command.spawn().map_err(failed("the start"))?;
        let mut instance = Self {
            function,
            log,
            process,
            api,
        };
        let polled = instance.wait_for_poll()?;
        let cost = Cost {
            wall: polled - began,
            cpu: instance.cpu()?,
        };
        Ok((instance, cost))
    }

    /// Waits until the function polls again, and returns its response and cost. The
    /// wall-clock time ends with the response, as Lambda's duration does.
    pub fn invoke(&mut self, event: Bytes) -> Result<(Bytes, Cost)> {
        let cpu_before = self.cpu()?;
        self.api.put(event);
        let Activity::ReceivedEvent(began) = self.next_activity()? else {
            return Err(self.error("did not receive the event"));
        };
        let Activity::Responded(ended, response) = self.next_activity()? else {
            return Err(self.error("did not respond to the event"));
        };
        self.wait_for_poll()?;
        let cost = Cost {
            wall: ended - began,
            cpu: self.cpu()?.saturating_sub(cpu_before),
        };
        Ok((response, cost))
    }

    /// In bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(&path).map_err(Error::io(path))?;
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

    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        Error::Function {
            function: self.function,
            what: what.into(),
            log: self.log.clone(),
        }
    }

    fn wait_for_poll(&mut self) -> Result<Instant> {
        match self.next_activity()? {
            Activity::Polled(at) => Ok(at),
            other => Err(self.error(format!("did not poll for an event but did this: {other:?}"))),
        }
    }

    fn next_activity(&mut self) -> Result<Activity> {
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            match self.api.next_activity(Duration::from_secs(1)) {
                Ok(Activity::Failed(error)) => {
                    return Err(self.error(format!("reported {error}")));
                }
                Ok(activity) => return Ok(activity),
                Err(_) => {
                    if let Ok(Some(status)) = self.process.try_wait() {
                        return Err(self.error(format!("ended with {status}")));
                    }
                }
            }
        }
        Err(self.error(format!("did nothing for {} s", TIMEOUT.as_secs())))
    }

    /// The processor time of all threads so far. The scheduler's count is exact to the
    /// nanosecond while they sleep.
    fn cpu(&self) -> Result<Duration> {
        let threads = format!("/proc/{}/task", self.process.id());
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(&threads).map_err(Error::io(&threads))? {
            let thread = thread.map_err(Error::io(&threads))?;
            // A thread that has just ended no longer has a file.
            let stat = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let on_processor = stat.split(' ').next().unwrap_or_default();
            nanoseconds += on_processor.parse().unwrap_or(0_u64);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
