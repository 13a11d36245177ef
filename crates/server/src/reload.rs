//! Reads files again when they change: certificates and tokens.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_access::Auth;
use hippocamp_tls::Tls;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::args::warn_of_key;

/// How often the files are looked at. Only their times are asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the files for ever. Where a changed file has a fault, what was read before goes on to hold.
pub(crate) async fn follow(auth: Option<Arc<Auth>>, tls: Vec<Arc<Tls>>) -> std::io::Result<()> {
    if auth.is_none() && tls.is_empty() {
        return Ok(());
    }
    let all = Arc::new((auth, tls));
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let all = Arc::clone(&all);
        // The files may lie on a disk that is slow, or gone.
        if let Err(panicked) = tokio::task::spawn_blocking(move || look(all.0.as_deref(), &all.1)).await {
            error!("the files of certificates and tokens were not read: {panicked}");
        }
    }
}

fn look(auth: Option<&Auth>, tls: &[Arc<Tls>]) {
    match auth.map_or(Ok(false), Auth::reload) {
        Ok(true) => info!("the tokens of --auth-config were read again"),
        Ok(false) => {}
        Err(fault) => error!("{fault}; the tokens that were read before still hold"),
    }
    for tls in tls {
        match tls.reload() {
            Ok(true) => {
                info!("the certificate of the {} port was read again", tls.port());
                warn_of_key(tls);
            }
            Ok(false) => {}
            Err(fault) => error!("{fault}; the {} port goes on with the certificate that it has", tls.port()),
        }
    }
}
