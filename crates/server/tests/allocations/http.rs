//! Tensors over HTTP, on a persistent connection. The client reuses its request and its buffer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::allocator::{self, turn};
use crate::{PIECE, SIZE, content, server};

struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// A buffer as long as a response, reused for each.
    reply: Vec<u8>,
}

impl Client {
    /// Sends a first request to learn the length of the response.
    async fn warm(to: std::net::SocketAddr, request: Vec<u8>) -> Client {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut reply = Vec::new();
        let end = loop {
            assert_ne!(stream.read_buf(&mut reply).await.unwrap(), 0);
            if let Some(end) = reply.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&reply[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let read = reply.len();
        reply.resize(end + length.parse::<usize>().unwrap(), 0);
        stream.read_exact(&mut reply[read..]).await.unwrap();
        Client { stream, request, reply }
    }

    async fn again(&mut self) {
        let (mut reader, mut writer) = self.stream.split();
        // The response may begin before the whole request is read.
        let (written, read) =
            tokio::join!(writer.write_all(&self.request), reader.read_exact(&mut self.reply));
        written.unwrap();
        read.unwrap();
    }
}

fn request(model: &str, header_length: Option<usize>, body: &[u8]) -> Vec<u8> {
    let length = header_length
        .map_or_else(String::new, |length| format!("Inference-Header-Content-Length: {length}\r\n"));
    let size = body.len();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n{length}\r\n"
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_binary_tensor_is_never_in_one_block() {
    let _turn = turn().await;
    let server = server().await;
    let content = content();
    for model in ["m", "e"] {
        let json = format!(
            r#"{{"inputs":[{{"name":"INPUT0","datatype":"FP32","shape":[{}],"parameters":{{"binary_data_size":{SIZE}}}}}],"parameters":{{"binary_data_output":true}}}}"#,
            SIZE / 4
        );
        let body = [json.as_bytes(), &content].concat();
        let mut client = Client::warm(server.http, request(model, Some(json.len()), &body)).await;
        assert!(client.reply.ends_with(&content), "identity answers with what it got");
        allocator::begin(usize::MAX);
        for _ in 0..3 {
            client.again().await;
        }
        let largest = allocator::largest();
        assert!(largest <= PIECE, "{model}: a block of {largest} bytes was allocated");
        assert!(client.reply.ends_with(&content));
    }
}

#[tokio::test]
async fn json_costs_its_text_its_values_and_the_text_of_the_answer() {
    const FLOATS: usize = 600_000;
    let _turn = turn().await;
    let server = server().await;
    let values = "0.123456,".repeat(FLOATS);
    let body = format!(
        r#"{{"inputs":[{{"name":"INPUT0","datatype":"FP32","shape":[{FLOATS}],"data":[{}]}}]}}"#,
        values.trim_end_matches(',')
    );
    let mut client = Client::warm(server.http, request("m", None, body.as_bytes())).await;
    // Three blocks: the request's text in one piece, the values, and the response's text, which is allocated once.
    allocator::begin(FLOATS * 4);
    client.again().await;
    let count = allocator::count();
    assert!(count <= 3, "{count} blocks of a tensor's size were allocated");
    assert!(client.reply.ends_with(b"]}]}"));
}
