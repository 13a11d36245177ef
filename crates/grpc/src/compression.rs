//! Which replies are compressed, and how.

use tonic::codegen::http::{HeaderMap, HeaderValue};

/// How much time the replies of inference calls may take to be compressed, for clients that take it. Other replies are never
/// compressed.
///
/// A level chooses among the codings that the client takes, as gRPC's own library does for Triton: gzip is thought to take the
/// least time, deflate to make the least bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionLevel {
    /// Replies are not compressed.
    #[default]
    None,
    /// The first of gzip and deflate that the client takes.
    Low,
    /// Deflate, or gzip for clients that do not take it.
    Medium,
    /// As [`CompressionLevel::Medium`]: there are but two codings.
    High,
}

const ACCEPT: &str = "grpc-accept-encoding";

/// The calls whose replies may be compressed.
const CALLS: [&str; 2] =
    ["/inference.GRPCInferenceService/ModelInfer", "/inference.GRPCInferenceService/ModelStreamInfer"];

impl CompressionLevel {
    /// Leaves in the headers of a call only the coding that its reply is to have, if any: what is left is what tonic takes.
    pub(crate) fn choose(self, path: &str, headers: &mut HeaderMap) {
        let chosen = if CALLS.contains(&path) { self.coding(headers) } else { None };
        headers.remove(ACCEPT);
        if let Some(coding) = chosen {
            headers.insert(ACCEPT, HeaderValue::from_static(coding));
        }
    }

    fn coding(self, headers: &HeaderMap) -> Option<&'static str> {
        let lists = || headers.get_all(ACCEPT).iter().filter_map(|list| list.to_str().ok());
        let takes = |coding: &str| lists().any(|list| list.split(',').any(|taken| taken.trim() == coding));
        let preferred = match self {
            CompressionLevel::None => return None,
            CompressionLevel::Low => ["gzip", "deflate"],
            CompressionLevel::Medium | CompressionLevel::High => ["deflate", "gzip"],
        };
        preferred.into_iter().find(|coding| takes(coding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CompressionLevel::{High, Low, Medium, None as Off};

    fn chosen(level: CompressionLevel, path: &str, accepted: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for list in accepted {
            headers.append(ACCEPT, list.parse().unwrap());
        }
        level.choose(path, &mut headers);
        headers.get(ACCEPT).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_level_chooses_among_what_the_client_takes() {
        for path in CALLS {
            for (level, accepted, coding) in [
                (Off, &["identity, deflate, gzip"][..], None),
                (Low, &["identity, deflate, gzip"], Some("gzip")),
                (Low, &["identity,deflate"], Some("deflate")),
                (Medium, &["identity, deflate, gzip"], Some("deflate")),
                (High, &["identity", "gzip"], Some("gzip")),
                (High, &["identity, br"], None),
                (High, &[], None),
            ] {
                assert_eq!(chosen(level, path, accepted).as_deref(), coding, "{level:?} {accepted:?}");
            }
        }
    }

    #[test]
    fn only_inference_is_compressed() {
        assert_eq!(chosen(High, "/inference.GRPCInferenceService/ModelConfig", &["gzip"]), None);
    }
}
