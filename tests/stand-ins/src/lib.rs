//! Strict stand-ins of Sesamy and the CRM APIs, for tests and the demo.
//!
//! One server on a loopback port answers for Sesamy's token endpoint and
//! Management API, and for Rule, Mailmojo and Make.as. It refuses what the
//! real APIs refuse, keeps state that a test can look into, records every
//! request, and fails on demand. What a real API would carry out to somebody's
//! harm is recorded as a [`Violation`] even where it is answered.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use stand_ins::{Api, Contract, Fault, StandIns, User};
//!
//! let stand_ins = StandIns::start().await?;
//! let vendor = stand_ins.sesamy().add_vendor("acme", "client", "secret");
//! vendor.put_user(
//!     User::new("email|84cc")
//!         .email("anna@example.se")
//!         .contract(Contract::active("c1")),
//! );
//! let rule = stand_ins.rule().add_account("acme", "rule-key");
//! stand_ins.fault(Fault::status(500).on(Api::Rule).once());
//!
//! // … run what is tested against `stand_ins.urls()` …
//!
//! assert!(rule.subscriber("anna@example.se").is_some());
//! assert_eq!(stand_ins.harms(), []);
//! # Ok(())
//! # }
//! ```
//!
//! # The control API
//!
//! The program serves the same over HTTP, under `/control`:
//!
//! | method and path | does |
//! | --- | --- |
//! | `GET /` | the addresses of all APIs |
//! | `GET /state`, `GET /state/{api}` | what the APIs hold (`sesamy`, `rule`, `mailmojo`, `make`) |
//! | `POST /preload` | adds a [`Seed`]: accounts, content, settings, faults |
//! | `POST /reset` | empties everything but the accounts and comes back to the program's seed |
//! | `GET`, `POST`, `DELETE /faults` | lists, adds (a [`Fault`]; answers its id), clears faults |
//! | `DELETE /faults/{id}` | takes one off |
//! | `POST /faults/seed` | `{"seed": 1}`: starts the dice anew |
//! | `GET`, `DELETE /requests` | recorded requests; `?api=rule&account=acme` narrows the list |
//! | `GET`, `DELETE /violations` | violations, likewise |
//! | `POST /latency` | `{"ms": 50}`: how much longer every answer takes |
//! | `DELETE /sesamy/vendors/{id}/tokens` | revokes a vendor's tokens |
//! | `DELETE /sesamy/vendors/{id}/users/{id}` | takes a user away |

mod answer;
mod api;
mod call;
mod clock;
mod control;
mod faults;
mod handle;
pub mod mailmojo;
pub mod make;
mod requests;
pub mod rule;
mod seed;
mod server;
pub mod sesamy;
mod shape;
mod violations;
mod world;

pub use api::{Api, Urls};
pub use faults::{ActiveFault, Effect, Fault, FaultKind, RetryAfter};
pub use handle::{Builder, StandIns};
pub use requests::RecordedRequest;
pub use seed::Seed;
pub use sesamy::{
    Address, Bill, Contract, Entitlement, Envelope, RateLimit, Resource, User, Vendor,
};
pub use violations::{Harm, Violation};
