//! A connector's queue and its dead letters, as the operator's actions see them.

use std::time::Duration;

use jiff::Timestamp;
use shared::consumer::DeadLetterKind;
use shared::identity::VendorId;
use shared::message::Message;
use shared::request::ErrorAnswer;
use thiserror::Error;

/// How many letters one call receives, sends, deletes or puts back at most
/// (documented by SQS).
pub const MOST_AT_ONCE: usize = 10;

/// A connector's queue and its dead-letter queue: no more of SQS than the
/// actions need.
///
/// Both are FIFO. While one letter of a group is in somebody's hands, SQS hands
/// out none of the group's later letters to anybody.
pub trait DeadLetters: Send + Sync + 'static {
    /// How many messages wait for the connector.
    ///
    /// # Errors
    /// [`Unavailable`] where the queue does not tell.
    fn queue_depth(&self) -> impl Future<Output = Result<Depth, Unavailable>> + Send;

    /// How many dead letters there are.
    ///
    /// # Errors
    /// [`Unavailable`] where the queue does not tell.
    fn dead_depth(&self) -> impl Future<Output = Result<Depth, Unavailable>> + Send;

    /// Takes up to [`MOST_AT_ONCE`] dead letters into our hands for so long.
    /// None where no letter can be had at present.
    ///
    /// # Errors
    /// [`Unavailable`] where the queue does not answer.
    fn receive(
        &self,
        hide: Duration,
    ) -> impl Future<Output = Result<Vec<Letter>, Unavailable>> + Send;

    /// Lets go of any number of letters, so that everybody sees them again at
    /// once. Best effort: what could not be let go comes back when its time ends.
    fn put_back(&self, receipts: &[Receipt]) -> impl Future<Output = ()> + Send;

    /// Sends up to [`MOST_AT_ONCE`] messages to the connector's queue; tells
    /// which the queue did not take.
    fn send(&self, messages: &[Outgoing]) -> impl Future<Output = Vec<Failed>> + Send;

    /// Deletes up to [`MOST_AT_ONCE`] letters that are in our hands; tells which are still there.
    fn delete(&self, receipts: &[Receipt]) -> impl Future<Output = Vec<Failed>> + Send;
}

/// How many messages a queue holds, as SQS counts them: approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Those that can be received, or could but for the order of their group.
    pub visible: u64,
    /// Those whose delay has not ended.
    pub delayed: u64,
    /// Those in somebody's hands.
    pub in_flight: u64,
}

impl Depth {
    /// All of them.
    pub fn total(self) -> u64 {
        self.visible + self.delayed + self.in_flight
    }
}

/// AWS did not do what was asked. Holds no content of any message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{what} failed: {reason}; check that it exists and that the role of OperatorFunction may use it, then try again"
)]
pub struct Unavailable {
    /// What was asked.
    pub what: &'static str,
    /// Why it was not done: AWS's code, or the chain of causes.
    pub reason: String,
}

impl From<Unavailable> for ErrorAnswer {
    fn from(unavailable: Unavailable) -> Self {
        Self::new("queue_unavailable", unavailable.to_string())
    }
}

/// That one entry of a batch was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub index: usize,
    /// Why, in a few words.
    pub reason: String,
}

/// What a letter in our hands is deleted or put back by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

/// A dead letter in our hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// SQS's id of the letter, the same each time it is received.
    pub id: String,
    /// What it is deleted or put back by.
    pub receipt: Receipt,
    /// Its FIFO group: the reader.
    pub group: String,
    /// The message as it was queued.
    pub body: String,
    /// X-Ray's trace header, where there is one.
    pub trace: Option<String>,
    /// When it came into the dead-letter queue.
    pub sent_at: Option<Timestamp>,
    /// Why it is here.
    pub why: Why,
}

/// Why a letter is here, from its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What kind of error.
    pub kind: ErrorKind,
    /// The HTTP status, where an API answered.
    pub status: Option<String>,
    /// What, where and what to do.
    pub message: Option<String>,
    /// When the consumer gave the message up.
    pub died_at: Option<Timestamp>,
}

/// What kind of error made a letter of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorKind(String);

impl ErrorKind {
    /// The kind of letters that SQS moved by itself: received too often, never
    /// given up by the consumer, so that they bear none of its attributes.
    const EXHAUSTED: &str = "exhausted";

    /// The longest kind that is shown. Those that this system writes are shorter.
    const MOST_CHARACTERS: usize = 64;

    /// The kind that a letter's attribute names.
    pub fn of_attribute(attribute: Option<&str>) -> Self {
        let kind = attribute.unwrap_or(Self::EXHAUSTED);
        Self(kind.chars().take(Self::MOST_CHARACTERS).collect())
    }

    /// The known kind of that name.
    pub fn known(name: &str) -> Option<Self> {
        Self::names()
            .any(|known| known == name)
            .then(|| Self(name.to_owned()))
    }

    /// The names of all known kinds.
    pub fn names() -> impl Iterator<Item = &'static str> {
        DeadLetterKind::ALL
            .into_iter()
            .map(DeadLetterKind::name)
            .chain([Self::EXHAUSTED])
    }

    /// The kind's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Letter {
    /// The message in it, where its body is one.
    pub fn message(&self) -> Option<Message> {
        Message::from_json(&self.body).ok()
    }

    /// The message as it goes back to the connector's queue: the same body in
    /// the same group with the same trace, and none of what was added when it died.
    pub fn homeward(&self) -> Outgoing {
        Outgoing {
            body: self.body.clone(),
            group: self.group.clone(),
            // The letter's own id: sent twice because we died before the letter
            // was deleted, it arrives once (for SQS's five minutes); dying once
            // more it becomes a letter of another id, which is not swallowed.
            deduplication_id: format!("redrive-{}", self.id),
            trace: self.trace.clone(),
        }
    }
}

/// A message on its way to the connector's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// The FIFO group.
    pub group: String,
    /// What the queue knows it by if it is sent again within five minutes.
    pub deduplication_id: String,
    /// X-Ray's trace header, where there is one.
    pub trace: Option<String>,
}

/// Which letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this vendor alone.
    pub vendor_id: Option<VendorId>,
    /// Those of this kind alone.
    pub error_kind: Option<ErrorKind>,
}

impl Filter {
    /// Is this letter meant? One whose body is no message has no vendor.
    pub fn matches(&self, letter: &Letter) -> bool {
        let kind = self.error_kind.as_ref();
        let vendor = self.vendor_id.as_ref();
        kind.is_none_or(|kind| *kind == letter.why.kind)
            && vendor.is_none_or(|vendor| {
                letter
                    .message()
                    .is_some_and(|message| message.reader.vendor_id == *vendor)
            })
    }
}
