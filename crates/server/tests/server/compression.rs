//! How the replies of gRPC are compressed.

use std::sync::Arc;

use hippocamp_grpc::{CompressionLevel, GrpcSettings};
use hippocamp_net::Limits;
use hippocamp_proto::inference::ModelConfigRequest;
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_testing::{Repository, TestServer, identity_config, network};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::metadata::MetadataMap;

use crate::requests::{fp32, values};

fn coding(headers: &MetadataMap) -> Option<&str> {
    headers.get("grpc-encoding").map(|coding| coding.to_str().unwrap())
}

#[tokio::test]
async fn a_level_compresses_inference_for_clients_that_take_it() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let content: Vec<f32> = (0..4096_u16).map(|i| f32::from(i % 7)).collect();
    let request = fp32("m", "", &[4096], &content);
    for (level, accepted, expected) in [
        (CompressionLevel::None, &[Gzip, Deflate][..], None),
        (CompressionLevel::Low, &[Gzip, Deflate], Some("gzip")),
        (CompressionLevel::Low, &[Deflate], Some("deflate")),
        (CompressionLevel::Medium, &[Gzip, Deflate], Some("deflate")),
        (CompressionLevel::High, &[Gzip, Deflate], Some("deflate")),
        (CompressionLevel::High, &[Gzip], Some("gzip")),
        (CompressionLevel::High, &[], None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = GrpcSettings { response_compression: level, ..GrpcSettings::default() };
        let (network, _threads) = network(1, Limits::default());
        let front =
            hippocamp_grpc::serve(listener, network, Arc::clone(&server.core), settings, |front| front);
        let front = tokio::spawn(front);
        let mut client = GrpcInferenceServiceClient::connect(address).await.unwrap();
        for encoding in accepted {
            client = client.accept_compressed(*encoding);
        }
        let reply = client.model_infer(request.clone()).await.unwrap();
        assert_eq!(coding(reply.metadata()), expected, "{level:?} {accepted:?}");
        assert_eq!(values(&reply.into_inner()), content);
        let stream = client.model_stream_infer(tokio_stream::iter([request.clone()])).await.unwrap();
        assert_eq!(coding(stream.metadata()), expected, "{level:?} {accepted:?}");
        let reply = stream.into_inner().next().await.unwrap().unwrap();
        assert_eq!(values(&reply.infer_response.unwrap()), content);
        let asked = ModelConfigRequest { name: "m".to_owned(), version: String::new() };
        let config = client.model_config(asked).await.unwrap();
        assert_eq!(coding(config.metadata()), None, "only inference is compressed");
        front.abort();
    }
}
