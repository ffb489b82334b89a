//! Shows the steps of the demo, each with its duration.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a note is shown if the output is not a terminal.
const NOTE_INTERVAL: Duration = Duration::from_secs(15);

/// Keeps a note on one line.
const NOTE_WIDTH: usize = 60;

pub struct Progress {
    start: Instant,
    is_terminal: bool,
}

impl Progress {
    /// On a terminal, a running step overwrites its own line.
    pub fn new(is_terminal: bool) -> Self {
        Self {
            start: Instant::now(),
            is_terminal,
        }
    }

    pub fn step(&self, title: &'static str) -> Step {
        let step = Step(Arc::new(StepState {
            title,
            start: Instant::now(),
            program_start: self.start,
            is_terminal: self.is_terminal,
            last_note: Mutex::new(Instant::now()),
        }));
        if self.is_terminal {
            step.0.overwrite_line(title);
        }
        step
    }
}

pub struct Step(Arc<StepState>);

impl Step {
    pub fn note(&self, note: &str) {
        self.notes().show(note);
    }

    /// A handle that can be moved into a callback to show notes.
    pub fn notes(&self) -> Notes {
        Notes(Arc::clone(&self.0))
    }

    pub fn done(self, result: &str) {
        let state = &self.0;
        if state.is_terminal {
            state.overwrite_line("");
        }
        println!(
            "{:6.1} s  {} ({:.1} s)",
            state.program_start.elapsed().as_secs_f32(),
            state.title,
            state.start.elapsed().as_secs_f32(),
        );
        if !result.is_empty() {
            println!("          {result}");
        }
    }
}

#[derive(Clone)]
pub struct Notes(Arc<StepState>);

impl Notes {
    /// Shows a note. Off a terminal, drops it if the last one is less than
    /// [`NOTE_INTERVAL`] old.
    pub fn show(&self, note: &str) {
        let state = &self.0;
        let note: String = note.trim().chars().take(NOTE_WIDTH).collect();
        if note.is_empty() {
            return;
        }
        if state.is_terminal {
            state.overwrite_line(&format!("{}: {note}", state.title));
            return;
        }
        let mut last_note = state
            .last_note
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last_note.elapsed() >= NOTE_INTERVAL {
            *last_note = Instant::now();
            println!("          … {note}");
        }
    }
}

struct StepState {
    title: &'static str,
    start: Instant,
    program_start: Instant,
    is_terminal: bool,
    last_note: Mutex<Instant>,
}

impl StepState {
    fn overwrite_line(&self, text: &str) {
        print!("\r\x1b[2K{text}");
        // The demo works without its progress, so a failed write is ignored.
        let _ = std::io::stdout().flush();
    }
}
