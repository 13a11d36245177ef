//! Batches of every size.

use std::path::PathBuf;
use std::time::Instant;

use hippocamp_backend::{Device, Result};
use hippocamp_batching::testing::execute_together;

use crate::data::{metrics, picture};
use crate::kit::{Checks, GPU, config};

impl Checks {
    /// Batches of every size from 1 to 32, in an order that never has the same twice.
    pub(crate) fn sizes(&mut self, _: &[PathBuf]) -> Result<()> {
        let loaded = self.load(&self.centerface, &config("dims: [ 3, 320, 320 ]", GPU, ""))?;
        let began = Instant::now();
        let mut instance = loaded.instance(0, Device::Gpu(0))?;
        println!(
            "an instance with its plans took {:?}; sizes {:?}",
            began.elapsed(),
            loaded.model.prepared_batch_sizes(&loaded.config)
        );
        let mut times = Vec::new();
        for round in 0..3u64 {
            for n in 0..32u64 {
                let rows = ((n * 13 + round * 7) % 32 + 1) as usize;
                // As requests of one row each.
                let requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
                let began = Instant::now();
                let got = execute_together(&mut *instance, &loaded.interface, requests);
                times.push((began.elapsed(), rows));
                if let Some(Err(error)) = got.into_iter().find(Result::is_err) {
                    return Err(error);
                }
            }
        }
        let mut sorted = times.clone();
        sorted.sort();
        let median = sorted[sorted.len() / 2].0;
        println!("first batches: {:?}", &times[..8]);
        println!("slowest: {:?}", &sorted[sorted.len() - 5..]);
        self.check(
            sorted[sorted.len() - 1].0 < median * 5,
            &format!("no batch above 5x the median of {median:?}"),
        );
        for rows in [1, 2, 4, 8, 16, 32] {
            let requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
            let began = Instant::now();
            for _ in 0..20 {
                drop(execute_together(&mut *instance, &loaded.interface, requests.clone()));
            }
            println!("batch {rows}: {:?} with copies", began.elapsed() / 20);
        }
        println!("{}", metrics());
        Ok(())
    }
}
