//! KServe v2 over gRPC, with binary tensors.

use std::time::Duration;

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::model_metadata_response::TensorMetadata;
use hippocamp_proto::inference::{
    CudaSharedMemoryRegisterRequest, CudaSharedMemoryUnregisterRequest, InferParameter, ModelInferRequest,
    ModelMetadataRequest, RepositoryIndexRequest, SystemSharedMemoryRegisterRequest,
    SystemSharedMemoryUnregisterRequest,
};
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_tensor::DataType;
use tonic::Status;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::access::Headers;
use crate::answer::{Answer, Metadata, Parameter, Request, Tensor, TensorInfo};
use crate::failure::{Failure, Result, fail};
use crate::server::{Target, unreachable};

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct GrpcServer {
    address: String,
    client: GrpcInferenceServiceClient<InterceptedService<Channel, WithHeaders>>,
}

/// Adds headers to each call.
#[derive(Clone, Debug)]
struct WithHeaders(Headers);

impl Interceptor for WithHeaders {
    fn call(&mut self, mut call: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let metadata = call.metadata_mut().as_mut();
        for (name, value) in self.0.map() {
            metadata.append(name, value.clone());
        }
        Ok(call)
    }
}

impl GrpcServer {
    pub(crate) async fn connect(address: &str, timeout: Duration, headers: &Headers) -> Result<GrpcServer> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|why| Failure::new(format!("--url '{address}' was expected to be HOST:PORT: {why}")))?;
        let channel = endpoint.connect_timeout(timeout).timeout(timeout).connect().await;
        let channel = channel.map_err(|why| unreachable(address, innermost(&why)))?;
        let client = GrpcInferenceServiceClient::with_interceptor(channel, WithHeaders(headers.clone()))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Ok(GrpcServer { address: address.to_owned(), client })
    }

    pub(crate) async fn metadata(&mut self, target: &Target) -> Result<Metadata> {
        let request = ModelMetadataRequest { name: target.model.clone(), version: target.version.clone() };
        let answer = self.client.model_metadata(request).await.map_err(|status| self.failed(&status))?;
        let answer = answer.into_inner();
        Ok(Metadata { inputs: infos(answer.inputs)?, outputs: infos(answer.outputs)? })
    }

    /// The names of the models that are ready.
    pub(crate) async fn index(&mut self) -> Result<Vec<String>> {
        let request = RepositoryIndexRequest { ready: true, ..RepositoryIndexRequest::default() };
        let answer = self.client.repository_index(request).await.map_err(|status| self.failed(&status))?;
        Ok(answer.into_inner().models.into_iter().map(|model| model.name).collect())
    }

    pub(crate) async fn infer(&mut self, target: &Target, request: &Request) -> Result<Answer> {
        let answer = self.client.model_infer(message(target, request)).await;
        let answer = answer.map_err(|status| self.failed(&status))?.into_inner();
        let mut outputs = Vec::new();
        let mut contents = answer.raw_output_contents.into_iter();
        for output in answer.outputs {
            let data_type = data_type(&output.name, &output.datatype)?;
            // A server answers in the one place or in the other.
            let typed = || crate::typed_contents::bytes(data_type, output.contents.as_ref()?);
            let Some(data) = contents.next().or_else(typed) else {
                fail!("the server's answer lacks the bytes of output '{}'", output.name);
            };
            outputs.push(Tensor { name: output.name, data_type, shape: output.shape, data });
        }
        Ok(Answer { model: answer.model_name, version: answer.model_version, outputs })
    }

    pub(crate) async fn register_shared_memory(
        &mut self,
        name: &str,
        key: &str,
        byte_size: u64,
    ) -> Result<()> {
        let request = SystemSharedMemoryRegisterRequest {
            name: name.to_owned(),
            key: key.to_owned(),
            offset: 0,
            byte_size,
        };
        let answer = self.client.system_shared_memory_register(request).await;
        answer.map(drop).map_err(|status| self.failed(&status))
    }

    pub(crate) async fn unregister_shared_memory(&mut self, name: &str) -> Result<()> {
        let request = SystemSharedMemoryUnregisterRequest { name: name.to_owned() };
        let answer = self.client.system_shared_memory_unregister(request).await;
        answer.map(drop).map_err(|status| self.failed(&status))
    }

    pub(crate) async fn register_cuda_shared_memory(
        &mut self,
        name: &str,
        handle: &[u8],
        gpu: i32,
        byte_size: u64,
    ) -> Result<()> {
        let request = CudaSharedMemoryRegisterRequest {
            name: name.to_owned(),
            raw_handle: handle.to_vec().into(),
            device_id: i64::from(gpu),
            byte_size,
        };
        let answer = self.client.cuda_shared_memory_register(request).await;
        answer.map(drop).map_err(|status| self.failed(&status))
    }

    pub(crate) async fn unregister_cuda_shared_memory(&mut self, name: &str) -> Result<()> {
        let request = CudaSharedMemoryUnregisterRequest { name: name.to_owned() };
        let answer = self.client.cuda_shared_memory_unregister(request).await;
        answer.map(drop).map_err(|status| self.failed(&status))
    }

    fn failed(&self, status: &Status) -> Failure {
        let text = status.message();
        let address = &self.address;
        // An HTTP port that accepts HTTP/2 answers the call with a response that is not gRPC.
        if text.contains("while receiving response with status: ") {
            return self.no_grpc(text);
        }
        // Transport errors have a source; errors that the server returns have none.
        if let Some(cause) = std::error::Error::source(status) {
            let cause = innermost(cause);
            let is_late = text.contains("imeout") || cause.contains("imeout");
            return if is_late {
                Failure::new(format!("no answer from {address} in time; --timeout allows more"))
            } else {
                self.no_grpc(&format!("{text}: {cause}"))
            };
        }
        Failure::new(text)
    }

    fn no_grpc(&self, why: &str) -> Failure {
        Failure::new(format!(
            "{} does not answer as a gRPC server does: {why}\ngRPC is on port 8001 by default, HTTP on 8000 \
             (--protocol http)",
            self.address
        ))
    }
}

/// The message of a request.
pub fn message(target: &Target, request: &Request) -> ModelInferRequest {
    let parameter = |value: &Parameter| InferParameter {
        parameter_choice: Some(match value {
            Parameter::Bool(value) => ParameterChoice::BoolParam(*value),
            Parameter::Int(value) => ParameterChoice::Int64Param(*value),
            Parameter::Double(value) => ParameterChoice::DoubleParam(*value),
            Parameter::String(value) => ParameterChoice::StringParam(value.clone()),
        }),
    };
    let input = |tensor: &Tensor| InferInputTensor {
        name: tensor.name.clone(),
        datatype: tensor.data_type.protocol_name().to_owned(),
        shape: tensor.shape.clone(),
        ..InferInputTensor::default()
    };
    let output = |name: &String| InferRequestedOutputTensor {
        name: name.clone(),
        ..InferRequestedOutputTensor::default()
    };
    ModelInferRequest {
        model_name: target.model.clone(),
        model_version: target.version.clone(),
        parameters: request.parameters.iter().map(|(key, value)| (key.clone(), parameter(value))).collect(),
        inputs: request.inputs.iter().map(input).collect(),
        outputs: request.outputs.iter().map(output).collect(),
        raw_input_contents: request.inputs.iter().map(|tensor| tensor.data.clone()).collect(),
        ..ModelInferRequest::default()
    }
}

fn infos(tensors: Vec<TensorMetadata>) -> Result<Vec<TensorInfo>> {
    let info = |tensor: TensorMetadata| {
        let data_type = data_type(&tensor.name, &tensor.datatype)?;
        Ok(TensorInfo { name: tensor.name, data_type, shape: tensor.shape })
    };
    tensors.into_iter().map(info).collect()
}

fn data_type(tensor: &str, name: &str) -> Result<DataType> {
    DataType::from_protocol_name(name).ok_or_else(|| {
        Failure::new(format!("the server gives '{tensor}' a data type that is not known: '{name}'"))
    })
}

/// The innermost source of an error: the transport's own message only says that it failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
