//! The fakes as a program: `fakes [--port N] [--seed FILE.json]`.

use std::{io, path::PathBuf, process::ExitCode};

use fakes::{Fakes, Seed};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: fakes [--port N] [--seed FILE.json]";

#[derive(Debug, Default)]
struct Options {
    port: u16,
    seed: Option<PathBuf>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--port" => options.port = arguments.next()?.parse().ok()?,
                "--seed" => options.seed = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a command-line program")]
async fn main() -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fakes: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the addresses are this program's output"
)]
async fn run(options: Options) -> io::Result<()> {
    // Before the addresses are printed, so that no signal after them is missed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut builder = Fakes::builder().port(options.port);
    if let Some(path) = options.seed {
        let seed = Seed::read(&path)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        builder = builder.seed(seed);
    }
    let fakes = builder.start().await?;
    println!("{}", serde_json::to_string(fakes.urls())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    drop(fakes);
    Ok(())
}
