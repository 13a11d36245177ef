//! The front of the HTTP port: hands a request to the module of its path, without a socket.

use std::sync::{Arc, OnceLock};

use hippocamp_access::Access;
use hippocamp_core::{HeaderForwarding, InferenceServer};
use hippocamp_http_content::{ResponseCompression, Unread};
use hippocamp_net::{Network, Source};
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::response::{self, ResponseBody};
use crate::router::{self, ModelAction, Route};
use crate::{
    generate, guard, health, infer, logging, metadata, openapi, repository, shared_memory, statistics,
    trace_setting,
};

/// Settings of this protocol.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Bounds what the server reads into memory as JSON, as a raw request or decompressed, and each tensor that is
    /// written as JSON, in bytes. Tensors that follow the JSON are not bounded by it.
    pub max_input_size: usize,
    /// Which responses to inference are compressed, of those whose client takes that.
    pub response_compression: ResponseCompression,
    /// Which headers of inference become parameters of the request.
    pub header_forwarding: HeaderForwarding,
    /// Who may make which request.
    pub access: Access,
}

impl Default for HttpSettings {
    /// The defaults of the command line.
    fn default() -> Self {
        HttpSettings {
            max_input_size: 64 << 20,
            response_compression: ResponseCompression::Auto,
            header_forwarding: HeaderForwarding::default(),
            access: Access::open(),
        }
    }
}

/// Answers requests. Holds nothing of any connection.
#[derive(Debug)]
pub struct HttpFront {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) settings: HttpSettings,
    /// The size in bytes above which tensors are copied on another thread.
    pub(crate) large_copy: usize,
    /// The OpenAPI document, once it was asked for.
    openapi: OnceLock<Vec<u8>>,
}

impl HttpFront {
    pub fn new(server: Arc<InferenceServer>, settings: HttpSettings) -> HttpFront {
        HttpFront { server, settings, large_copy: usize::MAX, openapi: OnceLock::new() }
    }

    /// The front of a port of that network.
    pub fn on(network: &Network, server: Arc<InferenceServer>, settings: HttpSettings) -> HttpFront {
        HttpFront { large_copy: network.large_copy(), ..HttpFront::new(server, settings) }
    }

    /// Answers one request. Dropping the future cancels what it asked for. Has to run on a tokio runtime: large bodies
    /// are decoded on its blocking threads.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Source,
    {
        let (head, body) = request.into_parts();
        let body = Unread::new(&head.headers, body);
        let route = match router::find(head.uri.path()) {
            Ok(route) => route,
            Err(error) => {
                body.discard().await;
                return response::error(&error);
            }
        };
        // The connection leaves out the body of an answer to HEAD.
        let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
        let grant = match guard::check(&self.settings.access, &route, method, &head.headers) {
            Ok(grant) => grant,
            Err(denial) => {
                body.discard().await;
                return guard::denied(&denial);
            }
        };
        if !route.methods().contains(method) {
            body.discard().await;
            return method_not_allowed(route.methods());
        }
        match route {
            Route::ServerMetadata => metadata::server(&self.server),
            Route::OpenApi => response::json(self.openapi.get_or_init(|| openapi::document(self)).clone()),
            Route::Live => health::health("live", self.server.is_live()),
            Route::Ready => health::health("ready", self.server.is_ready()),
            Route::AllStatistics => statistics::statistics(&self.server, "", None, &grant),
            Route::Model(path, ModelAction::Infer) => infer::infer(self, &head, &path, body).await,
            Route::Model(path, ModelAction::Generate) => generate::generate(self, &head, &path, body).await,
            Route::Model(path, ModelAction::GenerateStream) => {
                generate::generate_stream(self, &head, &path, body).await
            }
            Route::Model(path, ModelAction::Metadata) => metadata::model(&self.server, &path).await,
            Route::Model(path, ModelAction::Config) => metadata::config(&self.server, &path).await,
            Route::Model(path, ModelAction::Ready) => health::model_ready(&self.server, &path).await,
            Route::Model(path, ModelAction::Statistics) => {
                statistics::statistics(&self.server, &path.name, path.version, &grant)
            }
            Route::Index => repository::index(self, body, grant).await,
            Route::Control { in_repository, model, action } => {
                repository::control(self, in_repository, &model, action, body).await
            }
            Route::SharedMemory { kind, action, region } => {
                shared_memory::respond(self, kind, action, &region, body).await
            }
            Route::TraceSetting => trace_setting::respond(self, "", method, body).await,
            Route::Model(path, ModelAction::TraceSetting) => {
                trace_setting::respond(self, &path.name, method, body).await
            }
            Route::Logging => logging::respond(self, method, body).await,
        }
    }
}

#[cold]
pub(crate) fn method_not_allowed(methods: &[Method]) -> Response<ResponseBody> {
    let mut response = response::failed(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(allow) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
