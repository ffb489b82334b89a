//! Programs that end with the process that started them.
//!
//! A test may fail, panic or be killed, and a user may press Ctrl-C. The local AWS and
//! its functions must stop even then, and no destructor runs in a killed process. So
//! every program runs under a small shell script that reads its standard input. The
//! operating system closes that input when this process ends, and the script then
//! removes the program's folder and kills its whole process group.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// How many of a program's last lines an error shows.
const MAX_LINES: usize = 40;

/// How long to wait until a killed process group has ended.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The first argument is a folder to remove, or empty; the rest is the command.
///
/// When the command exits, the script terminates the processes that it left running
/// and returns its exit code. When standard input closes first, the script kills the
/// process group, itself included: there is nothing to save, and a graceful stop of a
/// server may take half a minute.
const SCRIPT: &str = r#"
folder=$1; shift
exec 3<&0 2>&1
"$@" </dev/null 3<&- &
command=$!
{ cat <&3 >/dev/null; [ -z "$folder" ] || rm -rf -- "$folder"; kill -KILL 0; } &
wait "$command"; code=$?
trap '' TERM; kill -TERM 0
exit "$code"
"#;

type OnLine = Box<dyn Fn(&str) + Send>;

pub struct Program {
    name: &'static str,
    path: PathBuf,
    args: Vec<OsString>,
    folder: Option<PathBuf>,
    current_dir: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    on_line: Option<OnLine>,
}

impl Program {
    /// The program at `path`, called `name` in messages. Its environment has
    /// only what [`Program::env`] adds.
    pub fn new(name: &'static str, path: impl Into<PathBuf>) -> Self {
        Self {
            name,
            path: path.into(),
            args: Vec::new(),
            folder: None,
            current_dir: None,
            environment: Vec::new(),
            on_line: None,
        }
    }

    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.into(), value.into())));
        self
    }

    #[must_use]
    pub fn current_dir(mut self, path: &Path) -> Self {
        self.current_dir = Some(path.to_owned());
        self
    }

    /// Sets a folder that is removed when the program ends.
    #[must_use]
    pub fn own_folder(mut self, path: &Path) -> Self {
        self.folder = Some(path.to_owned());
        self
    }

    /// Calls `on_line` with every line that the program prints.
    #[must_use]
    pub fn on_line(mut self, on_line: impl Fn(&str) + Send + 'static) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Fails only if there is no shell. A missing program shows in the exit code and the
    /// output.
    pub fn start(self) -> Result<Child> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, self.name])
            .arg(self.folder.as_deref().unwrap_or(Path::new("")))
            .arg(&self.path)
            .args(&self.args)
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A separate group, so that the script can kill all of it and Ctrl-C in the
            // terminal reaches only this process.
            .process_group(0);
        if let Some(path) = &self.current_dir {
            command.current_dir(path);
        }
        let mut process = command
            .spawn()
            .map_err(|error| Error::new(format!("{} could not be started: {error}", self.name)))?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let output = process.stdout.take().map(|output| {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || read_lines(output, &lines, self.on_line))
        });
        Ok(Child {
            name: self.name,
            stdin: process.stdin.take(),
            process,
            lines,
            output,
        })
    }

    /// Runs the program to its end and returns all lines that it printed.
    /// An exit code other than 0 is an error.
    pub async fn run(self) -> Result<Vec<String>> {
        let name = self.name;
        let all = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&all);
        let mut program = self;
        let on_line = program.on_line.take();
        let mut child = program
            .on_line(move |line| {
                lock(&sink).push(line.to_owned());
                if let Some(on_line) = &on_line {
                    on_line(line);
                }
            })
            .start()?;
        let status = loop {
            if let Some(status) = child.ended() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if let Some(output) = child.output.take() {
            // The thread ends with the program. If it panicked, that was already printed.
            let _ = output.join();
        }
        if !status.success() {
            return Err(Error::new(format!("{name} failed ({status})")).output(child.last_lines()));
        }
        Ok(std::mem::take(&mut *lock(&all)))
    }
}

/// A running program. Dropping it kills the program and all processes it started.
pub struct Child {
    name: &'static str,
    process: Process,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<VecDeque<String>>>,
    /// The thread that reads what the program prints.
    output: Option<JoinHandle<()>>,
}

impl Child {
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // Fails only for a process that is not our child.
        self.process.try_wait().ok().flatten()
    }

    pub fn last_lines(&self) -> Vec<String> {
        lock(&self.lines).iter().cloned().collect()
    }

    /// An error about the program, with its last lines.
    pub fn error(&self, what: &str) -> Error {
        Error::new(format!("{} {what}", self.name)).output(self.last_lines())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let limit = Instant::now() + KILL_TIMEOUT;
        while self.ended().is_none() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read_lines(output: impl Read, lines: &Mutex<VecDeque<String>>, on_line: Option<OnLine>) {
    let mut output = BufReader::new(output);
    let mut bytes = Vec::new();
    // Read everything, also what is not UTF-8: a program blocks once its output is no
    // longer read.
    while output.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        if let Some(on_line) = &on_line {
            on_line(line);
        }
        let mut lines = lock(lines);
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
        bytes.clear();
    }
}

/// Ignores poisoning: a panic cannot leave a list of lines half-changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        let path = std::env::var_os("PATH").unwrap();
        Program::new("the test's script", "sh")
            .args(["-c", script])
            .env([("PATH", path)])
    }

    /// Zombies do not count.
    fn is_running(pid: &str) -> bool {
        let state = Command::new("ps")
            .args(["-o", "stat=", "-p", pid])
            .output()
            .unwrap();
        !state.stdout.is_empty() && !state.stdout.starts_with(b"Z")
    }

    fn pids(child: &Child, count: usize) -> Vec<String> {
        let limit = Instant::now() + Duration::from_secs(10);
        while child.last_lines().len() < count {
            assert!(Instant::now() < limit, "{:?}", child.last_lines());
            std::thread::sleep(Duration::from_millis(5));
        }
        child.last_lines()
    }

    fn assert_gone(pids: &[String]) {
        let limit = Instant::now() + Duration::from_secs(5);
        while pids.iter().any(|pid| is_running(pid)) {
            assert!(Instant::now() < limit, "still running: {pids:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[tokio::test]
    async fn run_returns_all_printed_lines() {
        let lines = sh("echo one; echo two >&2").run().await.unwrap();
        assert_eq!(lines, ["one", "two"]);
    }

    #[tokio::test]
    async fn failure_shows_the_last_lines() {
        let error = sh("echo beginning; echo the reason; exit 3")
            .run()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the test's script failed"), "{text}");
        assert!(text.ends_with("  | beginning\n  | the reason"), "{text}");
    }

    #[tokio::test]
    async fn environment_has_only_the_given_variables() {
        let lines = sh("echo \"[$HOME][$GIVEN]\"")
            .env([("GIVEN", "yes")])
            .run()
            .await
            .unwrap();
        assert_eq!(lines, ["[][yes]"]);
    }

    #[test]
    fn dropping_kills_the_program_and_its_children() {
        let folder = std::env::temp_dir().join(format!("local-aws-test-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("in it")).unwrap();
        let child =
            sh("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 60; :' & echo $$; wait")
                .own_folder(&folder)
                .start()
                .unwrap();
        let pids = pids(&child, 2);
        assert!(pids.iter().all(|pid| is_running(pid)));
        drop(child);
        assert_gone(&pids);
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn children_of_an_ended_program_are_killed() {
        let pids = sh("sleep 60 >/dev/null & echo $!").run().await.unwrap();
        assert_gone(&pids);
    }

    /// Set in the copy of this process that starts a program, prints its process id and
    /// is killed.
    const OWNER: &str = "LOCAL_AWS_TEST_OWNER";

    #[test]
    fn program_dies_with_a_killed_owner() {
        if std::env::var_os(OWNER).is_some() {
            let child = sh("echo $$; sleep 60; :").start().unwrap();
            println!("program {}", pids(&child, 1)[0]);
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["program_dies_with_a_killed_owner", "--nocapture"])
            .env(OWNER, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = BufReader::new(owner.stdout.take().unwrap())
            .lines()
            .find_map(|line| Some(line.unwrap().split_once("program ")?.1.to_owned()))
            .unwrap();
        assert!(is_running(&pid));
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert_gone(&[pid]);
    }
}
