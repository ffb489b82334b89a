//! Strict fakes of Sesamy and the CRM APIs, for tests and the demo.
//!
//! One server on a loopback port serves Sesamy's token endpoint and Management API, Rule,
//! Mailmojo, Make.as, Mailchimp and HubSpot. It rejects requests that the real APIs reject,
//! keeps state that a test can inspect, records every request, and fails on demand. For a
//! harmful request that a real API would carry out, the fake records a [`Violation`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use fakes::{Api, Contract, Fault, Fakes, User};
//!
//! let fakes = Fakes::start().await?;
//! let vendor = fakes.sesamy().add_vendor("acme", "client", "secret");
//! vendor.put_user(
//!     User::new("email|84cc")
//!         .email("anna@example.se")
//!         .contract(Contract::active("c1")),
//! );
//! let rule = fakes.rule().add_account("acme", "rule-key");
//! fakes.fault(Fault::status(500).on(Api::Rule).once());
//!
//! // … run the code under test against `fakes.urls()` …
//!
//! assert!(rule.subscriber("anna@example.se").is_some());
//! assert_eq!(fakes.violation_kinds(), []);
//! # Ok(())
//! # }
//! ```
//!
//! # The control API
//!
//! The server also offers the functions of the handles over HTTP, under `/control`:
//!
//! | method and path | does |
//! | --- | --- |
//! | `GET /` | the addresses of all APIs |
//! | `GET /state`, `GET /state/{api}` | the data of all APIs or of one (`sesamy`, `rule`, `mailmojo`, `make`, `mailchimp`, `hubspot`) |
//! | `POST /preload` | adds a [`Seed`]: accounts, content, settings, faults; content with the same id is replaced, for example a user by one with a new address |
//! | `POST /reset` | deletes everything except the accounts, and applies the initial seed again |
//! | `GET`, `POST`, `DELETE /faults` | lists, adds (a [`Fault`]; the response has its id), clears faults |
//! | `DELETE /faults/{id}` | removes a fault |
//! | `POST /faults/seed` | `{"seed": 1}`: seeds the random numbers of faults with a probability |
//! | `GET`, `DELETE /requests` | recorded requests; `?api=rule&account=acme` filters the list |
//! | `GET`, `DELETE /violations` | violations, with the same filters |
//! | `POST /latency` | `{"ms": 50}`: added to the duration of every response |
//! | `DELETE /sesamy/vendors/{id}/tokens` | revokes a vendor's tokens |
//! | `DELETE /sesamy/vendors/{id}/users/{id}` | deletes a user |

mod accounts;
mod api;
mod clock;
mod control;
mod faults;
mod handle;
pub mod hubspot;
pub mod mailchimp;
pub mod mailmojo;
pub mod make;
mod other;
mod rejection;
mod request;
mod request_log;
mod response;
pub mod rule;
mod seed;
mod server;
pub mod sesamy;
mod state;
mod validation;
mod violations;

pub use accounts::CrmSeed;
pub use api::{Api, Urls};
pub use faults::{ActiveFault, Effect, Fault, FaultKind, RetryAfter};
pub use handle::{Builder, Fakes};
pub use other::{Call, Reply};
pub use request_log::RecordedRequest;
pub use seed::Seed;
pub use sesamy::{
    Address, Bill, Contract, Entitlement, Envelope, RateLimit, Resource, User, Vendor,
};
pub use violations::{Violation, ViolationKind};
