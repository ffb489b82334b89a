//! Users of every kind, for the reviewed requests of each connector.

use fakes::sesamy::{Address, Bill, Contract, Entitlement, User};

/// With a character that must be escaped in a path.
const EMAIL: &str = "anna+news@example.se";

/// Users by name, each with the states they go through.
pub fn users() -> Vec<(&'static str, Vec<User>)> {
    vec![
        ("new_subscriber", vec![subscriber()]),
        ("overdue_with_a_gift", vec![overdue_with_a_gift()]),
        ("buyer_of_articles", vec![buyer_of_articles()]),
        ("nothing_but_an_address", vec![only_an_address()]),
        (
            "subscriber_who_left",
            vec![subscriber(), former_subscriber()],
        ),
    ]
}

fn only_an_address() -> User {
    User::new("email|84cc").email(EMAIL)
}

fn anna() -> User {
    only_an_address()
        .name("Anna", "Åsk")
        .mobile_phone("+46701234567")
        .company("Åsk & Co")
        .tags(&["Early Bird"])
}

fn subscriber() -> User {
    anna()
        .billing_address(
            Address::new("Storgatan 1", "111 22", "Stockholm", "SE").name("Anna", "Åsk"),
        )
        .contract(Contract::active("c1").item("sid:Daily", "Dagens Nytt", "po1", "Månadsvis"))
        .entitlement(
            Entitlement::new("e1", "sid:Daily", "Dagens Nytt")
                .option("po1")
                .from_contract("c1"),
        )
        .bill(
            Bill::paid("b1", "c1")
                .price(99.5, "SEK")
                .paid_at("2026-02-01T08:00:00.000Z"),
        )
}

fn overdue_with_a_gift() -> User {
    anna()
        .contract(Contract::overdue("c1").item("sid:Daily", "Dagens Nytt", "po1", "Månadsvis"))
        .contract(
            Contract::active("c2")
                .item("sid:Weekend", "Helg", "po2", "Årsvis")
                .paid_by("email|giver")
                .issues_remaining(7),
        )
        .entitlement(Entitlement::new("e2", "sid:Weekend", "Helg").from_contract("c2"))
}

fn buyer_of_articles() -> User {
    anna()
        .contract(Contract::single_purchase("c1").item("sid:Article", "Artikel", "po", "Köp"))
        .entitlement(Entitlement::article("e1", "sid:Article", "Artikel").from_contract("c1"))
        .entitlement(Entitlement::new("e2", "sid:Partner", "Partner").external("l1", "Partner"))
}

fn former_subscriber() -> User {
    anna()
        .contract(Contract::expired("c1").item("sid:Daily", "Dagens Nytt", "po1", "Månadsvis"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "Dagens Nytt").no_access())
}
