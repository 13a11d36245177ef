//! Requests for tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Delivery, Event, InputTensor, Observers, Request, RequestContext, ResponseReceiver, channel,
};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::smallvec;

/// What a request is like. The default: one batch entry of four bytes, now.
#[derive(Clone, Debug)]
pub(crate) struct Like {
    pub(crate) id: usize,
    pub(crate) batch: usize,
    /// Bytes of a batch entry, or none if the optional input is not given.
    pub(crate) width: Option<i64>,
    pub(crate) priority: u64,
    pub(crate) timeout: Option<Duration>,
    pub(crate) queued: Instant,
    pub(crate) delivery: Delivery,
    pub(crate) statistics: Arc<ModelStatistics>,
}

impl Default for Like {
    fn default() -> Self {
        Like {
            id: 0,
            batch: 1,
            width: Some(4),
            priority: 0,
            timeout: None,
            queued: Instant::now(),
            delivery: Delivery::Once,
            statistics: Arc::default(),
        }
    }
}

impl Like {
    pub(crate) fn make(&self) -> (Request, ResponseReceiver) {
        let (response, receiver) = channel(
            self.delivery,
            RequestContext::with_id(self.id.to_string().into(), self.queued),
            Observers::counting(&self.statistics),
        );
        let input = self.width.map(|width| InputTensor {
            shape: Shape::from([self.batch as i64, width]),
            data: TensorData::from(Bytes::from(vec![0; self.batch * width as usize])),
        });
        let request = Request {
            priority: self.priority,
            timeout: self.timeout,
            queued: self.queued,
            ..Request::new(smallvec![input], self.batch, response)
        };
        (request, receiver)
    }
}

/// The id that the request was made with.
pub(crate) fn id(request: &Request) -> usize {
    request.id().parse().unwrap()
}

/// An optional input of any width.
pub(crate) fn interface(max_batch_size: u32) -> Arc<Interface> {
    let input = TensorSpec {
        name: "x".into(),
        data_type: DataType::Uint8,
        dims: Shape::from([-1]),
        reshape: None,
        optional: true,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    Arc::new(Interface { inputs: vec![input], max_batch_size, ..Interface::default() })
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What has come for a request so far, without waiting.
pub(crate) fn received(receiver: &mut ResponseReceiver) -> Option<Event> {
    let mut next = std::pin::pin!(receiver.next());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match next.as_mut().poll(&mut context) {
        std::task::Poll::Ready(event) => event,
        std::task::Poll::Pending => None,
    }
}
