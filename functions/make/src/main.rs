use lambda_runtime::Error;
use make::Make;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::consumer::run(Make).await
}
