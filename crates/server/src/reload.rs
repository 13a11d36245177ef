//! Reads files again when they change: certificates and tokens.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_access::Auth;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

/// How often the files are looked at. They are small, and only their times are asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the files for ever. Where a changed file has a fault, what was read before goes on to hold.
pub(crate) async fn follow(auth: Option<Arc<Auth>>) -> std::io::Result<()> {
    let Some(auth) = auth else { return Ok(()) };
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let auth = Arc::clone(&auth);
        // The files may lie on a disk that is slow, or gone.
        let reloaded = tokio::task::spawn_blocking(move || auth.reload()).await;
        match reloaded {
            Ok(Ok(true)) => info!("the tokens of --auth-config have changed"),
            Ok(Ok(false)) => {}
            Ok(Err(fault)) => error!("{fault}; the tokens that were read before still hold"),
            Err(panicked) => error!("--auth-config was not read: {panicked}"),
        }
    }
}
