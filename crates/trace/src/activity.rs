//! The moments of a request that a trace notes, by Triton's names.

/// A moment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is explained by its name, which is Triton's")]
pub enum Activity {
    HttpRecvStart,
    HttpRecvEnd,
    HttpSendStart,
    HttpSendEnd,
    GrpcWaitreadStart,
    GrpcWaitreadEnd,
    GrpcSendStart,
    GrpcSendEnd,
    InferResponseComplete,
    RequestStart,
    QueueStart,
    ComputeStart,
    ComputeInputEnd,
    ComputeOutputStart,
    ComputeEnd,
    RequestEnd,
}

impl Activity {
    /// The name in trace files, and of the event of a span.
    pub const fn name(self) -> &'static str {
        match self {
            Activity::HttpRecvStart => "HTTP_RECV_START",
            Activity::HttpRecvEnd => "HTTP_RECV_END",
            Activity::HttpSendStart => "HTTP_SEND_START",
            Activity::HttpSendEnd => "HTTP_SEND_END",
            Activity::GrpcWaitreadStart => "GRPC_WAITREAD_START",
            Activity::GrpcWaitreadEnd => "GRPC_WAITREAD_END",
            Activity::GrpcSendStart => "GRPC_SEND_START",
            Activity::GrpcSendEnd => "GRPC_SEND_END",
            Activity::InferResponseComplete => "INFER_RESPONSE_COMPLETE",
            Activity::RequestStart => "REQUEST_START",
            Activity::QueueStart => "QUEUE_START",
            Activity::ComputeStart => "COMPUTE_START",
            Activity::ComputeInputEnd => "COMPUTE_INPUT_END",
            Activity::ComputeOutputStart => "COMPUTE_OUTPUT_START",
            Activity::ComputeEnd => "COMPUTE_END",
            Activity::RequestEnd => "REQUEST_END",
        }
    }

    /// Whether it is an activity of a protocol, which belongs to the whole request and to no model.
    pub const fn is_of_protocol(self) -> bool {
        matches!(
            self,
            Activity::HttpRecvStart
                | Activity::HttpRecvEnd
                | Activity::HttpSendStart
                | Activity::HttpSendEnd
                | Activity::GrpcWaitreadStart
                | Activity::GrpcWaitreadEnd
                | Activity::GrpcSendStart
                | Activity::GrpcSendEnd
                | Activity::InferResponseComplete
        )
    }
}
