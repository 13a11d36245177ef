use std::fs;
use std::path::PathBuf;

use super::*;
use crate::{DenialKind, Protocol};

const ADMIN: &str = "0123456789abcdef-admin";
const CI: &str = "0123456789abcdef-ci";

const FILE: &str = r#"
[[tokens]]
name = "ops"
token_file = "ops.token"
admin = ["*"]

[[tokens]]
name = "ci"
token = "0123456789abcdef-ci"
infer = ["resnet*", "detection"]
read = ["resnet50"]

[[restricted]]
protocols = ["grpc"]
categories = ["logging"]
header = "key"
value = "v"
"#;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(text: &str) -> Files {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        fs::write(files.path("ops.token"), format!("{ADMIN}\n")).unwrap();
        fs::write(files.path("auth.toml"), text).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn auth(&self) -> Arc<Auth> {
        Auth::read(&self.path("auth.toml")).unwrap()
    }

    fn fault(text: &str) -> String {
        Auth::read(&Files::new(text).path("auth.toml")).unwrap_err().to_string()
    }
}

fn access(text: &str) -> Access {
    Access::new(Restrictions::none(Protocol::Http), Some(Files::new(text).auth()))
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

fn check(access: &Access, right: Right, authorization: Option<&[u8]>) -> Result<Grant, Denial> {
    access.check(Category::Inference, right, |name| authorization.filter(|_| name == "authorization"))
}

#[test]
fn roles_hold_for_models_by_pattern() {
    let access = access(FILE);
    let with = |token: &str, right| check(&access, right, Some(&bearer(token)));
    let grant = with(CI, Right::Infer).unwrap();
    assert!(grant.model("resnet50").is_ok() && grant.covers("detection") && !grant.is_all());
    let denied = grant.model("secret").unwrap_err();
    assert_eq!(denied.to_string(), "token 'ci' has no role 'infer' for model 'secret'");
    assert_eq!(denied.kind(), DenialKind::Forbidden);
    assert_eq!(
        grant.server().unwrap_err().to_string(),
        "token 'ci' has no role 'infer' for all models ('*')"
    );
    assert!(!with(CI, Right::Read).unwrap().covers("resnet18"), "the role is for another model");
    assert!(with(CI, Right::See).unwrap().covers("resnet18"));
    let denied = with(CI, Right::Admin).unwrap_err();
    assert_eq!(denied.to_string(), "token 'ci' has no role 'admin'");
    let changes = with(CI, Right::Read).unwrap().asking(Right::Admin);
    assert_eq!(changes.model("resnet50").unwrap_err().kind(), DenialKind::Forbidden);
    assert!(with(ADMIN, Right::Read).unwrap().asking(Right::Admin).server().is_ok());
    for right in [Right::See, Right::Read, Right::Infer, Right::Admin] {
        let grant = with(ADMIN, right).unwrap();
        assert!(grant.model("anything").is_ok() && grant.server().is_ok());
    }
}

#[test]
fn who_has_no_token_or_a_wrong_one_is_told_so() {
    let access = access(FILE);
    let denied = check(&access, Right::Infer, None).unwrap_err();
    assert_eq!(denied.to_string(), "this call needs a token: send it as 'Authorization: Bearer TOKEN'");
    assert_eq!(denied.kind(), DenialKind::Unauthenticated);
    for wrong in
        ["Bearer x", "Bearer", "", "Digest 0123456789abcdef-ci", "Bearer 0123456789abcdef-CI", "Basic %%"]
    {
        let denied = check(&access, Right::Infer, Some(wrong.as_bytes())).unwrap_err();
        assert_eq!(denied, Denial::UnknownToken, "{wrong}");
    }
    assert!(check(&access, Right::Probe, None).unwrap().is_all(), "probes have no token");
}

#[test]
fn basic_authentication_has_the_name_and_the_token() {
    let access = access(FILE);
    let basic = |pair: &str| format!("basic {}", STANDARD.encode(pair)).into_bytes();
    let with = |pair: &str| check(&access, Right::Infer, Some(&basic(pair)));
    assert!(with(&format!("ci:{CI}")).is_ok());
    for wrong in [format!("ops:{CI}"), format!("ci:{ADMIN}"), CI.to_owned(), format!(":{CI}")] {
        assert_eq!(with(&wrong).unwrap_err(), Denial::UnknownToken, "{wrong}");
    }
}

#[test]
fn those_without_a_token_may_have_roles() {
    let access = access(&format!("{FILE}\n[anonymous]\nread = [\"public-*\"]\n"));
    let grant = check(&access, Right::Read, None).unwrap();
    assert!(grant.covers("public-a"));
    assert_eq!(grant.model("resnet50").unwrap_err(), Denial::NoToken);
    assert_eq!(check(&access, Right::Infer, None).unwrap_err(), Denial::NoToken);
    assert_eq!(check(&access, Right::Read, Some(b"Bearer x")).unwrap_err(), Denial::UnknownToken);
}

#[test]
fn a_restriction_comes_before_the_token() {
    let files = Files::new(FILE);
    let flags = Restrictions::from_flags(Protocol::Grpc, ["inference:k=secret"]).unwrap();
    let access = Access::new(flags, Some(files.auth()));
    let denied = check(&access, Right::Infer, None).unwrap_err();
    assert_eq!(denied.to_string(), "This protocol is restricted, expecting header 'triton-grpc-protocol-k'");
    assert_eq!(denied.kind(), DenialKind::Restricted);
    let find = |name: &str| (name == "triton-grpc-protocol-k").then_some(&b"secret"[..]);
    assert_eq!(access.check(Category::Inference, Right::Infer, find).unwrap_err(), Denial::NoToken);
    // The file restricts a category of gRPC, too.
    let denied = access.check(Category::Logging, Right::Read, |_| None).unwrap_err();
    assert_eq!(denied.kind(), DenialKind::Restricted);
    let http = Access::new(Restrictions::none(Protocol::Http), Some(files.auth()));
    assert_eq!(http.check(Category::Logging, Right::Read, |_| None).unwrap_err(), Denial::NoToken);
}

#[test]
fn without_tokens_only_the_header_counts() {
    let flags = Restrictions::from_flags(Protocol::Http, ["inference:k=secret"]).unwrap();
    let access = Access::new(flags, None);
    assert!(!access.is_open() && access.check_metrics(|_| None).is_ok());
    let with = |value: &'static [u8]| access.check(Category::Inference, Right::Infer, |_| Some(value));
    assert!(with(b"secret").unwrap().is_all());
    for wrong in [&b"Secret"[..], b"secre", b"secret ", b""] {
        assert_eq!(with(wrong).unwrap_err().to_string(), "This API is restricted, expecting header 'k'");
    }
    assert!(access.check(Category::Health, Right::Probe, |_| None).is_ok());
    assert!(Access::new(Restrictions::none(Protocol::Http), None).is_open());
}

#[test]
fn metrics_are_for_those_who_may_read_everything() {
    let of = |text: &str, token: &str| {
        let authorization = bearer(token);
        access(text).check_metrics(|name| Some(&*authorization).filter(|_| name == "authorization"))
    };
    assert!(of(FILE, ADMIN).is_ok());
    assert_eq!(of(FILE, CI).unwrap_err().to_string(), "token 'ci' has no role 'read' for all models ('*')");
    assert!(of(&format!("open_metrics = true\n{FILE}"), "x").is_ok());
}

#[test]
fn a_change_of_a_file_holds_at_once_and_a_fault_changes_nothing() {
    let files = Files::new(FILE);
    let auth = files.auth();
    let access = Access::new(Restrictions::none(Protocol::Http), Some(Arc::clone(&auth)));
    let allows = |token: &str| check(&access, Right::Infer, Some(&bearer(token))).is_ok();
    assert!(!auth.reload().unwrap() && allows(ADMIN));
    fs::write(files.path("ops.token"), "another-secret-of-ops").unwrap();
    assert!(auth.reload().unwrap());
    assert!(!allows(ADMIN) && allows("another-secret-of-ops"));
    fs::remove_file(files.path("auth.toml")).unwrap();
    assert!(auth.reload().unwrap_err().to_string().contains("failed to read the tokens of"));
    assert!(!auth.reload().unwrap() && allows("another-secret-of-ops"), "it is said once");
    fs::write(
        files.path("auth.toml"),
        FILE.replace("token_file = \"ops.token\"", "token = \"of-the-file-itself\""),
    )
    .unwrap();
    assert!(auth.reload().unwrap());
    assert!(allows("of-the-file-itself"));
}

#[test]
fn a_secret_that_is_written_after_the_file_that_names_it_is_found() {
    let files = Files::new(FILE);
    let auth = files.auth();
    let access = Access::new(Restrictions::none(Protocol::Http), Some(Arc::clone(&auth)));
    let text = FILE.replace("ops.token", "later.token");
    fs::write(files.path("auth.toml"), text).unwrap();
    assert!(auth.reload().unwrap_err().to_string().contains("later.token"));
    assert!(!auth.reload().unwrap(), "it is said once");
    fs::write(files.path("later.token"), "a-secret-that-came-late").unwrap();
    assert!(auth.reload().unwrap());
    assert!(check(&access, Right::Infer, Some(&bearer("a-secret-that-came-late"))).is_ok());
}

#[test]
fn faults_name_what_is_wrong_and_show_no_secret() {
    let token = |lines: &str| format!("[[tokens]]\nname = \"a\"\n{lines}\n");
    let secret = "token = \"0123456789abcdef\"";
    for (text, expected) in [
        ("tokens = 0123456789abcdef".to_owned(), "line 1: "),
        (
            token("token = \"short\"\nread = [\"*\"]"),
            "token 'a': expected a token of at least 16 bytes, got 5",
        ),
        (token("read = [\"*\"]"), "expected exactly one of token, token_file and token_sha256"),
        (token("token_file = \"missing\"\nread = [\"*\"]"), "missing': No such file"),
        (token("token_sha256 = \"00\"\nread = [\"*\"]"), "expected 64 hexadecimal digits, got 2"),
        (token(secret), "token 'a' has no role; give it patterns of models in read, infer or admin"),
        (token(&format!("{secret}\nread = [\"\"]")), "expected a pattern of model names"),
        (token(&format!("{secret}\nwrite = [\"*\"]")), "unknown field `write`"),
        (token("token = \"0123456789abcdef \"\nread = [\"*\"]"), "which no header can hold"),
        (format!("{0}{0}", token(&format!("{secret}\nread = [\"*\"]"))), "is the same secret as token 'a'"),
        (String::new(), "it has neither tokens nor restricted categories"),
        (
            "[[restricted]]\ncategories = [\"x\"]\nheader = \"k\"\nvalue = \"v\"".to_owned(),
            "unknown restricted api 'x'",
        ),
        (
            "[[restricted]]\ncategories = []\nheader = \"k\"\nvalue = \"v\"".to_owned(),
            "expected categories and a header",
        ),
    ] {
        let fault = Files::fault(&text);
        assert!(fault.contains(expected), "{fault}");
        assert!(fault.contains("auth.toml'") && !fault.contains("0123456789abcdef"), "{fault}");
    }
}
