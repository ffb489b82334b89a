//! The readers of `events/stand-ins.json`, and what Sesamy announces of them.

/// A reader.
pub struct Reader {
    /// Who it is, for the person who watches.
    pub who: &'static str,
    /// The id at Sesamy.
    pub user_id: &'static str,
    /// What the CRMs know the reader by.
    pub email: &'static str,
    /// What Sesamy announces.
    pub events: &'static [Event],
}

/// An event that Sesamy announces.
pub struct Event {
    /// Its type.
    pub event_type: &'static str,
    /// The ids it names beside vendor and user.
    pub ids: &'static [(&'static str, &'static str)],
}

const fn event(event_type: &'static str, ids: &'static [(&'static str, &'static str)]) -> Event {
    Event { event_type, ids }
}

/// A reader of each kind.
pub const READERS: &[Reader] = &[
    Reader {
        who: "Anna, who has just become a subscriber",
        user_id: "email|anna",
        email: "anna@example.com",
        events: &[
            event("checkout.1#confirm", &[("checkoutId", "checkout-anna")]),
            event("contract.1#purchased", &[("contractId", "contract-anna")]),
            event(
                "entitlement.1#new",
                &[
                    ("contractId", "contract-anna"),
                    ("entitlementId", "entitlement-anna"),
                ],
            ),
            event("userVendor.1#new", &[]),
        ],
    },
    Reader {
        who: "Bo, whose payment has failed",
        user_id: "email|bo",
        email: "bo@example.com",
        events: &[event("contract.1#update", &[("contractId", "contract-bo")])],
    },
    Reader {
        who: "Cilla, whose cancelled subscription has ended",
        user_id: "email|cilla",
        email: "cilla@example.com",
        events: &[event(
            "contract.1#update",
            &[("contractId", "contract-cilla")],
        )],
    },
    Reader {
        who: "Dora, a guest, who must not reach any CRM",
        user_id: "guest|dora",
        email: "dora@example.com",
        events: &[event("userVendor.1#new", &[])],
    },
];
