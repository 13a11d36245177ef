//! The bodies by which regions are registered. That tensors come from there and go there is tested on whole servers.

use super::Fixture;

async fn refused(kind: &str, body: &str, status: u16, text: &str) {
    let fixture = Fixture::new(&[]).await;
    fixture.post(&format!("/v2/{kind}sharedmemory/region/r/register"), body).await.refused(status, text);
}

#[tokio::test]
async fn a_region_has_a_key_and_a_size() {
    for (body, status, text) in [
        ("", 400, "failed to parse the request JSON buffer: The document is empty. at 0"),
        ("{", 400, "failed to parse the request JSON buffer: Missing a name for object member. at 1"),
        ("[]", 400, "the body of the request is expected to be a JSON object"),
        (r#"{"byte_size":4}"#, 400, "Shared memory register request has no 'key' field"),
        (r#"{"key":"/nobody"}"#, 400, "Shared memory register request has no 'byte_size' field"),
        (r#"{"key":7,"byte_size":4}"#, 400, "attempt to access JSON non-string as string"),
        (
            r#"{"key":"/nobody","byte_size":-4}"#,
            400,
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (
            r#"{"key":"/nobody","byte_size":4,"offset":1.5}"#,
            400,
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (
            r#"{"key":"/nobody","byte_size":4,"key":"/second"}"#,
            500,
            "Unable to open shared memory region: '/nobody'",
        ),
    ] {
        refused("system", body, status, text).await;
    }
}

#[tokio::test]
async fn memory_of_a_device_is_refused() {
    let handle = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eA==";
    let whole = format!(r#"{{"raw_handle":{{"b64":"{handle}"}},"device_id":0,"byte_size":64}}"#);
    let no_handle = "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t";
    for (body, status, text) in [
        (&*whole, 400, "failed to register shared memory region: invalid args"),
        (r#"{"raw_handle":{"b64":"AAAA"},"device_id":0,"byte_size":64}"#, 400, no_handle),
        (r#"{"raw_handle":{"b64":"%"},"device_id":0,"byte_size":64}"#, 400, no_handle),
        (
            r#"{"raw_handle":"x","device_id":0}"#,
            400,
            "Shared memory register request has no 'raw_handle' field",
        ),
        (r#"{"raw_handle":{"b64":""}}"#, 400, "Shared memory register request has no 'device_id' field"),
    ] {
        refused("cuda", body, status, text).await;
    }
}

#[tokio::test]
async fn methods_are_known() {
    let fixture = Fixture::new(&[]).await;
    fixture.post("/v2/systemsharedmemory/status", "").await.refused(405, "Method Not Allowed");
    fixture.get("/v2/cudasharedmemory/region/r/register").await.refused(405, "Method Not Allowed");
    assert_eq!(fixture.get("/v2/systemsharedmemory/status").await.ok(), serde_json::json!([]));
    assert_eq!(fixture.get("/v2/cudasharedmemory/status").await.ok(), serde_json::json!([]));
    let nobody = "Unable to find system shared memory region: 'a b'";
    fixture.get("/v2/systemsharedmemory/region/a%20b/status").await.refused(404, nobody);
    for kind in ["system", "cuda"] {
        let nameless = format!("'region name' is necessary to register {kind} shared memory region");
        for body in ["", "{", r#"{"key":"/nobody","byte_size":64}"#] {
            fixture.post(&format!("/v2/{kind}sharedmemory/register"), body).await.refused(400, &nameless);
        }
    }
}
