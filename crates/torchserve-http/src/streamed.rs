//! A body that is the responses of a model, as they come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hippocamp_http_content::ResponseBody;
use hippocamp_tensor::HostSegments;
use hippocamp_torchserve::{Failure, PredictionStream};
use http_body::{Body, Frame};

type Next = Pin<Box<dyn Future<Output = (PredictionStream, Option<Result<HostSegments, Failure>>)> + Send>>;

struct Streamed {
    pieces: VecDeque<Bytes>,
    /// The response that is waited for; `None` behind the last.
    next: Option<Next>,
}

fn next(mut stream: PredictionStream) -> Next {
    Box::pin(async move {
        let response = stream.next().await;
        (stream, response)
    })
}

/// A body that begins with the response that came first.
pub(crate) fn body(first: HostSegments, stream: PredictionStream) -> ResponseBody {
    ResponseBody::stream(Streamed { pieces: first.into_iter().collect(), next: Some(next(stream)) })
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(waiting) = &mut self.next else { return Poll::Ready(None) };
            let Poll::Ready((stream, response)) = waiting.as_mut().poll(context) else {
                return Poll::Pending;
            };
            match response {
                Some(Ok(more)) => {
                    self.pieces.extend(more);
                    self.next = Some(next(stream));
                }
                // The status was sent with the first response: what is left to say is the reason.
                Some(Err(failure)) => {
                    self.pieces.push_back(Bytes::from(failure.json()));
                    self.next = None;
                }
                None => self.next = None,
            }
        }
    }
}
