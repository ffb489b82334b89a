//! The users of `events/fakes.json` and their webhooks.

pub struct DemoUser {
    pub description: &'static str,
    pub user_id: &'static str,
    pub email: &'static str,
    /// What may surprise.
    pub remark: Option<&'static str>,
    pub events: &'static [DemoEvent],
}

pub struct DemoEvent {
    pub event_type: &'static str,
    /// The webhook's ids other than those of the vendor and the user.
    pub ids: &'static [(&'static str, &'static str)],
}

const fn event(
    event_type: &'static str,
    ids: &'static [(&'static str, &'static str)],
) -> DemoEvent {
    DemoEvent { event_type, ids }
}

pub const USERS: &[DemoUser] = &[
    DemoUser {
        description: "Anna, who has just become a subscriber",
        user_id: "email|anna",
        email: "anna@example.com",
        remark: None,
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
    DemoUser {
        description: "Bo, whose payment has failed",
        user_id: "email|bo",
        email: "bo@example.com",
        remark: Some(
            "Make.as knows two states, so an overdue subscription is cancelled there; the tags tell them apart",
        ),
        events: &[event("contract.1#update", &[("contractId", "contract-bo")])],
    },
    DemoUser {
        description: "Cilla, whose cancelled subscription has ended",
        user_id: "email|cilla",
        email: "cilla@example.com",
        remark: Some("she unsubscribed: tags and fields still change, her consent does not"),
        events: &[event(
            "contract.1#update",
            &[("contractId", "contract-cilla")],
        )],
    },
    DemoUser {
        description: "Dora, a guest, who must not reach any CRM",
        user_id: "guest|dora",
        email: "dora@example.com",
        remark: None,
        events: &[event("userVendor.1#new", &[])],
    },
];
