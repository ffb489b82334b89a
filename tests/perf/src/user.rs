use fakes::sesamy::{Address, Bill, Contract, Entitlement, User};

/// Every change of this state gives a sync something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    Paid,
    /// The first contract is overdue.
    Overdue,
}

impl PaymentState {
    /// Alternates with the event's number, so that each event follows a change.
    pub const fn for_event(number: usize) -> Self {
        if number.is_multiple_of(2) {
            Self::Paid
        } else {
            Self::Overdue
        }
    }
}

pub fn user_ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("email|user-{n}")).collect()
}

/// A user with this many contracts, entitlements and bills. Each contract has its own
/// product, which causes the most work at every CRM and is more than real users have.
pub fn user(id: &str, contracts: usize, payment: PaymentState) -> User {
    let mut user = User::new(id)
        .email(&format!("{}@example.se", id.replace('|', ".")))
        .name("Anna", "Åsk")
        .mobile_phone("+46701234567")
        .company("Åsk & Co")
        .tags(&["Early Bird"])
        .billing_address(
            Address::new("Storgatan 1", "111 22", "Stockholm", "SE").name("Anna", "Åsk"),
        );
    for n in 0..contracts {
        let id = format!("contract-{n}");
        let (sku, title) = (format!("sid:{n}"), format!("Dagens Nytt {n}"));
        let contract = match payment {
            PaymentState::Overdue if n == 0 => Contract::overdue(&id),
            _ => Contract::active(&id),
        };
        user = user
            .contract(contract.item(&sku, &title, "po", "Månadsvis"))
            .entitlement(
                Entitlement::new(&format!("entitlement-{n}"), &sku, &title)
                    .option("po")
                    .from_contract(&id),
            )
            .bill(
                Bill::paid(&format!("bill-{n}"), &id)
                    .price(99.5, "SEK")
                    .paid_at("2026-02-01T08:00:00.000Z"),
            );
    }
    user
}
