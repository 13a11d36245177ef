//! An example of the server as a library: a program that sends a request to a model in its own process, without open
//! ports.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use hippocamp_core::{InferInput, InferRequest, InferenceServer, Settings};
use hippocamp_tensor::DataType;
use hippocamp_testing::{Repository, identity_config};
use smallvec::smallvec;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Any model repository can be used; this temporary one is deleted with the program.
    let repository = Repository::default().with("echo", &identity_config(0, ""));
    let settings = Settings { repositories: vec![repository.path().into()], ..Settings::default() };
    let server = InferenceServer::new(settings, hippocamp_backend_builtin::backends());
    for fault in server.load_repositories().await {
        eprintln!("{fault}");
    }

    let numbers: Vec<u8> = [1.5_f32, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let request = InferRequest::new(smallvec![InferInput {
        name: "INPUT0",
        data_type: Some(DataType::Fp32),
        shape: [2].into_iter().collect(),
        data: bytes::Bytes::from(numbers.clone()).into(),
    }]);
    let model = server.model("echo", None)?;
    let response = model.infer(request)?.only().await?;
    let output = &response.outputs[0];
    println!("{} of shape {}", model.interface.outputs[output.index].name, output.shape);
    assert_eq!(output.data.to_host()?, numbers);
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
