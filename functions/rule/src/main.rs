use lambda_runtime::Error;
use rule::Rule;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::consumer::run(Rule::default()).await
}
