//! Steps on the screen, each with the time it took.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a note is shown where the screen cannot be written over.
const NOTE_INTERVAL: Duration = Duration::from_secs(15);

/// How much of a note is shown, so that it stays on one line.
const NOTE_WIDTH: usize = 60;

/// Shows steps one after the other.
pub struct Progress {
    start: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Begins to count. On a terminal a running step's line is written over.
    pub fn new(is_terminal: bool) -> Self {
        Self {
            start: Instant::now(),
            is_terminal,
        }
    }

    /// Begins a step.
    pub fn step(&self, title: &'static str) -> Step {
        let step = Step(Arc::new(State {
            title,
            start: Instant::now(),
            since: self.start,
            is_terminal: self.is_terminal,
            noted: Mutex::new(Instant::now()),
        }));
        if self.is_terminal {
            step.0.write_over(title);
        }
        step
    }
}

/// A running step.
pub struct Step(Arc<State>);

impl Step {
    /// Says what it is at.
    pub fn note(&self, note: &str) {
        self.notes().say(note);
    }

    /// A hand of it that notes can be given to from elsewhere.
    pub fn notes(&self) -> Notes {
        Notes(Arc::clone(&self.0))
    }

    /// Ends it with a word about the result.
    pub fn done(self, result: &str) {
        let state = &self.0;
        if state.is_terminal {
            state.write_over("");
        }
        println!(
            "{:6.1} s  {} ({:.1} s)",
            state.since.elapsed().as_secs_f32(),
            state.title,
            state.start.elapsed().as_secs_f32(),
        );
        if !result.is_empty() {
            println!("          {result}");
        }
    }
}

/// Tells what a step is at.
#[derive(Clone)]
pub struct Notes(Arc<State>);

impl Notes {
    /// Shows a note, or leaves it out where there are too many.
    pub fn say(&self, note: &str) {
        let state = &self.0;
        let note: String = note.trim().chars().take(NOTE_WIDTH).collect();
        if note.is_empty() {
            return;
        }
        if state.is_terminal {
            state.write_over(&format!("{}: {note}", state.title));
            return;
        }
        let mut noted = state.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.elapsed() >= NOTE_INTERVAL {
            *noted = Instant::now();
            println!("          … {note}");
        }
    }
}

struct State {
    title: &'static str,
    start: Instant,
    since: Instant,
    is_terminal: bool,
    noted: Mutex<Instant>,
}

impl State {
    fn write_over(&self, text: &str) {
        print!("\r\x1b[2K{text}");
        // A screen that cannot be written to shows nothing either way.
        let _ = std::io::stdout().flush();
    }
}
