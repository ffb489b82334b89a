//! The processes that the local AWS runs the functions in.

use std::{path::Path, process::Command};

use crate::{Error, Result};

pub(crate) struct Process {
    pid: String,
    /// The command, followed by its environment.
    command: String,
}

impl Process {
    /// The processes of a function. `folder` identifies the local AWS that runs them.
    pub fn of_function(folder: &Path, function: &str) -> Result<Vec<Self>> {
        // `e` adds the environment after the command, `ww` avoids truncated lines.
        let mut ps = Command::new("ps");
        let listed = ps.args(["axeww", "-o", "pid=,command="]).output();
        let listed = listed.map_err(|error| Error::new(format!("ps could not be run: {error}")))?;
        if !listed.status.success() {
            let printed = String::from_utf8_lossy(&listed.stderr);
            return Err(Error::new(format!("ps failed: {}", printed.trim())));
        }
        let folder = format!("{}/", folder.display());
        let processes = String::from_utf8_lossy(&listed.stdout);
        let processes = processes.lines().filter_map(|line| {
            let (pid, command) = line.trim_start().split_once(' ')?;
            let (pid, command) = (pid.to_owned(), command.to_owned());
            Some(Self { pid, command })
        });
        Ok(processes
            .filter(|process| process.command.contains(&folder))
            .filter(|process| process.variable("AWS_LAMBDA_FUNCTION_NAME") == Some(function))
            .collect())
    }

    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut words = self.command.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Kills the processes as a crash would.
    pub fn kill_all(processes: &[Self]) -> Result<()> {
        if processes.is_empty() {
            return Ok(());
        }
        // The shell's builtin, since not every machine has a `kill` program. It fails
        // only for a process that has already ended.
        Command::new("sh")
            .args(["-c", "kill -KILL \"$@\" 2>/dev/null", "sh"])
            .args(processes.iter().map(|process| &process.pid))
            .status()
            .map_err(|error| Error::new(format!("sh could not be run: {error}")))?;
        Ok(())
    }
}
