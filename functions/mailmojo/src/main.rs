use lambda_runtime::Error;
use mailmojo::Mailmojo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::consumer::run(Mailmojo::default()).await
}
