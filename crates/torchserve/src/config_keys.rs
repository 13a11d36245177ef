//! The keys of TorchServe's `config.properties` that have no effect here, each with the reason, and those that were misspelt.

use hippocamp_archive_repository::{Keys, Usual};

use crate::config::HONOURED;

const PYTHON: &str = "it is about Python workers, and models are executed without any";
const NETTY: &str = "it is about the threads and buffers of Netty, whose place --http-thread-count and --grpc-infer-thread-count take";
const JAVA: &str = "it is about Java, of which nothing runs";
const CORS: &str = "no headers of CORS are sent: let a proxy do it";
const SEQUENCES: &str = "the headers of sequences have TorchServe's default names";
const CONNECTIONS: &str = "connections are not ended for their age";
const TLS: &str = "these ports have no TLS: put a proxy that ends it before them";
const IPEX: &str = "Intel's extension of PyTorch is not used";
const LAUNCHER: &str = "instances are placed by instance_group and host-policy of a config.pbtxt";
const TIMES: &str = "requests and loads have no such limit here: a timeout of a queue is set in the model's config.pbtxt, under dynamic_batching";

/// The keys of TorchServe 0.12 that have no effect.
const WITHOUT_EFFECT: &[(&str, Usual, &str)] = &[
    ("async_logging", &["true", "false"], "the log is written the same way with and without"),
    ("blacklist_env_vars", &[], PYTHON),
    ("certificate_file", &[], TLS),
    ("cors_allowed_headers", &[], CORS),
    ("cors_allowed_methods", &[], CORS),
    ("cors_allowed_origin", &[], CORS),
    ("cpu_launcher_args", &[], LAUNCHER),
    ("cpu_launcher_enable", &["false"], LAUNCHER),
    ("debug", &["false"], "--log-verbose=1 logs more"),
    ("decode_input_request", &["true"], "JSON is always read as JSON"),
    ("default_response_timeout", &["120"], TIMES),
    ("default_service_handler", &[], PYTHON),
    ("default_startup_timeout", &["120"], TIMES),
    (
        "disable_system_metrics",
        &["false"],
        "the machine's metrics are read when the page is asked for, which costs nothing in between",
    ),
    ("enable_envvars_config", &["false"], "variables TS_... are not read: write the keys into the file"),
    ("grpc_inference_max_connection_age_grace_ms", &[], CONNECTIONS),
    ("grpc_inference_max_connection_age_ms", &[], CONNECTIONS),
    ("grpc_management_max_connection_age_grace_ms", &[], CONNECTIONS),
    ("grpc_management_max_connection_age_ms", &[], CONNECTIONS),
    ("initial_distribution_port", &[], PYTHON),
    ("initial_worker_port", &[], PYTHON),
    ("install_py_dep_per_model", &["false"], PYTHON),
    ("io_ratio", &[], NETTY),
    ("ipex_enable", &["false"], IPEX),
    ("ipex_gpu_enable", &["false"], IPEX),
    (
        "job_queue_size",
        &[],
        "the queues of models have no limit unless jobQueueSize of the model or its config.pbtxt says one",
    ),
    ("keystore", &[], TLS),
    ("keystore_pass", &[], TLS),
    ("keystore_type", &[], TLS),
    ("limit_max_image_pixels", &["true"], "the size of pictures is always limited"),
    ("max_response_size", &[], "answers are as large as the model makes them"),
    ("metric_time_interval", &[], "the machine's metrics are read whenever the page is asked for"),
    ("metrics_config", &[], "no handler makes metrics of its own"),
    ("metrics_mode", &["prometheus"], "the page of metrics is always there, and none are logged"),
    ("model_metrics_auto_detect", &["false"], "no handler makes metrics of its own"),
    ("model_server_home", &[], PYTHON),
    ("netty_client_threads", &[], NETTY),
    ("number_of_gpu", &[], "the GPUs that instances use are said by instance_group of a config.pbtxt"),
    ("number_of_netty_threads", &[], NETTY),
    ("plugins_path", &[], "plugins of TorchServe are Java, of which nothing runs"),
    ("prefer_direct_buffer", &[], NETTY),
    ("private_key_file", &[], TLS),
    ("python", &[], PYTHON),
    (
        "service_envelope",
        &["json", "kserve", "kservev2"],
        "the bodies of KServe are understood without one, and there are no others",
    ),
    ("system_metrics_cmd", &[], "the server reads the machine's metrics itself"),
    ("ts_header_key_sequence_end", &["ts_request_sequence_end"], SEQUENCES),
    ("ts_header_key_sequence_id", &["ts_request_sequence_id"], SEQUENCES),
    ("ts_header_key_sequence_start", &["ts_request_sequence_start"], SEQUENCES),
    (
        "ts_open_inference_protocol",
        &[],
        "KServe v2 is always served: over HTTP beside predictions, over gRPC on --grpc-port",
    ),
    ("unregister_model_timeout", &["120"], "a model is removed when its last request is done"),
    ("use_env_allowed_urls", &["false"], "variables TS_... are not read: write allowed_urls into the file"),
    ("use_native_io", &[], NETTY),
    ("version", &[], ""),
    ("tsConfigFile", &[], ""),
    ("vmargs", &[], JAVA),
    ("workflow_store", &[], "workflows are not served: an ensemble runs models one after the other"),
];

/// The keys of a `config.properties`.
pub(crate) const FILE_KEYS: Keys =
    Keys { honoured: HONOURED, without_effect: WITHOUT_EFFECT, others: "it is no key of TorchServe" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_honoured_or_has_a_reason() {
        for (key, value, expected) in [
            ("vmargs", "-Xmx1g", Some("'vmargs' has no effect: it is about Java, of which nothing runs")),
            ("async_logging", "true", None),
            ("metrics_mode", "Prometheus", None),
            (
                "metrics_mode",
                "log",
                Some(
                    "'metrics_mode' has no effect: the page of metrics is always there, and none are logged",
                ),
            ),
            ("keystore", "", None),
            ("version", "0.12.0", None),
            (
                "inference_adress",
                "x",
                Some("'inference_adress' has no effect: was 'inference_address' meant?"),
            ),
            ("loadModels", "all", Some("'loadModels' has no effect: was 'load_models' meant?")),
            ("unheard_of", "1", Some("'unheard_of' has no effect: it is no key of TorchServe")),
            ("", "1", Some("'' has no effect: it is no key of TorchServe")),
        ] {
            assert_eq!(FILE_KEYS.fault(key, value).as_deref(), expected, "{key}");
        }
        for honoured in HONOURED {
            assert!(!WITHOUT_EFFECT.iter().any(|(key, ..)| key == honoured), "{honoured}");
        }
    }
}
