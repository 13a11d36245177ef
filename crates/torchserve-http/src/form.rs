//! Bodies that are forms: their fields, as slices of the body.

use bytes::Bytes;
use hippocamp_torchserve::{Content, ContentKind, Failure};
use memchr::memmem;

use crate::query::Query;

/// The most fields of a form.
const MAX_FIELDS: usize = 256;

/// The contents of a body: the fields of a form, or the body itself.
pub(crate) fn contents(content_type: Option<&str>, body: Bytes) -> Result<Vec<Content>, Failure> {
    let kind = content_type.unwrap_or_default();
    let plain = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*plain {
        "multipart/form-data" => fields(boundary(kind)?, &body),
        "application/x-www-form-urlencoded" => {
            let content = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, [u8]>)| Content {
                name: name.into_owned(),
                kind: ContentKind::Other,
                data: Bytes::copy_from_slice(&value).into(),
            };
            Ok(Query::first(&body, MAX_FIELDS).into_pairs().into_iter().map(content).collect())
        }
        _ => Ok(vec![Content { name: "body".to_owned(), kind: kind_of(&plain), data: body.into() }]),
    }
}

fn kind_of(content_type: &str) -> ContentKind {
    let is_json =
        content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    if is_json { ContentKind::Json } else { ContentKind::Other }
}

fn broken(why: &str) -> Failure {
    Failure::bad_request(format!("the body was expected to be multipart/form-data: {why}"))
}

fn boundary(content_type: &str) -> Result<&str, Failure> {
    let found = parameter(content_type, "boundary").filter(|boundary| (1..=200).contains(&boundary.len()));
    found.ok_or_else(|| broken("its type names no boundary"))
}

/// The value of a parameter of a header, without quotes.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut is_quoted = false;
    // A semicolon within quotes, as in the name of a file, separates nothing.
    let parts = header.split(|letter: char| {
        is_quoted ^= letter == '"';
        letter == ';' && !is_quoted
    });
    parts.skip(1).find_map(|part| {
        let (own, value) = part.split_once('=')?;
        own.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

fn fields(boundary: &str, body: &Bytes) -> Result<Vec<Content>, Failure> {
    let delimiter = format!("--{boundary}");
    let mut at =
        memmem::find(body, delimiter.as_bytes()).ok_or_else(|| broken("its boundary is not in it"))?;
    let between = format!("\r\n{delimiter}");
    let mut contents = Vec::new();
    loop {
        at += delimiter.len();
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(contents);
        }
        if contents.len() == MAX_FIELDS {
            return Err(broken(&format!("it has more than {MAX_FIELDS} fields")));
        }
        let head_end =
            memmem::find(rest, b"\r\n\r\n").ok_or_else(|| broken("a field has no end of its headers"))?;
        let head = String::from_utf8_lossy(&rest[..head_end]);
        let begin = at + head_end + 4;
        let end = memmem::find(&body[begin..], between.as_bytes())
            .ok_or_else(|| broken("its last boundary is missing"))?;
        contents.push(field(&head, body.slice(begin..begin + end))?);
        at = begin + end + 2;
    }
}

fn field(head: &str, data: Bytes) -> Result<Content, Failure> {
    let header = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition =
        header("content-disposition").ok_or_else(|| broken("a field has no Content-Disposition"))?;
    let name = parameter(disposition, "name").ok_or_else(|| broken("a field has no name"))?;
    let kind = header("content-type").map_or(ContentKind::Other, kind_of);
    Ok(Content { name: name.to_owned(), kind, data: data.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "multipart/form-data; boundary=\"x-y\"";

    fn read(content_type: &str, body: &[u8]) -> Result<Vec<(String, ContentKind, Vec<u8>)>, String> {
        let contents =
            contents(Some(content_type), Bytes::copy_from_slice(body)).map_err(|failure| failure.message)?;
        let each = |content: Content| (content.name, content.kind, content.data.to_host().unwrap().to_vec());
        Ok(contents.into_iter().map(each).collect())
    }

    #[test]
    fn fields_are_contents() {
        let body = b"--x-y\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\xff\r\n--x-\r\n\
            --x-y\r\ncontent-disposition: form-data; name=b\r\nContent-Type: application/json\r\n\r\n{}\r\n--x-y--\r\n";
        let expected = vec![
            ("data".to_owned(), ContentKind::Other, b"\xff\r\n--x-".to_vec()),
            ("b".to_owned(), ContentKind::Json, b"{}".to_vec()),
        ];
        assert_eq!(read(FORM, body).unwrap(), expected);
        let body = b"--x-y\r\nContent-Disposition: form-data; filename=\"a; name=b.jpg\"; name=\"d;e\"\r\n\r\nf\r\n--x-y--";
        assert_eq!(read(FORM, body).unwrap()[0].0, "d;e");
        let pairs = read("application/x-www-form-urlencoded", b"data=a%20b&c=%ff").unwrap();
        assert_eq!(pairs[0], ("data".to_owned(), ContentKind::Other, b"a b".to_vec()));
        assert_eq!(pairs[1].2, b"\xff");
        let many = read("application/x-www-form-urlencoded", &b"a&".repeat(100_000)).unwrap();
        assert_eq!(many.len(), MAX_FIELDS);
        assert_eq!(read("application/json; charset=utf-8", b"{}").unwrap()[0].1, ContentKind::Json);
        assert_eq!(read("", b"x").unwrap(), [("body".to_owned(), ContentKind::Other, b"x".to_vec())]);
    }

    #[test]
    fn broken_forms_are_refused() {
        for (content_type, body, why) in [
            ("multipart/form-data", "", "names no boundary"),
            (FORM, "", "not in it"),
            (FORM, "--x-y\r\n", "no end of its headers"),
            (FORM, "--x-y\r\nA: b\r\n\r\nc\r\n--x-y--", "no Content-Disposition"),
            (FORM, "--x-y\r\nContent-Disposition: form-data\r\n\r\nc\r\n--x-y--", "no name"),
            (FORM, "--x-y\r\nContent-Disposition: form-data; name=a\r\n\r\nc", "last boundary"),
        ] {
            let fault = read(content_type, body.as_bytes()).unwrap_err();
            assert!(fault.contains(why), "{body:?}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back(fields in prop::collection::vec(("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..64)), 0..5)) {
            let boundary = "a-boundary-of-more-bytes-than-a-content-has-which-is-sixty-four-at-most";
            let mut body = Vec::new();
            for (name, content) in &fields {
                body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            let got = read(&format!("multipart/form-data; boundary={boundary}"), &body).unwrap();
            let got: Vec<_> = got.into_iter().map(|(name, _, content)| (name, content)).collect();
            prop_assert_eq!(got, fields);
        }

        #[test]
        fn nothing_panics(body in prop::collection::vec(prop_oneof![Just(b'-'), Just(b'x'), Just(b'y'), Just(b'\r'), Just(b'\n'), Just(b':'), any::<u8>()], 0..200)) {
            drop(read(FORM, &body));
        }
    }
}
