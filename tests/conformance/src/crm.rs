//! What the laws need to know about a CRM.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use fakes::sesamy::{Contract, Entitlement, User};
use fakes::{Api, Fakes, RecordedRequest};
use proptest::strategy::BoxedStrategy;
use serde_json::Value;
use shared::connector::Connector;
use shared::derivation::DesiredContact;

use crate::Bench;

/// The user of the laws.
pub const USER: &str = "email|84cc";
/// The address of [`USER`].
pub const EMAIL: &str = "anna@example.se";

/// A connector and the fake of its CRM.
pub trait TestedCrm {
    type Connector: Connector + Default;
    type Account;
    type Contact: Clone + Debug;
    /// Undocumented behaviour of an account. The fake supports every variant.
    type Settings: Clone + Debug + Default;

    const API: Api;
    /// Tags that every synced contact gets besides the derived ones.
    const BASE_TAGS: &[&str] = &[];
    /// Fields that belong to the publisher as well as to us.
    const SHARED_FIELDS: &[&str];
    /// The writes of a sync that changes nothing, because no call can read the data.
    const UNCONDITIONAL_WRITES: &[&str];
    /// An account that ignores case keeps the first spelling of a tag that it saw.
    const KEEPS_FIRST_SPELLING: bool;
    /// A contact keeps its consent at a new address. Otherwise consent belongs to the
    /// address, and only a contact that has not left may move.
    const CONSENT_MOVES: bool = true;
    /// Every account ignores case.
    const ALWAYS_IGNORES_CASE: bool = false;

    /// The CRM moves no contact that unsubscribed, so a new one takes its status.
    const COPIES_UNSUBSCRIBED: bool = false;

    /// Adds an account with the list that users join.
    fn add_account(fakes: &Fakes, name: &str) -> Self::Account;
    /// The connector's secret for the account of this name.
    fn secret(fakes: &Fakes, account: &str) -> Value;
    fn is_read(request: &RecordedRequest) -> bool {
        request.method == "GET"
    }
    fn set_settings(account: &Self::Account, settings: Self::Settings);
    /// Tags that differ only in case are one tag.
    fn settings_that_ignore_case() -> Self::Settings;
    /// No contact may be moved to another address.
    fn settings_that_refuse_moves() -> Self::Settings;
    fn any_settings() -> BoxedStrategy<Self::Settings>;

    /// A contact with [`EMAIL`] that joined the list, with a foreign field.
    fn contact(tags: &[&str]) -> Self::Contact;
    /// Any contact that the publisher, an earlier sync or another system may have left.
    fn any_contact() -> BoxedStrategy<Self::Contact>;
    fn unsubscribed(contact: Self::Contact) -> Self::Contact;
    fn put_contact(account: &Self::Account, contact: Self::Contact);
    fn contacts(account: &Self::Account) -> Vec<Self::Contact>;

    fn data(contact: &Self::Contact) -> ContactData;
    fn email(contact: &Self::Contact) -> String;
    fn with_email(contact: Self::Contact, email: &str) -> Self::Contact;
    /// The times of the events that were delivered, each as often as it was. None for a
    /// CRM that gets no events.
    fn deliveries(_: &Self::Account) -> Vec<String> {
        Vec::new()
    }

    /// Status and lists of a contact.
    fn consent(contact: &Self::Contact) -> Value;
    /// The consent after a sync. It differs only if the contact joins the list.
    fn consent_after_sync(contact: &Self::Contact, _: &Self::Settings) -> Value {
        Self::consent(contact)
    }
    /// Every field that a sync determines; `None` if it must have no value.
    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>>;
    /// Checks the records that a CRM holds besides contacts.
    fn check_records(_: &Self::Account, _: &DesiredContact) {}

    /// Every call of a sync.
    fn sync_calls() -> Vec<SyncCall<Self>>;
    /// Every call that forgets a [`customer`].
    fn forget_calls() -> Vec<ForgetCall>;
}

/// The tags and fields of a contact. Fields without a value are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactData {
    pub tags: Vec<String>,
    pub fields: BTreeMap<String, Value>,
}

impl ContactData {
    pub fn tag_set(&self) -> BTreeSet<String> {
        self.tags.iter().cloned().collect()
    }
}

pub struct SyncCall<C: TestedCrm + ?Sized> {
    pub method: &'static str,
    pub path: &'static str,
    /// The contact whose sync makes this call.
    pub before: C::Contact,
}

pub struct ForgetCall {
    pub method: &'static str,
    pub path: &'static str,
    /// How many calls of this kind come before it.
    pub skip: u32,
    /// How many tags are removed before it.
    pub removed_tags: usize,
}

/// A bench whose vendor has one account, named `account`, at the CRM.
pub async fn start<C: TestedCrm>() -> (Bench<C::Connector>, C::Account) {
    let bench = Bench::new(C::Connector::default()).await;
    let account = C::add_account(&bench.fakes, "account");
    bench.put_connector_secret(&C::secret(&bench.fakes, "account"));
    (bench, account)
}

pub fn anna() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .company("X AS")
}

/// [`anna`] with a value for every part of a sync.
pub fn customer() -> User {
    anna()
        .phone_number("+46701234567")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .contract(Contract::single_purchase("c2").item("sid:A", "A", "po", "Own"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "The Daily").from_contract("c1"))
}

/// The only contact of an account.
pub(crate) fn only_contact<C: TestedCrm>(account: &C::Account) -> C::Contact {
    let mut contacts = C::contacts(account);
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    contacts.remove(0)
}

/// Tags, fields and consent of the only contact.
pub(crate) fn state<C: TestedCrm>(account: &C::Account) -> (ContactData, Value) {
    let contact = only_contact::<C>(account);
    (C::data(&contact), C::consent(&contact))
}
