//! What clients see of a model that stands by.

use hippocamp_core::{ControlMode, State};

use crate::kit::Server;

#[tokio::test]
async fn a_model_that_stands_by_is_ready_and_says_so() {
    let server = Server::of(&["a", "b"], ControlMode::None, 100).await;
    let index = |ready| server.core.index(ready);
    let all = index(false);
    assert_eq!(all, index(true));
    assert_eq!(all.len(), 2);
    for _ in 0..2 {
        for entry in index(false) {
            let (version, state) = entry.version.unwrap();
            assert_eq!((version, state.state), (1, State::Ready));
            let loaded = !server.core.ready_versions(&entry.name).is_empty();
            assert_eq!(state.reason.starts_with("stands by"), !loaded, "{}", state.reason);
            assert!(server.core.is_model_ready(&entry.name, None).await);
            assert!(server.core.is_model_ready(&entry.name, Some(1)).await);
        }
        assert!(server.core.statistics("b", None).unwrap().is_empty());
        assert!(server.core.statistics("c", None).is_err());
        // Metadata is answered by the model itself, which is loaded for it; and another one goes.
        assert_eq!(server.core.model_metadata("b", None).await.unwrap().versions, [1]);
        server.until("it serves", |server| server.serving() == ["b"]).await;
        server.ask("a").await.unwrap();
        server.until("it serves", |server| server.serving() == ["a"]).await;
    }
    assert_eq!(server.scales.loads("b"), 2);
}
