use hubspot::HubSpot;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::consumer::run(HubSpot::default()).await
}
