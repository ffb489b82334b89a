//! What is remembered of users, kept in memory.

use std::collections::{BTreeMap, BTreeSet};
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
    wake_ups: BTreeSet<(UserKey, Timestamp)>,
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

    /// The only wake-up of a user.
    pub fn wake_up(&self, user: &UserKey) -> Option<Timestamp> {
        let contents = self.0.lock().unwrap();
        let mut of_user = contents.wake_ups.iter().filter(|(of, _)| of == user);
        let at = of_user.next().map(|(_, at)| *at);
        assert_eq!(of_user.count(), 0, "more than one wake-up");
        at
    }

    /// Takes the wake-ups that are due, as they fire.
    pub fn due(&self, now: Timestamp) -> Vec<WakeUp> {
        let mut contents = self.0.lock().unwrap();
        let due = contents.wake_ups.extract_if(.., |(_, at)| *at <= now);
        due.map(|(user, at)| WakeUp { user, at }).collect()
    }

    /// Reads, writes and calls to the scheduler since the last call.
    pub fn take_counts(&self) -> (usize, usize, usize) {
        let mut contents = self.0.lock().unwrap();
        let writes = std::mem::take(&mut contents.writes).len();
        let schedules = std::mem::take(&mut contents.schedule_calls);
        (std::mem::take(&mut contents.reads), writes, schedules)
    }

    /// Does its work when it is awaited, as a real table.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Contents) -> T + Send + 'static,
    ) -> TableResult<'static, T> {
        let contents = self.0.clone();
        Box::pin(async move {
            let mut contents = contents.lock().unwrap();
            if contents.fails {
                return Err("timed out".to_owned());
            }
            Ok(work(&mut contents))
        })
    }

    fn schedule(
        &self,
        work: impl FnOnce(&mut Contents) + Send + 'static,
    ) -> ScheduleResult<'static> {
        let contents = self.0.clone();
        Box::pin(async move {
            let mut contents = contents.lock().unwrap();
            contents.schedule_calls += 1;
            if let Some(error) = contents.schedule_error.clone() {
                return Err(error);
            }
            work(&mut contents);
            Ok(())
        })
    }
}

impl UserTable for MemoryTable {
    fn get<'a>(&'a self, key: &'a str) -> TableResult<'a, Option<String>> {
        let key = key.to_owned();
        self.with(move |contents| {
            contents.reads += 1;
            contents.items.get(&key).cloned()
        })
    }

    fn put<'a>(&'a self, key: &'a str, text: String) -> TableResult<'a, ()> {
        let key = key.to_owned();
        self.with(move |contents| {
            contents.writes.push(key.clone());
            contents.items.insert(key, text);
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        old: Option<String>,
        new: String,
    ) -> TableResult<'a, bool> {
        let key = key.to_owned();
        self.with(move |contents| {
            let holds = contents.items.get(&key) == old.as_ref();
            if holds {
                contents.writes.push(key.clone());
                contents.items.insert(key, new);
            }
            holds
        })
    }

    fn delete<'a>(&'a self, key: &'a str, old: String) -> TableResult<'a, ()> {
        let key = key.to_owned();
        self.with(move |contents| {
            if contents.items.get(&key) == Some(&old) {
                contents.items.remove(&key);
                contents.writes.push(key);
            }
        })
    }
}

impl WakeUps for MemoryTable {
    fn set<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        let WakeUp { user, at } = wake_up.clone();
        self.schedule(move |contents| {
            contents.wake_ups.insert((user, at));
        })
    }

    fn cancel<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        let WakeUp { user, at } = wake_up.clone();
        self.schedule(move |contents| {
            contents.wake_ups.remove(&(user, at));
        })
    }

    fn check(&self) -> ScheduleResult<'_> {
        self.schedule(|_| {})
    }
}
