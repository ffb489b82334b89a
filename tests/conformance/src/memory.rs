//! What is remembered of users, kept in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use shared::message::UserKey;
use shared::remembered::{
    ScheduleError, ScheduleResult, TableResult, UserMemory, UserTable, WakeUp, WakeUps,
};

/// A table, and the wake-ups that are scheduled.
#[derive(Clone, Default)]
pub struct MemoryTable(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    items: BTreeMap<String, String>,
    wake_ups: BTreeMap<UserKey, Timestamp>,
    fails: bool,
    schedule_error: Option<ScheduleError>,
    /// Calls that change something, for each kind of item.
    writes: Vec<String>,
    reads: usize,
    schedule_calls: usize,
}

impl MemoryTable {
    pub fn memory(&self, connector: &'static str) -> UserMemory {
        UserMemory::new(connector, Arc::new(self.clone()), Arc::new(self.clone()))
    }

    /// Every call fails from now on, or none.
    pub fn fail(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    pub fn fail_schedules(&self, is_transient: Option<bool>) {
        self.0.lock().unwrap().schedule_error = is_transient.map(|is_transient| ScheduleError {
            reason: "scripted".into(),
            is_transient,
        });
    }

    /// Forgets everything but the wake-ups, as if the table were lost.
    pub fn lose(&self) {
        self.0.lock().unwrap().items.clear();
    }

    pub fn items(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap().items.clone()
    }

    /// The texts of items of one kind, `user` or `address`.
    pub fn items_of(&self, kind: &str) -> Vec<String> {
        let kind = format!("#{kind}#");
        let items = self.items().into_iter();
        items
            .filter(|(key, _)| key.contains(&kind))
            .map(|(_, text)| text)
            .collect()
    }

    pub fn wake_up(&self, user: &UserKey) -> Option<Timestamp> {
        self.0.lock().unwrap().wake_ups.get(user).copied()
    }

    /// Takes the wake-ups that are due, as they fire.
    pub fn due(&self, now: Timestamp) -> Vec<WakeUp> {
        let mut contents = self.0.lock().unwrap();
        let due = contents.wake_ups.extract_if(.., |_, at| *at <= now);
        due.map(|(user, at)| WakeUp { user, at }).collect()
    }

    /// Reads, writes and calls to the scheduler since the last call.
    pub fn take_counts(&self) -> (usize, usize, usize) {
        let mut contents = self.0.lock().unwrap();
        let writes = std::mem::take(&mut contents.writes).len();
        let schedules = std::mem::take(&mut contents.schedule_calls);
        (std::mem::take(&mut contents.reads), writes, schedules)
    }

    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Contents) -> T,
    ) -> TableResult<'static, T> {
        let mut contents = self.0.lock().unwrap();
        let result = if contents.fails {
            Err("timed out".to_owned())
        } else {
            Ok(work(&mut contents))
        };
        Box::pin(async { result })
    }

    fn schedule(&self, work: impl FnOnce(&mut Contents)) -> ScheduleResult<'static> {
        let mut contents = self.0.lock().unwrap();
        contents.schedule_calls += 1;
        let result = match contents.schedule_error.clone() {
            Some(error) => Err(error),
            None => {
                work(&mut contents);
                Ok(())
            }
        };
        Box::pin(async { result })
    }
}

impl UserTable for MemoryTable {
    fn get<'a>(&'a self, key: &'a str) -> TableResult<'a, Option<String>> {
        self.with(|contents| {
            contents.reads += 1;
            contents.items.get(key).cloned()
        })
    }

    fn put<'a>(&'a self, key: &'a str, text: String) -> TableResult<'a, ()> {
        self.with(|contents| {
            contents.writes.push(key.to_owned());
            contents.items.insert(key.to_owned(), text);
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        old: Option<String>,
        new: String,
    ) -> TableResult<'a, bool> {
        self.with(|contents| {
            let holds = contents.items.get(key) == old.as_ref();
            if holds {
                contents.writes.push(key.to_owned());
                contents.items.insert(key.to_owned(), new);
            }
            holds
        })
    }

    fn delete<'a>(&'a self, key: &'a str, old: String) -> TableResult<'a, ()> {
        self.with(|contents| {
            if contents.items.get(key) == Some(&old) {
                contents.writes.push(key.to_owned());
                contents.items.remove(key);
            }
        })
    }
}

impl WakeUps for MemoryTable {
    fn set<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        self.schedule(|contents| {
            contents.wake_ups.insert(wake_up.user.clone(), wake_up.at);
        })
    }

    fn cancel<'a>(&'a self, user: &'a UserKey) -> ScheduleResult<'a> {
        self.schedule(|contents| {
            contents.wake_ups.remove(user);
        })
    }

    fn check(&self) -> ScheduleResult<'_> {
        self.schedule(|_| {})
    }
}
