use lambda_runtime::Error;
use mailchimp::Mailchimp;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::consumer::run(Mailchimp::default()).await
}
