//! Readers of any size.

use stand_ins::sesamy::{Address, Bill, Contract, Entitlement, User};

/// A reader of one state or another, whose syncs change something each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    /// Everything is paid.
    Made,
    /// The first contract is overdue.
    Overdue,
}

/// A reader with so many contracts, and as many entitlements and bills. Each
/// contract is of a product of its own, which is more than any real reader has
/// and the most work for every CRM.
pub fn reader(id: &str, contracts: usize, payment: Payment) -> User {
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
        let contract = format!("contract-{n}");
        let (sku, title) = (format!("sid:{n}"), format!("Dagens Nytt {n}"));
        let made = match payment {
            Payment::Overdue if n == 0 => Contract::overdue(&contract),
            _ => Contract::active(&contract),
        };
        user = user
            .contract(made.item(&sku, &title, "po", "Månadsvis"))
            .entitlement(
                Entitlement::new(&format!("entitlement-{n}"), &sku, &title)
                    .option("po")
                    .from_contract(&contract),
            )
            .bill(
                Bill::paid(&format!("bill-{n}"), &contract)
                    .price(99.5, "SEK")
                    .paid_at("2026-02-01T08:00:00.000Z"),
            );
    }
    user
}

impl Payment {
    /// One or the other in turn, so that each event has brought a change.
    pub const fn of(event: usize) -> Self {
        if event.is_multiple_of(2) {
            Self::Made
        } else {
            Self::Overdue
        }
    }
}
